"""Calls of a team's functions in child interpreters. A value in, a value out; knows no run.

One per engine process. Called by the boundary only.
"""

import asyncio
from bisect import insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from operator import attrgetter
from pathlib import Path
from typing import Final
from uuid import UUID

from agents.children import Broken, CallError, Job, MayGo, NeverSent, OnCall, OnProgress, Pool, PoolClosed, Returned
from runs.adapters.turns import NOBODYS, Rank, Share, Turns

__all__ = ["Broken", "CallError", "Children", "Job", "MayGo", "NeverSent", "OnCall", "OnProgress", "Place", "PoolClosed", "Returned", "Share"]


MOST_PASSED_OVER: Final = 8
"""How often a call lets a younger run's go first that finds its child warm: a cold one costs a hundred times as much."""
MOST_OUT_OF_TURN: Final = 1
"""How often it lets another team's or pipeline's go first for that, when it is its own turn."""


_Asks = tuple[str, float, Share]


@dataclass(eq=False, slots=True)
class _Waiter:
    run: UUID
    key: str
    ahead: float
    share: Share
    turn: "asyncio.Future[Place]"
    passed_over: int = 0

    @property
    def asks(self) -> "_Asks":
        return self.key, self.ahead, self.share

    def lets_pass(self, share: Share) -> bool:
        """One that asks in this name once more, if it has not been passed over often enough."""
        self.passed_over += 1
        return self.passed_over <= (MOST_PASSED_OVER if share == self.share else MOST_OUT_OF_TURN)


class Place:
    """The right to write one call's intent and send it."""

    __slots__ = ("_children", "key", "share")

    def __init__(self, children: "Children", key: str, share: Share) -> None:
        self._children: Children | None = children
        self.key, self.share = key, share

    def give_back(self) -> None:
        """Twice is once."""
        children, self._children = self._children, None
        if children is not None:
            children.give_back(self.key, self.share)


class Children:
    """The pool, with places that are taken before a call's intent is written: who waits for a child isn't dispatched yet.

    There are as many as children, and some more for calls whose children answer quickly, which would stand idle while each intent is
    committed: those may wait a moment with their intent written. `ahead` is the share of these that a call may take: all, or a few where it is
    the first of its run, or none where it may never be sent twice.
    Teams have them in turn, and of a team its pipelines by their priority (`turns`); of a pipeline the oldest run goes first, so that what has begun
    comes to its end. But who waits for a version whose children are busy keeps nobody from another version's. A `key` is that of the pool's jobs:
    the agent version that a child serves.
    """

    def __init__(self, size: int, hidden: Sequence[Path] = ()) -> None:
        self._pool = Pool(size, hidden)
        self._taken: Counter[str] = Counter()
        self._turns = Turns()
        self._shares: dict[UUID, Share] = {}
        self._waiting: dict[_Asks, list[_Waiter]] = {}  # by what they ask for and in whose name, the oldest run first
        self._offered: dict[UUID, Place] = {}
        self._handing_out = False

    def join(self, run: UUID, share: Share) -> None:
        """In this name it asks from now on."""
        self._shares[run] = share

    def leave(self, run: UUID) -> None:
        self._shares.pop(run, None)

    @property
    def contains(self) -> bool:
        """Whether children are kept from the network where no permission gives it, as far as it is known."""
        return self._pool.contains

    @property
    def are_free(self) -> bool:
        """Nobody has a place, so whoever asks gets one."""
        return not self._taken

    def take_now(self, run: UUID, key: str, *, ahead: float = 0) -> Place | None:
        """A place if there is one. While others wait it is only for a call that finds its child warm; before its rivals only so often.

        What was offered to the run is its own, whoever waits.
        """
        offered = self._offered.pop(run, None)
        if offered is not None and offered.key == key:
            return offered
        if offered is not None:
            offered.give_back()
        share = self._shares.get(run, NOBODYS)
        if not self._waiting:
            return self._place(key, share) if self._has_room(key, ahead) else None
        if not self._is_warm(key, ahead):
            return None
        mine = self._turns.rank(share, run)
        rival = next((each for each in self._in_turn() if self._rank(each) < mine and self._are_rivals(each, key, share)), None)
        return self._place(key, share) if rival is None or rival.lets_pass(share) else None

    async def take(self, run: UUID, key: str, *, ahead: float = 0) -> Place:
        place = self.take_now(run, key, ahead=ahead)
        if place is not None:
            return place
        waiter = _Waiter(run, key, ahead, self._shares.get(run, NOBODYS), asyncio.get_running_loop().create_future())
        insort(self._waiting.setdefault(waiter.asks, []), waiter, key=attrgetter("run"))
        try:
            return await waiter.turn
        except asyncio.CancelledError:
            if waiter in self._waiting.get(waiter.asks, ()):
                self._forget(waiter)
                self._hand_out_soon()  # who stood behind it may have room where it had none
            else:  # the place had been given to us already
                self.give_back(key, waiter.share)
            raise

    def offer(self, run: UUID, place: Place) -> None:
        """Kept for the call that this run makes before anything is awaited; given back where it makes none."""
        self._offered[run] = place
        asyncio.get_running_loop().call_soon(self._take_back, run, place)

    def _take_back(self, run: UUID, place: Place) -> None:
        if self._offered.get(run) is place:
            del self._offered[run]
            place.give_back()

    def give_back(self, key: str, share: Share) -> None:
        """Free again: for whoever goes on in this turn of the loop (a run's next step), then for those who wait."""
        self._turns.give_back(share)
        self._taken[key] -= 1
        if not self._taken[key]:
            del self._taken[key]
        self._hand_out_soon()

    def _hand_out_soon(self) -> None:
        if self._waiting and not self._handing_out:
            self._handing_out = True
            asyncio.get_running_loop().call_soon(self._hand_out)

    async def call(
        self, job: Job, *, timeout_s: float, progress_timeout_s: float | None, on_call: OnCall, on_progress: OnProgress, may_go: MayGo
    ) -> Returned | Broken:
        """Run `job`; the caller holds a place. `may_go` is asked if it had to wait with its intent written."""
        return await self._pool.call(
            job, timeout_s=timeout_s, progress_timeout_s=progress_timeout_s, on_call=on_call, on_progress=on_progress, may_go=may_go
        )

    async def close(self) -> None:
        await self._pool.close()

    def _place(self, key: str, share: Share) -> Place:
        self._taken[key] += 1
        self._turns.take(share)
        return Place(self, key, share)

    def _has_room(self, key: str, ahead: float) -> bool:
        more = ceil(self._pool.ahead(key) * ahead)
        return self._taken[key] < self._pool.living(key) + more if more else self._occupied(ahead) < self._pool.size

    def _occupied(self, ahead: float) -> int:
        """How many children are needed. Quick ones of a version soon have time: all but one of them are taken for whoever may wait."""
        return sum(min(taken, 1 if ahead else self._pool.living(key)) if self._pool.ahead(key) else taken for key, taken in self._taken.items())

    def _is_warm(self, key: str, ahead: float) -> bool:
        more = ceil(self._pool.ahead(key) * ahead)
        return self._has_room(key, ahead) and self._taken[key] < self._pool.living(key) + more

    def _are_rivals(self, first: _Waiter, key: str, share: Share) -> bool:
        """Whether a call of this version keeps that one from a child: one of its own version, or, where it has none, any. Or from its turn."""
        return first.share != share or first.key == key or not self._pool.living(first.key)

    def _rank(self, waiter: _Waiter) -> Rank:
        return self._turns.rank(waiter.share, waiter.run)

    def _in_turn(self) -> list[_Waiter]:
        """Of all who ask for the same in the same name the oldest run; whose turn it is first. A cancelled call has yet to notice."""
        found = (next((waiter for waiter in waiting if not waiter.turn.done()), None) for waiting in self._waiting.values())
        return sorted((waiter for waiter in found if waiter is not None), key=self._rank)

    def _forget(self, waiter: _Waiter) -> None:
        waiting = self._waiting[waiter.asks]
        waiting.remove(waiter)
        if not waiting:
            del self._waiting[waiter.asks]

    def _hand_out(self) -> None:
        self._handing_out = False
        while (chosen := self._next()) is not None:
            self._forget(chosen)
            chosen.turn.set_result(self._place(chosen.key, chosen.share))

    def _next(self) -> _Waiter | None:
        """Whoever finds a child warm, unless a rival before it has let enough go first; else whose turn it is, if there is room for it."""
        line = self._in_turn()
        for place, waiter in enumerate(line):
            if self._is_warm(waiter.key, waiter.ahead):
                rival = next((each for each in line[:place] if self._are_rivals(each, waiter.key, waiter.share)), None)
                if rival is None or rival.lets_pass(waiter.share):
                    return waiter
        return line[0] if line and self._has_room(line[0].key, line[0].ahead) else None
