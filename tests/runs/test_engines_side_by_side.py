"""What several engines and workers do in the same moment: one is quicker, and the others go on as if nothing had been."""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from unittest import mock
from uuid import uuid4

import pytest
from django.db import connections
from django.db.models.query import QuerySet
from django_q.models import Schedule

from runs import queue, services
from runs.models import Run, Wait
from runs.services import fitting
from runs.worker import Engine, EngineOptions, supervisor
from runs.worker import engine as engine_module
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = "def run(got: object = None) -> dict:\n    return {'got': got}\n"


@pytest.fixture
def parked(tmp_path: Path) -> Run:
    """A run that waited for an engine of its kind, and one is here."""
    steps = "- {id: paid, wait: {signal: payment, timeout: 1h}}\n- {id: work, agent: worker, with: {got: =steps.paid}}"
    pipelines.publish(tmp_path / "p", steps=steps, agents=[agent("worker", "work:run")], functions=WORK)
    run = pipelines.start()
    Run.objects.filter(id=run.id).update(engine_abi=99)
    assert services.park_incompatible(actor=pipelines.SYSTEM) == 1
    Run.objects.filter(id=run.id).update(engine_abi=2)
    return run


def resumed_after(quicker: object) -> int:
    real = fitting.answer

    def late(*args: object, **kwargs: object) -> Wait:
        with mock.patch.object(fitting, "answer", real):
            quicker()  # type: ignore[operator]
        return real(*args, **kwargs)  # type: ignore[arg-type]

    with mock.patch.object(fitting, "answer", late):
        return services.resume_compatible(actor=pipelines.SYSTEM)


def test_of_two_engines_that_resume_one_run_the_slower_counts_nothing_and_goes_on(parked: Run) -> None:
    assert resumed_after(lambda: services.resume_compatible(actor=pipelines.SYSTEM)) == 0
    assert Wait.objects.get(run=parked, kind="incompatible").state == "answered"


def test_a_run_that_was_cancelled_before_it_was_resumed_does_not_end_the_sweep(parked: Run) -> None:
    assert resumed_after(lambda: services.cancel_run(run=str(parked.id), actor=pipelines.SYSTEM)) == 0


def test_two_first_starts_in_one_moment_leave_one_sweep_on_the_schedule() -> None:
    Schedule.objects.all().delete()
    barrier, real = threading.Barrier(2), QuerySet.exists

    def exists(self: "QuerySet[Schedule]") -> bool:
        found = real(self)
        with suppress(threading.BrokenBarrierError):
            barrier.wait(10)
        return found

    def first_start() -> None:
        try:
            queue.ensure_schedule()
        finally:
            connections.close_all()

    with mock.patch.object(QuerySet, "exists", exists):
        starts = [threading.Thread(target=first_start) for _ in range(2)]
        for each in starts:
            each.start()
        for each in starts:
            each.join()
    queue.ensure_schedule()
    assert Schedule.objects.filter(name="orchestra-sweep").count() == 1


def test_two_sweeps_that_an_earlier_start_left_on_the_schedule_become_one_the_older() -> None:
    Schedule.objects.all().delete()
    first, _ = [Schedule.objects.create(name="orchestra-sweep", func=queue.SWEEP) for _ in range(2)]
    queue.ensure_schedule()
    assert list(Schedule.objects.filter(name="orchestra-sweep")) == [first]


def test_a_clerk_that_meets_an_error_of_any_kind_says_so_and_writes_again(caplog: pytest.LogCaptureFixture) -> None:
    clerk, wrote = supervisor.Clerk(), threading.Event()
    errors = [RuntimeError("odd")]

    def announce(*_: object, **__: object) -> None:
        if errors:
            raise errors.pop()
        wrote.set()

    with mock.patch.object(supervisor.presence, "announce", announce):
        clerk.start()
        clerk.engine_is_there(SimpleNamespace(id=uuid4(), process=SimpleNamespace(pid=1)))  # type: ignore[arg-type]
        assert wrote.wait(20)
        clerk.close()
    assert "what the supervisor sees can't be written" in caplog.text


def test_a_sweep_that_fails_is_said_aloud_and_the_engine_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> int:
        engine, sweeps, loops = Engine(EngineOptions(children=1)), list[int](), [asyncio.get_running_loop()]

        def odd() -> int:
            sweeps.append(1)
            if len(sweeps) == 1:
                raise RuntimeError("odd")
            if len(sweeps) > 2:
                loops[0].call_soon_threadsafe(engine.stop)
            return 0

        with mock.patch.object(engine_module.sweeps, "fit_engines", odd):
            await asyncio.wait_for(engine.run(), 60)
        return len(sweeps)

    assert asyncio.run(work()) > 2
    assert "a sweep failed" in caplog.text
