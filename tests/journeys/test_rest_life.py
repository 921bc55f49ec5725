"""A run's whole life over REST alone, with a real worker in a process of its own: found, started, watched, judged, judged again, cancelled."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from agents import registry
from tests import pipelines, workers
from tests.pipelines import SYSTEM, agent
from tests.rest import Caller

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

WORK = """
import time

def double(number: int = 1, wait: bool = False) -> dict:
    while wait:
        time.sleep(0.05)
    return {"double": 2 * number}
"""


@pytest.fixture
def caller(tmp_path: Path, alice: User) -> Caller:
    steps = "- {id: double, agent: doubler, with: {number: =input.number, wait: =input.wait}}"
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("doubler", "work:double")], steps=steps, name="doubling")
    registry.add_member("platform", "alice", actor=SYSTEM)
    return Caller.of(alice)


def watched(caller: Caller, run: str, until: str) -> list[str]:
    """The verbs of a run, watched as the page says, up to one of them or to its end."""
    verbs: list[str] = []
    after, finished = 0, False
    for _ in range(60):
        page = caller.get(f"/runs/{run}/events/?after={after}&wait=5").body
        verbs += [each["verb"] for each in page["items"]]
        after, finished = page["last"], page["finished"]
        if finished or until in verbs:
            return verbs
    raise AssertionError(f"{until} did not come: {verbs}")


def test_a_run_lives_over_rest_alone(caller: Caller, shell_environment: Mapping[str, str], project_folder: Path) -> None:
    (pipeline,) = caller.get("/pipelines/").body["items"]
    assert caller.get(f"/pipelines/{pipeline['name']}/").body["input"] == {"type": "object"}
    said = {"pipeline": pipeline["name"], "input": {"number": 21, "wait": False}}
    with workers.worker(shell_environment, project_folder):
        run = caller.post("/runs/", said, Idempotency_Key="once").body["id"]
        verbs = watched(caller, run, "runs.run.finished")
        assert (verbs[0], verbs[-1]) == ("runs.run.queued", "runs.run.finished")
        done = caller.get(f"/runs/{run}/").body
        assert (done["outcome"], done["result"], done["verdict"]["verdict"]) == ("verified", {"double": 42}, "pass")

        newer = caller.post(f"/runs/{run}/reverify/").body["id"]
        watched(caller, newer, "runs.run.finished")
        assert caller.get(f"/runs/{run}/").body["reverified_by"][0]["run"] == newer

        endless = caller.post("/runs/", {**said, "input": {"number": 1, "wait": True}}).body["id"]
        watched(caller, endless, "runs.call.dispatched")
        assert caller.post(f"/runs/{endless}/cancel/").status == 200
        watched(caller, endless, "runs.run.finished")
        ended = caller.get(f"/runs/{endless}/").body
        assert (ended["outcome"], ended["cancelled_by"]) == ("cancelled", "person:alice")
    assert [each["id"] for each in caller.get("/runs/?outcome=cancelled").body["items"]] == [endless]
