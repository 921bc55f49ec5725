"""Orchestra as contestant: a warm engine in this process, rounds of runs from `start_run` to the finished row.

`ours.py` with ORCHESTRA_HOME and ORCHESTRA_DATABASE_URL set. A round is {"way": "batch", "pipeline": name, "runs": n, "doors": m},
{"way": "single", "pipeline": name, "runs": n}, {"way": "call" or "entries", "runs": n}, {"way": "export", "form": name} or
{"way": "fill", "pipeline": name, "runs": n}.
Every round of runs is counted in the database before it is answered: all verified, or no figure.
"""

# ruff: noqa: E402 - Django is set up before its models are imported

import asyncio
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "sdk")]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra_site.settings")

import django

django.setup()

import filling
from django.core.management import call_command
from django.db import transaction

from agents import registry
from agents.children import Broken, Job, Pool
from audit import clock
from audit.actors import Actor
from audit.exports import make_export
from audit.identity import new_id
from audit.ledger import Draft, record
from audit.models import Entry
from audit.reports import Filters
from runs.engine.states import Outcome, Verb
from runs.models import Run
from runs.services import start_run
from runs.worker import Engine, EngineOptions, Event

ACTOR = Actor.system("shell")
LONGEST_S = 60
MOST_DOORS = 20
GROUP = 2_000
ENTRIES = 1 + 1 + 3 + 3 + 1  # queued, started; each step started, returned or judged; finished


class Bench:
    """One engine for all rounds. Starts happen in threads of their own, as a door's would."""

    def __init__(self) -> None:
        self.engine = Engine(EngineOptions(listener=self._heard))
        self.door = ThreadPoolExecutor(MOST_DOORS, thread_name_prefix="door")
        self.pool = Pool(1)
        self._awaited: set[UUID] = set()
        self._finished: set[UUID] = set()
        self._done = asyncio.Event()

    def _heard(self, event: Event) -> None:
        """The engine looks by itself too, so a run may finish before its whole batch has been started."""
        if event.verb == Verb.RUN_FINISHED:
            self._finished.add(event.run)
            if self._awaited and self._awaited <= self._finished:
                self._done.set()

    async def at_door(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.door, function, *args)

    async def batch(self, pipeline: str, runs: int, doors: int) -> dict[str, Any]:
        begun, used = time.perf_counter(), time.process_time()
        shares = [runs // doors + (1 if number < runs % doors else 0) for number in range(doors)]
        ids = [one for share in await asyncio.gather(*(self.at_door(_start, pipeline, share) for share in shares)) for one in share]
        started = time.perf_counter()
        await self._end_of(ids)
        seconds, cpu = time.perf_counter() - begun, time.process_time() - used
        await self.at_door(_refuse_unverified, ids)
        return {"seconds": seconds, "start_seconds": started - begun, "cpu_seconds": cpu}

    async def single(self, pipeline: str, runs: int) -> dict[str, Any]:
        """One at a time: the median of a whole run on an engine that has nothing else to do."""
        took, ids = [], []
        for _ in range(runs):
            begun = time.perf_counter()
            one = await self.at_door(_start, pipeline, 1)
            await self._end_of(one)
            took.append(time.perf_counter() - begun)
            ids += one
        await self.at_door(_refuse_unverified, ids)
        return {"p50_ms": statistics.median(took) * 1000, "seconds": sum(took)}

    async def _end_of(self, ids: list[UUID]) -> None:
        """The engine would look by itself; here it is told, as by a door in its process."""
        self._awaited = set(ids)
        if not self._awaited <= self._finished:
            self.engine.wake()
            await asyncio.wait_for(self._done.wait(), timeout=LONGEST_S)
        self._done.clear()
        self._awaited.clear()
        self._finished.clear()

    async def call(self, runs: int) -> dict[str, Any]:
        """The same function, `runs` times through one warm child."""
        took = []
        for number in range(runs + 1):
            begun = time.perf_counter()
            answer = await self.pool.call(_job(number), timeout_s=30, progress_timeout_s=None, on_call=_no_tools, on_progress=lambda *_: None)
            took.append(time.perf_counter() - begun)
            assert not isinstance(answer, Broken), answer
        return {"p50_ms": statistics.median(took[1:]) * 1000, "first_ms": took[0] * 1000}

    async def entries(self, runs: int) -> dict[str, Any]:
        await self.at_door(_fill, runs)
        return {}

    async def fill(self, pipeline: str, runs: int) -> dict[str, Any]:
        await self.at_door(filling.copy_finished, pipeline, runs)
        return {}

    async def export(self, form: str) -> dict[str, Any]:
        made: dict[str, Any] = await self.at_door(_export, form)
        return made


def _fill(entries: int) -> None:
    """Entries such as steps leave, without the steps."""
    facts = {"step": "first", "attempt": 1, "result": "0" * 64, "as_of": None}
    for _ in range(entries // GROUP):
        draft = Draft(Verb.STEP_RETURNED, ACTOR, "step:first", team="bench-makers", agent="inline-first", facts=facts)
        with transaction.atomic():
            record([replace(draft, id=new_id()) for _ in range(GROUP)], now=clock.now())


def _export(form: str) -> dict[str, Any]:
    with tempfile.TemporaryFile() as into:
        begun = time.perf_counter()
        made = make_export(form=form, filters=Filters(), into=into, actor=ACTOR)
        return {"rows_s": made.count / (time.perf_counter() - begun)}


def _start(pipeline: str, runs: int) -> list[UUID]:
    return [start_run(pipeline=pipeline, input={"value": number}, actor=ACTOR, ring=False).id for number in range(runs)]


def _refuse_unverified(ids: list[UUID]) -> None:
    verified = Run.objects.filter(id__in=ids, outcome=Outcome.VERIFIED).count()
    entries = Entry.objects.filter(run__in=ids, seq__isnull=False).count()
    if verified != len(ids) or entries < len(ids) * ENTRIES:
        raise AssertionError(f"{verified} of {len(ids)} runs are verified, with {entries} ledger entries of at least {len(ids) * ENTRIES}")


def _job(number: int) -> Job:
    folder = HERE / "pipelines" / "functions"
    return Job(folder, "steps:first", {"value": number}, {}, memory_bytes=512 * 1024 * 1024, network=False, key="bench")


async def _no_tools(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    raise AssertionError(f"nobody asks for {tool} {arguments}")


def _prepare() -> None:
    call_command("migrate", verbosity=0, interactive=False)
    for name in ("inline", "functions"):
        registry.apply_folder(HERE / "pipelines" / name, actor=ACTOR, publish=True)


async def main() -> None:
    bench = Bench()
    await bench.at_door(_prepare)
    ways: Mapping[str, Callable[..., Awaitable[dict[str, Any]]]] = {
        way.__name__: way for way in (bench.batch, bench.single, bench.call, bench.entries, bench.fill, bench.export)
    }
    gc.collect()
    gc.freeze()  # as a worker does
    engine = asyncio.create_task(bench.engine.run())
    _say({"ready": True})
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        _say(await ways[asked.pop("way")](**asked))
    bench.engine.stop()
    await engine
    await bench.pool.close()


def _say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
