"""An agent is suspended: runs that need it wait, and go on once it is resumed."""

import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections

from agents import registry
from audit import clock
from runs import sweeps
from runs.models import Run, Wait
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


def test_a_run_that_needs_a_suspended_agent_waits_until_it_is_resumed(folder: Path) -> None:
    (folder / "go").touch()
    registry.suspend("worker", actor=SYSTEM, reason="reads nonsense")
    run = pipelines.start(input={"folder": str(folder)})
    said = pipelines.drive(run)
    assert (said["state"], [(wait["step"], wait["kind"]) for wait in said["waits"]]) == ("waiting", [("second", "stopped")])
    assert pipelines.step(said, "first")["state"] == "returned"
    registry.resume("worker", actor=SYSTEM)
    sweeps.end_overdue()
    assert pipelines.drive(run)["outcome"] == "verified"


def test_a_run_that_nobody_lets_go_on_fails_as_stopped_in_the_agents_name(folder: Path) -> None:
    (folder / "go").touch()
    registry.suspend("worker", actor=SYSTEM, reason="reads nonsense")
    run = pipelines.start(input={"folder": str(folder)})
    pipelines.drive(run)
    past = clock.now() - timedelta(seconds=2)
    Wait.objects.update(expires_at=past)
    Run.objects.update(wake_at=past)
    said = pipelines.drive(run)
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", "stopped", "agent:worker")


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
    assert (said["state"], [(wait["step"], wait["subject"]) for wait in said["waits"]]) == ("waiting", [("second", "agent:worker")])
