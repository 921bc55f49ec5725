"""A published pipeline, and the people who meet it over REST."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User

from agents import registry
from tests import factories, pipelines
from tests.pipelines import SYSTEM, agent
from tests.rest import Caller

CONTRACT = "{type: object, required: [number], properties: {number: {type: integer, maximum: 9}, name: {type: string}}, additionalProperties: false}"


@pytest.fixture
def folder(tmp_path: Path, transactional_db: None) -> Path:
    """The pipeline `sample` of team platform, which takes a number up to 9; published."""
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
    """Alice, a member of the team."""
    registry.add_member("platform", "alice", actor=SYSTEM)
    return Caller.of(alice)


@pytest.fixture
def onlooker(folder: Path, transactional_db: None) -> Caller:
    """Dora, to whom the team is shown."""
    dora = factories.person("dora")
    registry.show_team("platform", "dora", actor=SYSTEM)
    return Caller.of(dora)


@pytest.fixture
def outsider(folder: Path, charlie: User) -> Caller:
    """Charlie, who belongs nowhere."""
    return Caller.of(charlie)
