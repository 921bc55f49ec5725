"""Who gets which child: a warm one of its own key, a slot for a new one, or another key's child, which is ended for it.

Must not know jobs, results or deadlines, and ends nothing itself. Called by the pool, inside one event loop.
"""

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field

from agents.children.process import Process

Key = tuple[object, ...]
"""The agent version first, then what else a child is made for."""

QUICK_S = 0.1
"""A child that answers so soon is worth waiting for: a new one takes as long to start, and another version's is ended for it."""
AT_REST_S = 1.0
"""A child that has had nothing to do for so long is anybody's, also a call's that could wait for a quick one of its own version."""
LONGEST_S = 1.0
"""After so long a call takes whichever child comes next, of whatever version."""
AHEAD_S = 0.2
MOST_AHEAD = 64
"""So many calls may stand before a child that answers them within `AHEAD_S`."""


@dataclass(eq=False, slots=True)
class Child:
    process: Process
    key: Key
    calls: int = 0
    since: float = 0.0
    """When its last call, or its rest after it, began (monotonic)."""
    took_s: float = 0.0
    """What its calls take: believed at once where it is less, slowly where it is more."""
    ahead: int = 0
    """How many calls may stand before it."""

    @property
    def is_quick(self) -> bool:
        return self.took_s <= QUICK_S

    def learn(self, took_s: float) -> None:
        """The first call also imports what the function needs: a slow one says nothing yet."""
        if self.calls <= 1 and took_s > QUICK_S:
            return
        self.took_s = 0.8 * self.took_s + 0.2 * took_s if self.ahead and took_s > self.took_s else took_s
        self.ahead = min(int(AHEAD_S / max(self.took_s, 1e-6)), MOST_AHEAD)


@dataclass(eq=False, slots=True)
class _Waiter:
    key: Key
    since: float = field(default_factory=time.monotonic)
    turn: "asyncio.Future[Child | None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Turns:
    """`size` slots; a child, idle or busy, keeps its own."""

    def __init__(self, size: int) -> None:
        self.idle: list[Child] = []
        self._slots = size  # free ones
        self._waiting: list[_Waiter] = []
        self._living: Counter[object] = Counter()  # by agent version, as the next ones
        self._quick: Counter[object] = Counter()
        self._ahead: Counter[object] = Counter()

    def living(self, version: object) -> int:
        """How many children serve this agent version."""
        return self._living[version]

    def ahead(self, version: object) -> int:
        """How many calls of this agent version may wait for its children, because they answer quickly."""
        return self._ahead[version]

    def take_warm(self, key: Key) -> Child | None:
        """An idle child of this key, if there is one."""
        child = next((child for child in reversed(self.idle) if child.key == key), None)
        if child is not None:
            self.idle.remove(child)
        return child

    async def take(self, key: Key) -> Child | None:
        """A child to use, or one of another key or none: then a new one is started in its place, and counts from now on.

        For a key that has no idle child.
        """
        if self._slots:
            self._slots -= 1
            return self._for(key, None)
        victim = self._victim(key)
        if victim is not None:
            return self._for(key, victim)
        waiter = _Waiter(key)
        self._waiting.append(waiter)
        timer = asyncio.get_running_loop().create_task(self._look_again(waiter)) if self.idle else None
        try:
            return await waiter.turn
        except asyncio.CancelledError:
            if waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
                self._take_back(key, waiter.turn.result())  # it came in the same moment as the cancellation
            raise
        finally:
            if timer is not None:
                timer.cancel()
            with contextlib.suppress(ValueError):
                self._waiting.remove(waiter)

    def give(self, child: Child | None) -> None:
        """A child that may be used again, or None: an empty slot."""
        waiter = self._next_for(child)
        if waiter is not None:
            self._waiting.remove(waiter)
            waiter.turn.set_result(self._for(waiter.key, child))
        elif child is None:
            self._slots += 1
        else:
            child.since = time.monotonic()
            self.idle.append(child)

    def timed(self, child: Child, took_s: float) -> None:
        """Its call took so long."""
        self._count(child, -1)
        child.learn(took_s)
        self._count(child, 1)

    def forget(self, child: Child) -> None:
        """It is ended."""
        self._count(child, -1)

    def not_started(self, key: Key) -> None:
        """The new child of whose turn it was."""
        self._expect(key, -1)
        self.give(None)

    def _for(self, key: Key, child: Child | None) -> Child | None:
        """In one breath: whoever looks next must not see a version without children while its first is being started."""
        if child is None or child.key != key:
            self._expect(key, 1)
        if child is not None and child.key != key:
            self._count(child, -1)
        return child

    def _take_back(self, key: Key, child: Child | None) -> None:
        if child is None or child.key != key:
            self._expect(key, -1)
        if child is not None and child.key != key:
            self._count(child, 1)
        self.give(child)

    def _count(self, child: Child, by: int) -> None:
        self._quick[child.key[0]] += by * (child.is_quick - 1)
        self._ahead[child.key[0]] += by * child.ahead
        self._expect(child.key, by)

    def _expect(self, key: Key, by: int) -> None:
        """A new child: nothing is known of it, so it is worth waiting for."""
        version = key[0]
        self._living[version] += by
        self._quick[version] += by
        if not self._living[version]:
            del self._living[version], self._quick[version], self._ahead[version]

    def refuse_all(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.turn.done():
                waiter.turn.set_exception(error)

    def _victim(self, key: Key) -> Child | None:
        """An idle child of another version that may be ended for this call: of the version that has most of them, the one at rest longest."""
        before = time.monotonic() - AT_REST_S
        idle = [child for child in self.idle if child.since <= before] if self._quick[key[0]] else self.idle
        count = Counter(child.key for child in idle)
        chosen = max(idle, key=lambda child: count[child.key], default=None)  # the first of the largest
        if chosen is not None:
            self.idle.remove(chosen)
        return chosen

    def _next_for(self, child: Child | None) -> _Waiter | None:
        """Who finds this child warm; but a quick version keeps only one from those who have none, or slow ones."""
        waiting = [waiter for waiter in self._waiting if not waiter.turn.done()]  # a cancelled one has yet to notice
        if not waiting or child is None or waiting[0].since <= time.monotonic() - LONGEST_S:
            return waiting[0] if waiting else None
        warm = next((waiter for waiter in waiting if waiter.key == child.key), None)
        needy = next((waiter for waiter in waiting if not self._quick[waiter.key[0]]), None)
        return needy or warm if self._quick[child.key[0]] > 1 else warm or needy

    async def _look_again(self, waiter: _Waiter) -> None:
        """Those who were idle when it came may be at rest by now."""
        while not waiter.turn.done():
            await asyncio.sleep(AT_REST_S)
            victim = None if waiter.turn.done() else self._victim(waiter.key)
            if victim is not None:
                self._waiting.remove(waiter)
                waiter.turn.set_result(self._for(waiter.key, victim))
