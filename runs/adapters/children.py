"""Calls of a team's functions in child interpreters. A value in, a value out; knows no run.

One per engine process. Called by the boundary only.
"""

import asyncio
from collections import deque

from agents.children import Broken, CallError, Job, OnCall, OnProgress, Pool, PoolClosed, Returned

__all__ = ["Broken", "CallError", "Children", "Job", "OnCall", "OnProgress", "PoolClosed", "Returned"]


class Children:
    """The pool, with places that are taken before a call's intent is written: who waits for a child isn't dispatched yet."""

    def __init__(self, size: int) -> None:
        self._pool = Pool(size)
        self._free = size
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_now(self) -> bool:
        """Take a place if one is free and nobody waits before us."""
        if self._free == 0 or self._waiting:
            return False
        self._free -= 1
        return True

    async def take(self) -> None:
        if self.take_now():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def give_back(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    async def call(
        self, job: Job, *, timeout_s: float, progress_timeout_s: float | None, on_call: OnCall, on_progress: OnProgress
    ) -> Returned | Broken:
        """Run `job`; the caller holds a place."""
        return await self._pool.call(job, timeout_s=timeout_s, progress_timeout_s=progress_timeout_s, on_call=on_call, on_progress=on_progress)

    async def close(self) -> None:
        await self._pool.close()
