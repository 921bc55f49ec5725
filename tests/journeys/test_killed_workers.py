"""A worker is killed with -9 in the middle of a call; another one takes the run over."""

import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from audit import clock, reports
from audit.actors import Actor
from runs import services
from runs.models import Call, Resolution, Run
from tests import pipelines
from tests.pipelines import agent
from tests.workers import SHORT_LEASES, kill, until, worker

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import pathlib, time

def work(folder: str, name: str) -> dict:
    here = pathlib.Path(folder)
    with open(here / f"{name}.starts", "a") as starts:
        starts.write("x")
    while not (here / "go").exists():
        time.sleep(0.02)
    return {"name": name}
"""

MODES = {"read": ("decide", ""), "idempotent": ("act", "mode: {idempotent: =input.name}"), "at_most_once": ("act", "")}


def publish(path: Path, mode: str) -> None:
    role, more = MODES[mode]
    pipelines.publish(
        path / "p",
        functions=WORK,
        agents=[agent("worker", "work:work", role=role, timeout="60s", more=more)],
        steps="""
        - {id: first, agent: worker, with: {folder: =input.folder, name: first}}
        - {id: second, agent: worker, with: {folder: =input.folder, name: second}}
        """,
    )


def starts(folder: Path, name: str) -> int:
    file = folder / f"{name}.starts"
    return len(file.read_text()) if file.exists() else 0


def finished(run: Run) -> bool:
    run.refresh_from_db()
    return run.outcome is not None


@pytest.mark.parametrize("mode", ["read", "idempotent"])
def test_a_call_that_may_be_sent_again_is_and_the_run_ends_as_it_would_have(
    mode: str, tmp_path: Path, shell_environment: dict[str, str], project_folder: Path
) -> None:
    publish(tmp_path, mode)
    run = pipelines.start(input={"folder": str(tmp_path)})
    with worker(shell_environment, project_folder) as first:
        until(lambda: starts(tmp_path, "first") == 1, "the first call")
        kill(first)
    (tmp_path / "go").touch()
    with worker(shell_environment, project_folder):
        until(lambda: finished(run), "the end of the run")
    assert run.outcome == "verified"
    assert (starts(tmp_path, "first"), starts(tmp_path, "second")) == (2, 1)
    verbs = Counter(entry["verb"] for entry in reports.entries_of(run.id))
    assert reports.chain_problems(run.id) == []
    assert (verbs["runs.call.dispatched"], verbs["runs.call.resent"], verbs["runs.call.confirmed"]) == (3, 1, 3)
    assert (verbs["runs.step.started"], verbs["runs.step.returned"], verbs["runs.run.finished"], verbs["runs.run.resumed"]) == (3, 2, 1, 1)


def test_an_at_most_once_call_in_flight_is_sent_again_only_when_a_person_says_that_it_was_not_done(
    tmp_path: Path, shell_environment: dict[str, str], project_folder: Path
) -> None:
    publish(tmp_path, "at_most_once")
    run = pipelines.start(input={"folder": str(tmp_path)})
    with worker(shell_environment, project_folder) as first:
        until(lambda: starts(tmp_path, "first") == 1, "the first call")
        kill(first)
    (tmp_path / "go").touch()
    with worker(shell_environment, project_folder):
        until(lambda: Run.objects.get(id=run.id).state == "waiting", "the run to wait for somebody")
        assert starts(tmp_path, "first") == 1
        call = Call.objects.get(run=run)
        assert call.state == "unresolved"
        Call.objects.filter(key=call.key).update(not_after=clock.now() - timedelta(minutes=1))
        bob = Actor(kind="person", id="bob", auth="test", teams=frozenset({"platform"}))
        settlement = services.Settlement(Resolution.NOT_DONE, reason="its log says that it never began")
        services.settle_call(call=str(call.id), settlement=settlement, actor=bob)
        until(lambda: finished(run), "the end of the run")
    assert (pipelines.document(run)["outcome"], starts(tmp_path, "first")) == ("verified", 2)
    assert reports.chain_problems(run.id) == []


DIES_INSTEAD_OF_WRITING = """
import os, signal, sys
from django.core.management import execute_from_command_line
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra_site.settings")
import django
django.setup()
from runs.store import committer
committer.commit = lambda batch: os.kill(os.getpid(), signal.SIGKILL)
execute_from_command_line(["manage.py", "worker", "--no-queue"])
"""


def test_inline_steps_that_a_worker_did_not_live_to_write_are_done_again(
    tmp_path: Path, shell_environment: dict[str, str], project_folder: Path
) -> None:
    """The worker dies with three steps done in memory: nothing of them is true, and the next worker writes them once."""
    agent_text = "kind: agent\nname: {}\nteam: platform\nrole: {}\npurpose: Test.\nrun: {{inline: {}}}\ntimeout: 20s\n"
    agents = [agent_text.format("echo", "decide", "noop") + "input: {type: object}", agent_text.format("twin", "check", "same")]
    steps = "- {id: one, agent: echo, with: {n: =input.n}}\n- {id: two, agent: echo, with: {n: =steps.one.n}}"
    verify = "verify: {agent: twin, with: {left: =result.n, right: =input.n}}"
    pipelines.publish(tmp_path / "p", functions="", agents=agents, steps=steps, verify=verify)
    run = pipelines.start(input={"n": 1})
    died = subprocess.run([sys.executable, "-c", DIES_INSTEAD_OF_WRITING], cwd=project_folder, env={**shell_environment, **SHORT_LEASES}, check=False)
    run.refresh_from_db()
    assert (died.returncode, run.fence, run.attempt, run.revision, run.steps.count()) == (-signal.SIGKILL, 1, 1, 0, 0)
    assert [entry["verb"] for entry in reports.entries_of(run.id)] == ["runs.run.queued"]
    with worker(shell_environment, project_folder):
        until(lambda: finished(run), "the end of the run")
    verbs = Counter(entry["verb"] for entry in reports.entries_of(run.id))
    assert (run.outcome, run.fence, run.revision, run.attempt, reports.chain_problems(run.id)) == ("verified", 2, 1, 0, [])
    assert (verbs["runs.step.started"], verbs["runs.step.returned"], verbs["runs.step.judged"], verbs["runs.run.finished"]) == (3, 2, 1, 1)
