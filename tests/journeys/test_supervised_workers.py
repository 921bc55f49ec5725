"""A worker's processes are killed, stopped and told to end: what it keeps is replaced, what it has in hand ends or is given back."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from django_q.models import Success
from django_q.tasks import async_task

from audit import clock
from runs import queue, services
from runs.models import Engine, Kind, Run
from tests import pipelines
from tests.pipelines import agent
from tests.supervised import end, supervised, until_gone
from tests.workers import SHORT_LEASES, until

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import pathlib, time

def work(folder: str, seconds: float) -> dict:
    here = pathlib.Path(folder)
    with open(here / "starts", "a") as starts:
        starts.write("x")
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (here / "go").exists():
        time.sleep(0.02)
    return {}
"""


def started(folder: Path, *, seconds: float = 300) -> Run:
    pipelines.publish(
        folder / "p",
        functions=WORK,
        agents=[agent("worker", "work:work", timeout="60s")],
        steps="- {id: only, agent: worker, with: {folder: =input.folder, seconds: =input.seconds}}",
    )
    given = {"folder": str(folder), "seconds": seconds}
    return services.start_run(pipeline="sample", input=given, actor=pipelines.SYSTEM)


def starts(folder: Path) -> int:
    return len((folder / "starts").read_text()) if (folder / "starts").exists() else 0


def is_finished(run: Run) -> bool:
    run.refresh_from_db()
    return run.outcome is not None


def test_the_queue_goes_on_after_its_idle_workers_were_killed(shell_environment: dict[str, str], project_folder: Path) -> None:
    """They die holding the lock of the queue between them, and without a new cluster nobody would ever take a chore again."""
    with supervised(shell_environment, project_folder) as worker:
        first = worker.cluster
        assert first is not None
        until(lambda: Engine.objects.filter(kind=Kind.QUEUE, pid=first.pid).exists(), "the cluster's row")
        for each in worker.queue_workers():
            each.kill()
        until(lambda: worker.has_another_cluster(than=first), "another cluster")
        async_task(queue.SWEEP)
        until(lambda: Success.objects.filter(func=queue.SWEEP).exists(), "a chore's end")
        until(lambda: Engine.objects.filter(kind=Kind.QUEUE).alive(clock.now()).count() == 1, "the rows of both clusters")
    assert Engine.objects.get(pid=first.pid).stopped_at is not None


def test_an_engine_that_is_killed_is_replaced_and_its_run_taken_up_before_its_lease_runs_out(
    tmp_path: Path, shell_environment: dict[str, str], project_folder: Path
) -> None:
    run = started(tmp_path)
    with supervised({**shell_environment, "ORCHESTRA_LEASE_TTL_S": "600"}, project_folder, whole=False) as worker:
        until(lambda: starts(tmp_path) == 1, "the first call")
        assert worker.engine is not None
        worker.engine.kill()
        until(lambda: starts(tmp_path) == 2, "the second call")
        (tmp_path / "go").touch()
        until(lambda: is_finished(run), "the end of the run")
    assert (run.outcome, run.fence) == ("verified", 2)


def test_an_engine_that_stands_still_is_replaced(tmp_path: Path, shell_environment: dict[str, str], project_folder: Path) -> None:
    run = started(tmp_path)
    with supervised(shell_environment, project_folder, whole=False) as worker:
        until(lambda: starts(tmp_path) == 1, "the first call")
        first = worker.engine
        assert first is not None
        first.suspend()
        until(lambda: starts(tmp_path) == 2, "the second call")
        (tmp_path / "go").touch()
        until(lambda: is_finished(run), "the end of the run")
        until_gone([first])
    assert run.outcome == "verified"


def test_nothing_outlives_a_supervisor_that_is_killed_and_its_runs_are_given_back(
    tmp_path: Path, shell_environment: dict[str, str], project_folder: Path
) -> None:
    run = started(tmp_path)
    with supervised({**shell_environment, "ORCHESTRA_LEASE_TTL_S": "600"}, project_folder) as worker:
        until(lambda: starts(tmp_path) == 1, "the first call")
        family = worker.family()
        worker.process.kill()
        worker.process.wait()
        until_gone(family)
    run.refresh_from_db()
    assert (run.state, run.lease_owner, run.attempt) == ("running", None, 0)


def test_a_worker_that_is_told_to_end_lets_what_is_at_work_end(tmp_path: Path, shell_environment: dict[str, str], project_folder: Path) -> None:
    run = started(tmp_path, seconds=2)
    with supervised(shell_environment, project_folder) as worker:
        until(lambda: starts(tmp_path) == 1, "the first call")
        family = worker.family()
        worker.process.terminate()
        assert worker.process.wait(timeout=20) == 0
        until_gone(family)
    assert is_finished(run)
    assert (run.outcome, starts(tmp_path)) == ("verified", 1)
    assert not Engine.objects.filter(stopped_at=None).exists()


def test_told_twice_it_gives_back_at_once(tmp_path: Path, shell_environment: dict[str, str], project_folder: Path) -> None:
    run = started(tmp_path)
    with supervised({**shell_environment, "ORCHESTRA_LEASE_TTL_S": "600"}, project_folder) as worker:
        until(lambda: starts(tmp_path) == 1, "the first call")
        family = worker.family()
        worker.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        worker.process.send_signal(signal.SIGINT)
        assert worker.process.wait(timeout=20) == 0
        until_gone(family)
    run.refresh_from_db()
    assert (run.state, run.lease_owner, run.attempt) == ("running", None, 0)


def test_a_worker_that_may_be_idle_leaves_with_its_engine(shell_environment: dict[str, str], project_folder: Path) -> None:
    with supervised(shell_environment, project_folder, "--idle", "1", whole=False) as worker:
        assert worker.process.wait(timeout=60) == 0


HANGS = """
import asyncio, os, sys, time
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra_site.settings")
import django
django.setup()
from django.core.management import execute_from_command_line
from runs.worker import watch
watch.hang_s = lambda: 2.0
hold_up = lambda engine: asyncio.get_running_loop().call_later(1, time.sleep, 600)
inner = watch.ticking
def ticking(engine, told):
    hold_up(engine)
    return inner(engine, told)
watch.ticking = ticking
execute_from_command_line(["manage.py", "worker", "--no-queue"])
"""


def test_an_engine_whose_loop_hangs_ends_itself_and_says_where(shell_environment: dict[str, str], project_folder: Path) -> None:
    environment = {**shell_environment, **SHORT_LEASES}
    done = subprocess.run(
        [sys.executable, "-c", HANGS], cwd=project_folder, env=environment, stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "Timeout (0:00:02)!" in done.stderr


def test_a_bare_cluster_runs_pipelines_where_no_engine_lives(tmp_path: Path, shell_environment: dict[str, str], project_folder: Path) -> None:
    run = started(tmp_path, seconds=0)  # rung while nobody listens: the ring lies on the queue
    environment = {**shell_environment, **SHORT_LEASES}
    cluster = subprocess.Popen([sys.executable, "manage.py", "qcluster"], cwd=project_folder, env=environment, start_new_session=True)
    try:
        until(lambda: is_finished(run), "the end of the run")
    finally:
        engines = [psutil.Process(engine.pid) for engine in Engine.objects.filter(stopped_at=None) if psutil.pid_exists(engine.pid)]
        family = [*engines, *psutil.Process(cluster.pid).children(recursive=True)]
        cluster.kill()
        cluster.wait()
        end(family)
    assert run.outcome == "verified"
