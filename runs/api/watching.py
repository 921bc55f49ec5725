"""Waiting for a run's next entry on behalf of somebody who watches: few at once, fewer of one person, and never long.

Each waiter holds a thread of the web server, so beyond a few the answer comes at once and says when to ask again. Reads only.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final

from django.conf import settings

from audit import reports
from audit.actors import Actor
from runs import services
from runs.models import Run, RunState

MOST_S: Final = 20
MOST_OF_ONE: Final = 2
"""Where there are few places; else a quarter of them."""
RETRY_AFTER_S: Final = 2
_PAUSE_S: Final = 0.25


class Seats:
    """Places to wait, of one process: so many in all, and so many for one person, so that nobody takes them all."""

    def __init__(self, most: int, of_one: int) -> None:
        self._most, self._of_one = most, of_one
        self._lock, self._taken = Lock(), Counter[str]()

    @contextmanager
    def one_for(self, person: str) -> Iterator[bool]:
        """Whether there was one; it is free again at the end."""
        with self._lock:
            free = self._taken.total() < self._most and self._taken[person] < self._of_one
            self._taken[person] += free
        try:
            yield free
        finally:
            with self._lock:
                self._taken[person] -= free
                if not self._taken[person]:
                    del self._taken[person]


_seats = Seats(settings.ORCHESTRA_WATCHERS, max(MOST_OF_ONE, settings.ORCHESTRA_WATCHERS // 4))


def events(run: str, *, actor: Actor, after: int, limit: int, wait_s: int) -> dict[str, Any]:
    """The entries beyond `after`, whether more may come, and how long to leave it where there was no place to wait. UnknownRun."""
    said = _events(services.find_run(run, actor=actor), after, limit)
    if said["items"] or said["finished"] or not wait_s:
        return said
    with _seats.one_for(f"{actor.kind}:{actor.id}") as seated:
        if not seated:
            return {**said, "retry_after": RETRY_AFTER_S}
        return _waited(run, actor, after, limit, until=time.monotonic() + wait_s)


def _waited(run: str, actor: Actor, after: int, limit: int, *, until: float) -> dict[str, Any]:
    while True:
        said = _events(services.find_run(run, actor=actor), after, limit)
        left = until - time.monotonic()
        if said["items"] or said["finished"] or left <= 0:
            return said
        time.sleep(min(_PAUSE_S, left))


def _events(run: Run, after: int, limit: int) -> dict[str, Any]:
    found = reports.events_of(run.id, after=after, limit=limit)
    last = found[-1]["seq"] if found else after
    # As it is stored: a run past its deadline reads finished before anybody has written its end, and that entry is still to come.
    return {"items": found, "last": last, "finished": run.state == RunState.FINISHED and last >= run.seq, "retry_after": 0}
