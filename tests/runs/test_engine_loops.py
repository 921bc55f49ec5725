"""The loops of an engine by themselves: what ends them, and what must not keep one going."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from runs import store
from runs.models import Run
from runs.worker import EngineOptions, engine
from tests import families, pipelines
from tests.pipelines import agent
from tests.workers import until


@pytest.mark.parametrize("turns", range(4))
async def test_a_loop_that_is_ended_as_the_bell_rings_ends(turns: int) -> None:
    rung = asyncio.Event()
    waiting = asyncio.create_task(engine._first(rung, 60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rung.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    had_ended = waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled() or had_ended


class Cable:
    """Between an engine and its database: `pull` it, and nothing is answered until it is plugged in again."""

    def __init__(self) -> None:
        self._plugged = threading.Event()
        self.pull, self.plug = self._plugged.clear, self._plugged.set
        self.plug()

    def through(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*args: Any, **kwargs: Any) -> Any:
            self._plugged.wait(60)
            return real(*args, **kwargs)

        return asked


@pytest.fixture
def cable(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cable]:
    made = Cable()
    for name in ("heartbeat", "look", "claim"):
        monkeypatch.setattr(store, name, made.through(getattr(store, name)))
    yield made
    made.plug()


@pytest.fixture
def asleep(transactional_db: None, tmp_path: Path) -> Run:
    """A run whose function does nothing for a minute."""
    functions = "import time\n\ndef run() -> dict:\n    time.sleep(60)\n    return {}\n"
    pipelines.publish(tmp_path / "p", functions=functions, agents=[agent("worker", "work:run", timeout="90s")], steps="- {id: work, agent: worker}")
    return pipelines.start()


async def test_an_engine_whose_database_says_nothing_drops_its_runs_before_their_lease_has_run_out(
    asleep: Run, cable: Cable, caplog: pytest.LogCaptureFixture
) -> None:
    alone = engine.Engine(EngineOptions(children=1, ttl=timedelta(seconds=4), beat_s=1.0))
    with caplog.at_level(logging.INFO):
        task = asyncio.create_task(alone.run())
        await sync_to_async(until)(lambda: Run.objects.get(id=asleep.id).state == "running", "the start of the run")
        cable.pull()
        await sync_to_async(until)(lambda: "its lease has run out" in caplog.text, "the drop", 20)
        await sync_to_async(until)(lambda: not alone._driving, "the end of what was at work", 20)
    cable.plug()
    alone.stop()
    await task


class Hesitant(engine.Engine):
    """Its first beat reaches the database when the run that it is about has been parked, and ends when that run has been taken up again."""

    def __init__(self, run: Run, taken_up: Callable[[], bool]) -> None:
        super().__init__(EngineOptions(children=1, beat_s=0.02))
        self.about, self.taken_up, self.seen = run.id, taken_up, 0

    async def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if function is store.heartbeat and self.about in kwargs["runs"] and not self.seen:
            self.seen = 1
            while self.about in self._driving and not self._drivers[self.about].parked:  # noqa: ASYNC110 - the engine's own state
                await asyncio.sleep(0.001)
            answer = await super()._call(function, *args, **kwargs)
            while not self.taken_up():  # noqa: ASYNC110 - a child does it
                await asyncio.sleep(0.005)
            self.seen = 2
            return answer
        return await super()._call(function, *args, **kwargs)


async def test_a_beat_drops_no_run_that_was_parked_and_taken_up_again_meanwhile(
    transactional_db: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log, go = tmp_path / "log", tmp_path / "log.go"
    steps = ("- {id: first, agent: user, with: {got: 1}}", "- {id: nap, wait: {for: 100ms}}", "- {id: works, agent: slow, with: {log: =input.log}}")
    await sync_to_async(families.publish)(tmp_path / "p", steps=steps)
    run = await sync_to_async(pipelines.start)(input={"log": str(log)})
    alone = Hesitant(run, log.exists)
    with caplog.at_level(logging.INFO):
        task = asyncio.create_task(alone.run())
        await sync_to_async(until)(lambda: alone.seen == 2, "the end of the beat")
        go.touch()
        await sync_to_async(until)(lambda: Run.objects.get(id=run.id).outcome is not None, "the end of the run")
    alone.stop()
    await task
    assert "another worker holds it" not in caplog.text
