"""Waiting for a run's next entry on behalf of somebody who watches: few at once, and never long.

Each waiter holds a thread of the web server, so beyond a few the answer comes at once. Reads only.
"""

from __future__ import annotations

import time
from threading import BoundedSemaphore
from typing import Any, Final

from audit import reports
from audit.actors import Actor
from runs import services
from runs.models import Run, RunState

MOST_S: Final = 20
MOST_WAITERS: Final = 4
_PAUSE_S: Final = 0.25
_waiters = BoundedSemaphore(MOST_WAITERS)


def events(run: str, *, actor: Actor, after: int, limit: int, wait_s: int) -> dict[str, Any]:
    """The entries beyond `after`, and whether more may come. UnknownRun."""
    said = _events(services.find_run(run, actor=actor), after, limit)
    if said["items"] or said["finished"] or not wait_s or not _waiters.acquire(blocking=False):
        return said
    try:
        return _waited(run, actor, after, limit, until=time.monotonic() + wait_s)
    finally:
        _waiters.release()


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
    return {"items": found, "last": last, "finished": run.state == RunState.FINISHED and last >= run.seq}
