"""A run whose first call would only wait for a child isn't begun: nothing is written of it, and it can be ended at once."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async

from audit import reports
from runs import services
from runs.models import Run
from runs.worker import Engine, EngineOptions
from tests import pipelines
from tests.pipelines import agent
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import pathlib, time

def run(place: str, name: str) -> dict:
    pathlib.Path(place, name).write_text("sent")
    while not pathlib.Path(place, "released").exists():
        time.sleep(0.01)
    return {"ok": True}
"""
STEPS = "- {id: work, agent: worker, with: {place: =input.place, name: =input.name}}"


def queued(tmp_path: Path, *, limits: str = "") -> list[Run]:
    """Two of them; there is one child, which the older one's function holds."""
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("worker", "work:run")], steps=STEPS, **({"more": limits} if limits else {}))
    return [pipelines.start(input={"place": str(tmp_path), "name": name}) for name in ("older", "younger")]


@asynccontextmanager
async def at_work(tmp_path: Path, runs: list[Run]) -> AsyncIterator[Engine]:
    engine = Engine(EngineOptions(only=frozenset(run.id for run in runs), children=1))
    driving = asyncio.create_task(engine.run())
    try:
        await asyncio.to_thread(until, (tmp_path / "older").exists, "the older run's function")
        await asyncio.to_thread(until, lambda: Run.objects.get(id=runs[1].id).lease_owner == engine.id, "the claim of the younger one")
        yield engine
        (tmp_path / "released").touch()
        await asyncio.wait_for(driving, timeout=30)
    finally:
        driving.cancel()
        await asyncio.gather(driving, return_exceptions=True)


def meanwhile(tmp_path: Path, runs: list[Run], act: Callable[[Engine], Awaitable[None]]) -> None:
    async def drive() -> None:
        async with at_work(tmp_path, runs) as engine:
            await act(engine)

    asyncio.run(drive())


def verbs(run: Run) -> list[str]:
    return [entry["verb"] for entry in reports.entries_of(run.id)]


def test_it_is_queued_until_there_is_a_child_for_its_first_call(tmp_path: Path) -> None:
    runs, seen = queued(tmp_path), list[object]()

    async def look(_: Engine) -> None:
        seen.append(await sync_to_async(verbs)(runs[1]))
        seen.append(await sync_to_async(lambda: (Run.objects.get(id=runs[1].id).state, runs[1].steps.count()))())

    meanwhile(tmp_path, runs, look)
    assert seen == [["runs.run.queued"], ("queued", 0)]
    assert [pipelines.document(run)["outcome"] for run in runs] == ["verified", "verified"]


def test_it_is_cancelled_though_nothing_comes_free(tmp_path: Path) -> None:
    runs = queued(tmp_path)

    async def cancel(_: Engine) -> None:
        await sync_to_async(services.cancel_run)(run=str(runs[1].id), actor=pipelines.SYSTEM)
        await asyncio.to_thread(until, lambda: Run.objects.get(id=runs[1].id).state == "finished", "its end")

    meanwhile(tmp_path, runs, cancel)
    assert [pipelines.document(run)["outcome"] for run in runs] == ["verified", "cancelled"]
    assert not (tmp_path / "younger").exists()


def test_it_fails_at_its_deadline_though_nothing_comes_free(tmp_path: Path) -> None:
    runs = queued(tmp_path, limits="limits: {timeout: 6s}")
    Run.objects.filter(id=runs[0].id).update(deadline_at=runs[0].deadline_at + timedelta(minutes=1))

    async def wait(_: Engine) -> None:
        await asyncio.to_thread(until, lambda: Run.objects.get(id=runs[1].id).state == "finished", "its end")

    meanwhile(tmp_path, runs, wait)
    said = pipelines.document(runs[1])
    assert (said["outcome"], said["failure"]["cause"]) == ("failed", "deadline")
    assert not (tmp_path / "younger").exists()


def test_when_what_held_a_child_is_killed_only_the_run_that_gets_the_next_one_is_begun(tmp_path: Path) -> None:
    """Else all of them were begun, and most failed at a deadline of work that was never sent."""
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("worker", "work:run", timeout="1s")], steps=STEPS)
    runs = [pipelines.start(input={"place": str(tmp_path), "name": str(number)}) for number in range(4)]
    asyncio.run(Engine(EngineOptions(only=frozenset(run.id for run in runs), children=1)).run())
    said = [pipelines.document(run) for run in runs]
    assert [each["failure"]["cause"] for each in said] == ["deadline"] * 4
    assert [(tmp_path / str(number)).exists() for number in range(4)] == [True] * 4
    begun = sorted(run.steps.get(key="work").started_at for run in runs)
    assert all(later - earlier >= timedelta(seconds=1) for earlier, later in itertools.pairwise(begun))
