"""A worker in a process of its own, in the middle of a long call, feels a stop that somebody types elsewhere; after it the run goes on."""

import subprocess
import sys
from pathlib import Path

import pytest

from audit import reports
from runs.models import Call, Run
from tests import pipelines
from tests.pipelines import agent
from tests.shell import typed
from tests.workers import until, worker

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import pathlib, time

def work(folder: str) -> dict:
    here = pathlib.Path(folder)
    with open(here / "starts", "a") as starts:
        starts.write("x")
    while not (here / "go").exists():
        time.sleep(0.02)
    return {}
"""


@pytest.mark.parametrize("mode", ["read", "at_most_once"])
def test_a_long_call_is_cut_short_and_the_run_goes_on_after_the_stop(
    mode: str, tmp_path: Path, shell_environment: dict[str, str], project_folder: Path
) -> None:
    long = agent("worker", "work:work", role="act" if mode == "at_most_once" else "decide", timeout="120s")
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[long], steps="- {id: one, agent: worker, with: {folder: =input.folder}}")
    run = pipelines.start(input={"folder": str(tmp_path)})

    def at(state: str) -> bool:
        return Run.objects.filter(id=run.id, state=state).exists()

    def manage(*words: str) -> None:
        subprocess.run([sys.executable, "manage.py", *words], cwd=project_folder, env=shell_environment, check=True, capture_output=True)

    with worker(shell_environment, project_folder):
        until((tmp_path / "starts").exists, "the call")
        manage("stop", "everything", "--reason", "a drill")
        until(lambda: at("waiting"), "the wait")
        (shown,) = typed("stops", "--json").document
        proof = typed("stops", "show", shown["id"], "--json").document["proof"]
        assert (proof["quiet"], proof["sent_after"], proof["in_flight"], proof["still_out"]) == (True, 0, 1, 0)
        (tmp_path / "go").touch()
        manage("resume", "everything")
        if mode == "read":
            until(lambda: at("finished"), "the end of the run")
    states = [(call.attempt, call.state) for call in Call.objects.filter(run=run, step="one").order_by("attempt")]
    assert states == ([(1, "unresolved")] if mode == "at_most_once" else [(1, "refused"), (2, "confirmed")])
    assert (tmp_path / "starts").read_text() == ("x" if mode == "at_most_once" else "xx")
    assert reports.chain_problems(run.id) == []
