"""Runs over REST: started once, watched, read, cancelled, judged again; and what is refused."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User

from agents import registry
from runs.models import Run
from tests import pipelines
from tests.pipelines import SYSTEM, agent
from tests.rest import Caller

pytestmark = pytest.mark.django_db(transaction=True)

CONTRACT = "{type: object, required: [number], properties: {number: {type: integer, maximum: 9}, name: {type: string}}, additionalProperties: false}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = pipelines.folder(
        tmp_path / "p",
        functions="def work() -> dict:\n    return {}\n",
        agents=[agent("worker", "work:work")],
        steps="- {id: only, agent: worker}",
    )
    file = path / "pipeline.yaml"
    file.write_text(file.read_text().replace(f"team: platform\ninput: {pipelines.ANY}\nsteps", f"team: platform\ninput: {CONTRACT}\nsteps"))
    registry.apply_folder(path, actor=SYSTEM, publish=True)
    return path


@pytest.fixture
def caller(folder: Path, alice: User) -> Caller:
    registry.add_member("platform", "alice", actor=SYSTEM)
    return Caller.of(alice)


START = {"pipeline": "sample", "input": {"number": 3}}


def test_a_run_is_started_and_shown_as_the_run_document(caller: Caller) -> None:
    started = caller.post("/runs/", START)
    assert (started.status, started.body["state"], started.body["started_by"], started.body["trigger"]) == (201, "queued", "person:alice", "api")
    said = pipelines.drive(Run.objects.get())
    shown = caller.get(started.headers["Location"])
    assert (shown.status, shown.body) == (200, said)
    assert shown.body["outcome"] == "verified"
