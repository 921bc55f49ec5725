"""An agent is suspended: runs that need it fail, in its name, and go on once it is resumed."""

import threading
import time
from pathlib import Path

import pytest
from django.db import connections

from agents import registry
from tests import pipelines
from tests.pipelines import SYSTEM, agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import pathlib, time

def wait(folder: str) -> dict:
    here = pathlib.Path(folder)
    (here / "waiting").touch()
    while not (here / "go").exists():
        time.sleep(0.02)
    return {}

def work() -> dict:
    return {}
"""
STEPS = """
- {id: first, agent: waiter, with: {folder: =input.folder}}
- {id: second, agent: worker}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    agents = [agent("waiter", "work:wait"), agent("worker", "work:work")]
    pipelines.publish(tmp_path / "p", functions=WORK, agents=agents, steps=STEPS)
    return tmp_path


def test_a_run_with_a_suspended_agent_fails_as_stopped_until_it_is_resumed(folder: Path) -> None:
    (folder / "go").touch()
    registry.suspend("worker", actor=SYSTEM, reason="reads nonsense")
    said = pipelines.run(input={"folder": str(folder)})
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", "stopped", "agent:worker")
    assert (pipelines.step(said, "first")["state"], said["failure"]["step"]) == ("returned", "second")
    registry.resume("worker", actor=SYSTEM)
    assert pipelines.run(input={"folder": str(folder)})["outcome"] == "verified"


def test_a_run_at_work_feels_the_suspension_of_an_agent_that_it_still_needs(folder: Path) -> None:
    def suspend() -> None:
        until = time.monotonic() + 20
        while not (folder / "waiting").exists() and time.monotonic() < until:
            time.sleep(0.02)
        registry.suspend("worker", actor=SYSTEM, reason="reads nonsense")
        connections.close_all()
        time.sleep(1.5)  # workers look every 500 ms
        (folder / "go").touch()

    thread = threading.Thread(target=suspend)
    thread.start()
    said = pipelines.run(input={"folder": str(folder)})
    thread.join()
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", "stopped", "agent:worker")
