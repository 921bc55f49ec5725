"""A worker is stopped for longer than its lease and goes on afterwards; another one has taken its run meanwhile."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from audit import reports
from runs.models import Call, Run
from tests import pipelines
from tests.pipelines import agent
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


def test_a_paused_worker_that_wakes_finds_its_run_taken_and_changes_nothing(
    tmp_path: Path, shell_environment: dict[str, str], project_folder: Path
) -> None:
    pipelines.publish(
        tmp_path / "p",
        functions=WORK,
        agents=[agent("worker", "work:work", timeout="60s", more="cost: 0.002 USD")],
        steps="- {id: work, agent: worker, with: {folder: =input.folder}}",
    )
    run = pipelines.start(input={"folder": str(tmp_path)})

    def starts() -> int:
        file = tmp_path / "starts"
        return len(file.read_text()) if file.exists() else 0

    def refreshed() -> Run:
        run.refresh_from_db()
        return run

    with worker(shell_environment, project_folder) as paused:
        until(lambda: starts() == 1, "the first call")
        os.kill(paused.pid, signal.SIGSTOP)
        with worker(shell_environment, project_folder):
            until(lambda: starts() == 2, "the second worker's call")
            os.kill(paused.pid, signal.SIGCONT)
            (tmp_path / "go").touch()
            until(lambda: refreshed().outcome is not None, "the end of the run")
            paused.send_signal(signal.SIGTERM)
            paused.wait(20)
    assert (run.outcome, run.fence, run.spent_nano, run.reserved_nano) == ("verified", 2, 2_000_000, 0)
    verbs = Counter(entry["verb"] for entry in reports.entries_of(run.id))
    assert (verbs["runs.run.finished"], verbs["runs.step.returned"], verbs["runs.run.resumed"]) == (1, 1, 1)
    assert reports.charges_of(run.id).charges == 1
    assert Call.objects.filter(run=run, step="work").count() == 1
    assert reports.chain_problems(run.id) == []
