"""Calls of a team's functions in child interpreters. A value in, a value out; knows no run.

One per engine process. Called by the boundary only.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.children import Broken, CallError, Job, OnCall, OnProgress, Pool, PoolClosed, Returned

__all__ = ["Broken", "CallError", "Children", "Job", "OnCall", "OnProgress", "PoolClosed", "Returned"]


MOST_PASSED_OVER: Final = 8
"""How often the longest waiting call lets one go first that finds its child warm: a cold one costs a hundred times as much."""


@dataclass(eq=False, slots=True)
class _Waiter:
    key: str
    turn: asyncio.Future[None]
    passed_over: int = 0


class Children:
    """The pool, with places that are taken before a call's intent is written: who waits for a child isn't dispatched yet.

    A `key` is that of the pool's jobs: the agent version that a child serves.
    """

    def __init__(self, size: int, hidden: Sequence[Path] = ()) -> None:
        self._pool = Pool(size, hidden)
        self._free = size
        self._waiting: list[_Waiter] = []

    def take_now(self) -> bool:
        """Take a place if one is free; while somebody waits, none is."""
        if self._free == 0:
            return False
        self._free -= 1
        return True

    async def take(self, key: str) -> None:
        if self.take_now():
            return
        waiter = _Waiter(key, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            else:  # the place had been given to us already
                self.give_back(key)
            raise

    def give_back(self, key: str) -> None:
        """The place goes to whoever finds the child of this key warm, unless the longest waiting one has let enough go first."""
        waiting = [waiter for waiter in self._waiting if not waiter.turn.done()]  # a cancelled one has yet to notice
        if not waiting:
            self._free += 1
            return
        longest = waiting[0]
        chosen = next((waiter for waiter in waiting if waiter.key == key), longest)
        if chosen is not longest:
            longest.passed_over += 1
            if longest.passed_over > MOST_PASSED_OVER:
                chosen = longest
        self._waiting.remove(chosen)
        chosen.turn.set_result(None)

    async def call(
        self, job: Job, *, timeout_s: float, progress_timeout_s: float | None, on_call: OnCall, on_progress: OnProgress
    ) -> Returned | Broken:
        """Run `job`; the caller holds a place."""
        return await self._pool.call(job, timeout_s=timeout_s, progress_timeout_s=progress_timeout_s, on_call=on_call, on_progress=on_progress)

    async def close(self) -> None:
        await self._pool.close()
