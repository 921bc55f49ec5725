"""Warm and cold children, at most `size` at a time, first come first served.

Must not know what a call means; it knows keys, slots and deadlines.
Called by the children adapter, inside one event loop.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.children.calls import Conversation
from agents.children.process import Ended, Process, start
from agents.children.values import Broken, Job, OnCall, OnProgress, PoolClosed, Returned

_CALLS_PER_CHILD = 500  # then a fresh one: whatever a team's module collects has an end


@dataclass(eq=False)
class _Child:
    process: Process
    key: tuple[object, ...]
    calls: int = 0


class Pool:
    """At most `size` child interpreters. Use it in one event loop, best that of the main thread.

    `hidden`: files that are empty to every child, where the system can do that (level full).
    """

    def __init__(self, size: int, hidden: Sequence[Path] = ()) -> None:
        if size < 1:
            raise ValueError(f"a pool of {size} children can't call anything")
        self.size = size
        self._hidden = tuple(hidden)
        self._closed = False
        self._slots = size  # free ones; an idle child keeps its own
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._waiting: deque[asyncio.Future[_Child | None]] = deque()
        self._burials: set[asyncio.Task[None]] = set()

    async def call(
        self,
        job: Job,
        *,
        timeout_s: float,
        progress_timeout_s: float | None,
        on_call: OnCall,
        on_progress: OnProgress,
    ) -> Returned | Broken:
        """Runs `job` in a child. Returns within a second of `timeout_s`, whatever the function does.

        The time spent waiting for a child counts. `progress_timeout_s` bounds the silence between two signs of life
        and rests while a tool call is in the boundary's hands. `on_call` returns the tool's value or raises CallError;
        it is cancelled when the deadline passes; any other exception of it ends the child and is raised here.
        Raises PoolClosed.
        """
        child: _Child | None = None
        talk: Conversation | None = None
        burial: asyncio.Task[None] | None = None
        clock = asyncio.timeout(timeout_s)
        try:
            async with clock:
                child = await self._obtain(job)
                talk = Conversation(child.process, job, on_call=on_call, on_progress=on_progress)
                result = await talk.hold(progress_timeout_s=progress_timeout_s)
        except TimeoutError:
            if not clock.expired():  # somebody else's, from on_call
                raise
            result = self._late(talk, timeout_s)
        except Ended as ended:
            result = Broken("crashed", f"the child interpreter did not start ({ended})")
        finally:
            if child is not None:
                burial = self._give_back(child, reusable=talk is not None and talk.reusable and not self._closed)
        if burial is not None:
            await asyncio.shield(burial)
        if self._closed:
            raise PoolClosed
        return result

    async def close(self) -> None:
        """Ends every child. Waiting and running calls raise PoolClosed."""
        self._closed = True
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(PoolClosed())
        self._waiting.clear()
        for child in self._busy:
            child.process.cut()
        while self._idle:
            self._bury(self._idle.pop())
        while self._burials:
            await asyncio.wait(self._burials)

    def _late(self, talk: Conversation | None, timeout_s: float) -> Broken:
        if talk is None:
            return Broken("deadline", f"no child interpreter was free within {timeout_s:g} s ({self.size} at most)", {"waited": True})
        return talk.broken("deadline", f"did not return within {timeout_s:g} s")

    async def _obtain(self, job: Job) -> _Child:
        if self._closed:
            raise PoolClosed
        key = (job.key, str(job.folder), job.memory_bytes, job.network)
        child = await self._turn(key)
        if child is not None and child.key == key and not child.process.ended.done():
            return self._taken(child)
        try:
            if child is not None:
                await asyncio.shield(child.process.ending())
            process = await start(memory_bytes=job.memory_bytes, network=job.network, hidden=self._hidden)
        except BaseException:
            self._pass_on(None)
            raise
        return self._taken(_Child(process, key))

    def _taken(self, child: _Child) -> _Child:
        child.calls += 1
        self._busy.add(child)
        return child

    async def _turn(self, key: tuple[object, ...]) -> _Child | None:
        """A slot, first come first served: a child to use (or to replace, if its key is another), or an empty one."""
        if not self._waiting:
            for child in reversed(self._idle):
                if child.key == key:
                    self._idle.remove(child)
                    return child
            if self._slots:
                self._slots -= 1
                return None
            if self._idle:
                return self._idle.pop(0)
        waiter: asyncio.Future[_Child | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())  # the slot came in the same moment as the cancellation
            raise
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(waiter)

    def _give_back(self, child: _Child, *, reusable: bool) -> "asyncio.Task[None] | None":
        self._busy.discard(child)
        if reusable and child.calls < _CALLS_PER_CHILD and not child.process.ended.done():
            self._pass_on(child)
            return None
        return self._bury(child)

    def _bury(self, child: _Child) -> "asyncio.Task[None]":
        child.process.cut()
        burial = asyncio.get_running_loop().create_task(self._end(child))
        self._burials.add(burial)
        burial.add_done_callback(self._burials.discard)
        return burial

    async def _end(self, child: _Child) -> None:
        try:
            await child.process.ending()
        finally:
            self._pass_on(None)

    def _pass_on(self, child: _Child | None) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(child)
                return
        if child is None:
            self._slots += 1
        elif self._closed:
            self._bury(child)
        else:
            self._idle.append(child)
