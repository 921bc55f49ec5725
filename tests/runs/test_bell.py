"""The bell: what is rung by any process is heard by every engine at once, and without it runs are found at the next look."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction

from runs import bell, queue, services
from runs.bell.publish import Publish
from runs.models import Engine, Run
from runs.worker import EngineOptions
from runs.worker import engine as loop
from tests import pipelines, servers
from tests.pipelines import agent
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)


@asynccontextmanager
async def listening(one: bell.Bell) -> AsyncIterator["asyncio.Queue[UUID | None]"]:
    """Everything that is heard, from the moment on when it listens."""
    heard: asyncio.Queue[UUID | None] = asyncio.Queue()
    task = asyncio.create_task(one.listen(heard.put_nowait))
    assert await asyncio.wait_for(heard.get(), 10) is None
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def pipeline(tmp_path: Path) -> None:
    functions = "import time\n\ndef run(wait: float = 0) -> dict:\n    time.sleep(wait)\n    return {}\n"
    steps = "- {id: work, agent: worker, with: {wait: =input.wait}}"
    pipelines.publish(tmp_path / "p", functions=functions, agents=[agent("worker", "work:run")], steps=steps)


def started(wait: float = 0) -> Run:
    return services.start_run(pipeline="sample", input={"wait": wait}, actor=pipelines.SYSTEM)


def heard_of(run: UUID) -> set[UUID | None]:
    """SQLite's bell doesn't say which run."""
    return {None} if isinstance(bell.bell(), bell.DataVersion) else {run}


async def test_the_bell_of_this_installation_is_heard_on_commit(pipeline: None) -> None:
    async with listening(bell.bell()) as heard:
        run = await sync_to_async(started)()
        assert await asyncio.wait_for(heard.get(), 10) in heard_of(run.id)


async def test_redis_carries_the_id_of_the_run(private_redis: servers.Server) -> None:
    one, run = Publish(private_redis.url), uuid4()
    async with listening(one) as heard:
        one.ring(run)
        assert await asyncio.wait_for(heard.get(), 10) == run


async def test_several_are_rung_for_at_once(pipeline: None) -> None:
    if isinstance(bell.bell(), bell.DataVersion):
        pytest.skip("SQLite's ring is the commit, and says of no run that it is meant")
    runs = [uuid4(), uuid4()]
    async with listening(bell.bell()) as heard:
        await sync_to_async(bell.ring)(*runs)
        assert [await asyncio.wait_for(heard.get(), 10) for _ in runs] == runs


async def test_another_database_of_the_same_redis_is_another_bell(private_redis: servers.Server) -> None:
    one, run = Publish(private_redis.url), uuid4()
    async with listening(one) as heard:
        Publish(private_redis.url.removesuffix("/0") + "/1").ring(uuid4())
        one.ring(run)
        assert await asyncio.wait_for(heard.get(), 10) == run


def test_a_ring_waits_for_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[UUID] = []
    monkeypatch.setattr(bell, "ring", rung.append)
    monkeypatch.setattr(queue, "enqueue", lambda chore: None)
    run = uuid4()
    with transaction.atomic():
        queue.ring(run)
        assert rung == []
    assert rung == [run]


def test_rings_that_come_in_one_moment_call_for_an_engine_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[tuple[UUID, ...]] = []
    called: list[str] = []
    under_way, go, runs = threading.Event(), threading.Event(), [uuid4() for _ in range(4)]

    def ring(*some: UUID) -> None:
        rung.append(some)
        under_way.set()
        assert go.wait(30)

    monkeypatch.setattr(bell, "ring", ring)
    monkeypatch.setattr(queue, "enqueue", called.append)
    monkeypatch.setattr(queue, "_somebody_hears", lambda: False)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(queue.ring, runs[0])
        assert under_way.wait(30)
        others = [threads.submit(queue.ring, run) for run in runs[1:]]
        until(lambda: len(queue._TOGETHER._waiting[None]) == 3, "the other three's waiting")
        go.set()
        for one in (first, *others):
            one.result(30)
    assert [len(some) for some in rung] == [1, 3] and {run for some in rung for run in some} == set(runs)
    assert called == [queue.WAKE] * 2


def test_nothing_is_rung_for_what_was_rolled_back(monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[UUID] = []
    monkeypatch.setattr(bell, "ring", rung.append)
    with transaction.atomic():
        queue.ring(uuid4())
        transaction.set_rollback(True)
    assert rung == []


def test_a_bell_that_cant_be_rung_does_not_keep_a_run_from_starting(
    pipeline: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bell, "bell", lambda: Publish("redis://127.0.0.1:1/0"))
    assert started().state == "queued"
    assert "the bell could not be rung" in caplog.text


async def test_a_bell_that_breaks_is_listened_to_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    heard: asyncio.Queue[UUID | None] = asyncio.Queue()

    class Breaking:
        def ring(self, run: UUID) -> None: ...

        async def listen(self, heard: Callable[[UUID | None], None]) -> None:
            heard(None)
            raise ConnectionError("cut off")

    monkeypatch.setattr(bell, "bell", Breaking)
    monkeypatch.setattr(bell, "AGAIN_S", 0.01)
    task = asyncio.create_task(bell.listen(heard.put_nowait))
    for _ in range(3):
        assert await asyncio.wait_for(heard.get(), 10) is None
    task.cancel()
    assert "the bell can't be heard (cut off)" in caplog.text


# --- an engine hears it ----------------------------------------------------------------------------------------------


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks so rare that only the bell can be what woke it."""
    monkeypatch.setattr(loop, "CLAIM_S", 600.0)
    monkeypatch.setattr(loop, "LOOK_S", 600.0)


async def seen(condition: Callable[[], bool], what: str) -> None:
    await sync_to_async(until)(condition, what)


async def ended(run: Run) -> Run:
    await seen(lambda: Run.objects.filter(id=run.id, outcome__isnull=False).exists(), "the end of the run")
    return await Run.objects.aget(id=run.id)


@asynccontextmanager
async def idle_engine() -> AsyncIterator[loop.Engine]:
    engine = loop.Engine(EngineOptions(children=1))
    task = asyncio.create_task(engine.run())
    await seen(lambda: Engine.objects.filter(id=engine.id).exists(), "the engine's start")
    await asyncio.sleep(0.3)  # its first look is over, and found nothing
    try:
        yield engine
    finally:
        engine.stop()
        await task


async def test_an_idle_engine_takes_what_is_started(pipeline: None, unhurried: None) -> None:
    async with idle_engine():
        run = await ended(await sync_to_async(started)())
    assert run.outcome == "verified"


async def test_a_cancel_is_felt_by_the_engine_that_drives_the_run(pipeline: None, unhurried: None) -> None:
    async with idle_engine():
        run = await sync_to_async(started)(wait=60)
        await seen(run.steps.exists, "the run's first step")
        await sync_to_async(services.cancel_run)(run=str(run.id), actor=pipelines.SYSTEM)
        run = await ended(run)
    assert run.outcome == "cancelled"


async def test_an_engine_that_hears_nothing_finds_runs_by_itself(
    pipeline: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bell, "bell", lambda: Publish("redis://127.0.0.1:1/0"))
    with caplog.at_level(logging.WARNING):
        async with idle_engine():
            run = await ended(await sync_to_async(started)())
    assert run.outcome == "verified"
    assert "the bell can't be heard" in caplog.text


async def test_a_ring_puts_nothing_on_the_queue_where_an_engine_lives(pipeline: None, monkeypatch: pytest.MonkeyPatch) -> None:
    chores: list[str] = []
    monkeypatch.setattr(queue, "enqueue", chores.append)
    async with idle_engine():
        await ended(await sync_to_async(started)())
    assert chores == []
    await sync_to_async(started)()
    assert chores == [queue.WAKE]


def test_sqlites_bell_hears_every_commit_but_no_read(db: None) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has NOTIFY")

    async def two_looks() -> int:
        async with listening(bell.DataVersion()) as heard:
            await sync_to_async(Engine.objects.count)()
            await asyncio.sleep(0.2)
            return heard.qsize()

    assert asyncio.run(two_looks()) == 0
