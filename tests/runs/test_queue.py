"""The queue is a doorbell: losing it delays a run and never loses one, and nothing but chores goes through it."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psutil
import pytest
from django.conf import settings
from django.core.management import call_command
from django_q.models import OrmQ, Schedule

from audit import clock
from runs import queue, services, tasks
from runs.models import Engine, Run
from runs.worker import spawn
from tests import pipelines
from tests.pipelines import agent
from tests.workers import SHORT_LEASES, until, worker

pytestmark = pytest.mark.django_db(transaction=True)

needs_orm_broker = pytest.mark.skipif("redis" in settings.Q_CLUSTER, reason="the queue of this run is Redis")


@pytest.fixture(autouse=True)
def published(tmp_path: Path) -> None:
    functions = "def run(**_) -> dict:\n    return {}\n"
    pipelines.publish(tmp_path / "p", functions=functions, agents=[agent("worker", "work:run")], steps="- {id: work, agent: worker}")


def ringing() -> Run:
    return services.start_run(pipeline="sample", input={}, actor=pipelines.SYSTEM)


def is_finished(run: Run) -> bool:
    run.refresh_from_db()
    return run.outcome is not None


@needs_orm_broker
def test_a_start_rings_and_runs_whose_rings_were_all_lost_still_run(shell_environment: dict[str, str], project_folder: Path) -> None:
    runs = [ringing() for _ in range(3)]
    assert OrmQ.objects.count() == 3
    OrmQ.objects.all().delete()
    with worker(shell_environment, project_folder):
        until(lambda: all(is_finished(run) for run in runs), "the end of the runs")
    assert {run.outcome for run in runs} == {"verified"}


def test_a_broken_broker_does_not_keep_a_run_from_starting(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*args: object, **options: object) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr("django_q.tasks.async_task", broken)
    assert ringing().state == "queued"
    assert "the bell could not be rung (no broker)" in caplog.text


@pytest.mark.parametrize("name", ["os.system", "runs.tasks", "runs.tasks.wake ", ""])
def test_only_chores_may_be_put_on_the_queue(name: str) -> None:
    with pytest.raises(ValueError, match="is no chore"):
        queue.enqueue(name)


def test_every_chore_can_be_called_by_its_name() -> None:
    assert {f"runs.tasks.{chore.__name__}" for chore in (tasks.wake, tasks.sweep)} == queue.CHORES


def test_the_schedule_is_made_once_and_says_when_it_is_due() -> None:
    queue.ensure_schedule()
    queue.ensure_schedule()
    assert Schedule.objects.filter(func=queue.SWEEP).count() == 1
    assert queue.sweep_due_at() is not None


# --- the net where no engine lives ---------------------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    pids: list[int] = []

    def instead(_: UUID) -> int:
        pids.append(4711)
        return 4711

    monkeypatch.setattr(spawn, "short_lived_engine", instead)
    return pids


def living(*, serves_all: bool = True, beat_s: float = 0, stopped: bool = False) -> None:
    now = clock.now()
    beat = now - timedelta(seconds=beat_s)
    Engine.objects.create(id=uuid4(), host="here", pid=1, serves_all=serves_all, started_at=now, beat_at=beat, stopped_at=now if stopped else None)


def test_a_wake_starts_an_engine_where_a_run_is_ready_and_none_lives(started: list[int]) -> None:
    pipelines.start()
    assert tasks.wake() == "started engine process 4711"
    assert started == [4711]


def test_many_rings_start_one_engine_and_another_only_when_it_never_comes_up(started: list[int]) -> None:
    pipelines.start()
    for _ in range(50):
        tasks.wake()
    assert started == [4711]
    Engine.objects.update(beat_at=clock.now() - timedelta(hours=1))
    assert tasks.sweep().endswith("started engine process 4711")
    assert started == [4711, 4711]


def test_a_wake_starts_none_where_one_lives(started: list[int]) -> None:
    pipelines.start()
    living()
    tasks.wake()
    assert started == []


def test_a_wake_starts_none_where_nothing_is_ready(started: list[int]) -> None:
    tasks.wake()
    assert started == []


def test_a_queue_within_a_worker_starts_none_since_its_own_may_still_be_at_its_start(started: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be in nobody's care, and outlive a worker that is told to end."""
    pipelines.start()
    monkeypatch.setattr(queue.Beside, "engine", True)
    assert tasks.sweep().endswith("the worker that keeps this queue keeps an engine too")
    assert started == []


@pytest.mark.parametrize("engine", [{"stopped": True}, {"serves_all": False}, {"beat_s": 3600}])
def test_an_engine_that_stopped_died_or_serves_one_run_is_none(started: list[int], engine: dict[str, float]) -> None:
    pipelines.start()
    living(**engine)  # type: ignore[arg-type]
    tasks.wake()
    assert started == [4711]


def test_the_engine_that_a_wake_starts_runs_what_is_ready(monkeypatch: pytest.MonkeyPatch, shell_environment: dict[str, str]) -> None:
    for name, value in {**shell_environment, **SHORT_LEASES}.items():
        monkeypatch.setenv(name, value)
    run = pipelines.start()
    pid = int(tasks.wake().rpartition(" ")[2])
    try:
        until(lambda: is_finished(run), "the end of the run")
        assert run.outcome == "verified"
        assert os.getsid(pid) == pid
        assert Engine.objects.get(pid=pid).serves_all
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    assert Engine.objects.get(pid=pid).stopped_at is not None


def test_an_idle_worker_leaves_and_says_so() -> None:
    run = pipelines.start()
    call_command("worker", "--no-queue", "--idle", "0.2", skip_checks=True)
    assert is_finished(run)
    assert Engine.objects.get().stopped_at is not None


def test_the_queues_cluster_does_not_outlive_whoever_started_it(shell_environment: dict[str, str], project_folder: Path) -> None:
    command = [sys.executable, "manage.py", "chores"]
    with subprocess.Popen(command, cwd=project_folder, env=shell_environment, stdin=subprocess.PIPE, start_new_session=True) as cluster:
        members = psutil.Process(cluster.pid)
        until(lambda: len(members.children(recursive=True)) >= 3, "the cluster's start")
        family = members.children(recursive=True)
        assert cluster.stdin is not None
        cluster.stdin.close()  # as the kernel does when its worker is killed
        cluster.wait(timeout=30)
    until(lambda: not any(process.is_running() for process in family), "the end of the cluster's processes")
