"""Committer threads: the only threads of an engine that touch the database, each with a connection of its own.

Transitions that are ready together commit together. Knows nothing of runs beyond what a Transition says.
"""

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from django.db import DatabaseError, close_old_connections, connection, connections

from runs.store.transitions import Transition, Written
from runs.store.writing import commit

P = ParamSpec("P")
T = TypeVar("T")

GROUP = 64
log = logging.getLogger(__name__)


def threads() -> int:
    """SQLite has one writer at a time, so one; PostgreSQL gets two."""
    return 2 if connection.vendor == "postgresql" else 1


class Committer:
    """Bound to one event loop."""

    def __init__(self) -> None:
        self._threads = threads()
        self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="committer")
        self._waiting: list[tuple[Transition, asyncio.Future[Written]]] = []  # of each run that is driven here one: it waits for its answer
        self._flushing: set[asyncio.Task[None]] = set()
        self._lasting: set[asyncio.Task[None]] = set()
        self._busy = 0
        self.sizes: Counter[int] = Counter()
        """How many groups of how many transitions were written, for whoever looks on."""

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a use of the database in a committer thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: _used(function, *args, **kwargs))

    async def commit(self, transition: Transition) -> Written:
        """Write one transition, with whatever else is ready. A DatabaseError means that nobody knows whether it was written."""
        answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting.append((transition, answer))
        if self._busy < self._threads:
            self._busy += 1
            task = asyncio.create_task(self._flush())
            self._flushing.add(task)
            task.add_done_callback(self._flushing.discard)
        return await answer

    async def lasting(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what must be written to its end, though whoever waits for it is cancelled; `close` waits for it as well."""
        task = asyncio.create_task(work)
        self._lasting.add(task)
        task.add_done_callback(self._lasting.discard)
        await asyncio.shield(task)

    async def close(self) -> None:
        while under_way := self._flushing | self._lasting:
            await asyncio.wait(under_way)
        # A connection belongs to its thread: the barrier gives each thread exactly one of these.
        together = threading.Barrier(self._threads)
        await asyncio.gather(*(self.call(_close_own_connection, together) for _ in range(self._threads)))
        self._executor.shutdown(wait=True)

    async def _flush(self) -> None:
        try:
            await self._flush_all()
        finally:
            self._busy -= 1  # in the same breath as the last look at what waits: whoever comes later starts a flush of its own

    async def _flush_all(self) -> None:
        await asyncio.sleep(0)  # let everything that is ready in this turn of the loop join the group
        while self._waiting:
            # A driver that was abandoned wants nothing written any more; the one that follows it may have a transition of the same run here.
            wanted = [each for each in self._waiting if not each[1].done()]
            batch, self._waiting = wanted[:GROUP], wanted[GROUP:]
            if not batch:
                break
            self.sizes[len(batch)] += 1
            answers: Sequence[Written | Exception]
            try:
                answers = await self.call(commit, [transition for transition, _ in batch])
            except Exception as error:  # noqa: BLE001 - each of the group is told; a neighbour's error is not theirs
                answers = await self._one_by_one(batch, error)
            for (_, future), answer in zip(batch, answers, strict=True):
                _answer(future, answer)

    async def _one_by_one(self, batch: list[tuple[Transition, asyncio.Future[Written]]], error: Exception) -> list[Written | Exception]:
        """A group that failed is written one by one: only what is wrong fails."""
        if len(batch) == 1:
            return [error]
        log.warning("a group of %d transitions failed (%s); writing them one by one", len(batch), error)
        answers: list[Written | Exception] = []
        for transition, _ in batch:
            try:
                answers += await self.call(commit, [transition])
            except Exception as alone:  # noqa: BLE001 - handed to whoever waits for it
                answers.append(alone)
        return answers


def _close_own_connection(together: threading.Barrier) -> None:
    together.wait(timeout=30)
    connections.close_all()


def _used(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A thread of ours has no request whose end would drop a broken connection."""
    try:
        return function(*args, **kwargs)
    except DatabaseError:
        close_old_connections()
        raise


def _answer(future: asyncio.Future[Written], answer: Written | Exception) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
