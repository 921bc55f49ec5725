"""Warm and cold children, at most `size` at a time: started for a call, used again, ended.

Must not know what a call means; it knows keys and deadlines. Who gets which child is decided by its turns.
Called by the children adapter, inside one event loop.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from agents.children.calls import Conversation
from agents.children.process import Ended, can_contain, start
from agents.children.turns import Child, Key, Turns
from agents.children.values import Broken, Job, MayGo, NeverSent, OnCall, OnProgress, PoolClosed, Returned

_CALLS_PER_CHILD = 10_000  # then a fresh one: whatever a team's module collects has an end


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
        self._turns = Turns(size)
        self._busy: set[Child] = set()
        self._burials: set[asyncio.Task[None]] = set()

    @property
    def contains(self) -> bool:
        """Whether its children are kept from the network where no permission gives it; known for sure once one has started."""
        return can_contain()

    async def call(
        self,
        job: Job,
        *,
        timeout_s: float,
        progress_timeout_s: float | None,
        on_call: OnCall,
        on_progress: OnProgress,
        may_go: MayGo = lambda: None,
    ) -> Returned | Broken:
        """Runs `job` in a child. Returns within a second of `timeout_s`, whatever the function does.

        A call that found no child warm asks `may_go` when it has one: what that says is returned, and nothing was sent.
        The time spent waiting for a child counts. `progress_timeout_s` bounds the silence between two signs of life
        and rests while a tool call is in the boundary's hands. `on_call` returns the tool's value or raises CallError;
        it is cancelled when the deadline passes; any other exception of it ends the child and is raised here.
        Raises PoolClosed; NeverSent where it is cancelled while it waits.
        """
        child: Child | None = None
        talk: Conversation | None = None
        clock = asyncio.timeout(timeout_s)
        try:
            async with clock:
                warm = self._warm(job)
                child = warm or await self._obtain(job)
                talk = Conversation(child.process, job, on_call=on_call, on_progress=on_progress)
                result = (None if warm else may_go()) or await talk.hold(progress_timeout_s=progress_timeout_s)
        except TimeoutError:
            if not clock.expired():  # somebody else's, from on_call
                raise
            result = self._late(talk, timeout_s)
        except asyncio.CancelledError:
            if talk is None:
                raise NeverSent from None
            raise
        except Ended as ended:
            result = Broken("crashed", f"the child interpreter did not start ({ended})")
        finally:
            burial = None if child is None else self._give_back(child, talk)
        return await self._once_buried(burial, result)

    async def _once_buried(self, burial: asyncio.Task[None] | None, result: Returned | Broken) -> Returned | Broken:
        if burial is not None:
            await asyncio.shield(burial)
        if self._closed:
            raise PoolClosed
        return result

    async def close(self) -> None:
        """Ends every child. Waiting and running calls raise PoolClosed."""
        self._closed = True
        self._turns.refuse_all(PoolClosed())
        for child in self._busy:
            child.process.cut()
        self._bury_idle()
        while self._burials:
            await asyncio.wait(self._burials)

    def _late(self, talk: Conversation | None, timeout_s: float) -> Broken:
        if talk is None:
            return Broken("deadline", f"no child interpreter was free within {round(timeout_s, 2):g} s ({self.size} at most)", {"waited": True})
        return talk.broken("deadline", f"did not return within {round(timeout_s, 2):g} s")

    def ahead(self, version: str) -> int:
        """How many calls of this agent version may wait for its children, because they answer quickly."""
        return self._turns.ahead(version)

    def _warm(self, job: Job) -> Child | None:
        """A child that is there at once."""
        if self._closed:
            raise PoolClosed
        while (child := self._turns.take_warm(_key(job))) is not None:
            if not child.process.ended.done():
                return self._taken(child)
            self._bury(child)
        return None

    def living(self, version: str) -> int:
        """How many children serve this agent version."""
        return self._turns.living(version)

    async def _obtain(self, job: Job) -> Child:
        """A child of the job's own key when its turn has come, a new one if need be."""
        key = _key(job)
        try:
            child = await self._turns.take(key)
        finally:
            if self._closed:
                self._bury_idle()
        if child is not None and child.key == key:
            return self._taken(child)
        try:
            if child is not None:
                await asyncio.shield(child.process.ending())
            process = await start(memory_bytes=job.memory_bytes, network=job.network, hidden=self._hidden)
        except BaseException:
            self._turns.not_started(key)
            raise
        return self._taken(Child(process, key))

    def _taken(self, child: Child) -> Child:
        child.calls, child.since = child.calls + 1, time.monotonic()
        self._busy.add(child)
        return child

    def _give_back(self, child: Child, talk: Conversation | None) -> "asyncio.Task[None] | None":
        self._busy.discard(child)
        self._turns.timed(child, time.monotonic() - child.since)
        if talk is None or not talk.reusable or child.calls >= _CALLS_PER_CHILD or child.process.ended.done() or self._closed:
            return self._bury(child)
        self._turns.give(child)
        return None

    def _bury_idle(self) -> None:
        while self._turns.idle:
            self._bury(self._turns.idle.pop())

    def _bury(self, child: Child) -> "asyncio.Task[None]":
        self._turns.forget(child)
        child.process.cut()
        burial = asyncio.get_running_loop().create_task(self._end(child))
        self._burials.add(burial)
        burial.add_done_callback(self._burials.discard)
        return burial

    async def _end(self, child: Child) -> None:
        try:
            await child.process.ending()
        finally:
            self._turns.give(None)


def _key(job: Job) -> Key:
    return job.key, str(job.folder), job.memory_bytes, job.network
