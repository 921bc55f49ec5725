"""Room in the queue: how many runs wait to be begun, and whether one more may. What has begun, and child runs, are never asked.

Counts along the index of queued runs, no further than the bound, and not for every start. Called in the transaction that starts a run.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID
from zlib import crc32

from django.db import connection

from agents.models import Pipeline
from audit import bulk
from runs.errors import Overloaded, TooManyQueued

RETRY_S: Final = 10
LAST: Final = 1_024
"""So many of the last places are counted for each start, one after the other, by a lock. What is under way or given ahead elsewhere finds room in
them: the bound holds to the run as long as fewer runs than this are being started at once, in fewer than 16 processes."""
AHEAD: Final = 8
PIPELINES_AHEAD: Final = 8
"""Far from the bound a process that has counted starts so many runs of so many pipelines without a count; on PostgreSQL, where it costs most."""
_LOCKS: Final = 0x6F72
"""The class of our advisory locks on PostgreSQL."""

_OF_PIPELINE: Final = "SELECT 1 AS one FROM runs_run WHERE pipeline_id = %s AND state = 'queued' LIMIT %s"
_OF_TEAM: Final = (
    "SELECT 1 AS one FROM agents_pipeline p JOIN runs_run r ON r.pipeline_id = p.id WHERE p.team_id = %s AND r.state = 'queued' LIMIT %s"
)
_OF_ALL: Final = "SELECT 1 AS one FROM runs_run WHERE state = 'queued' LIMIT %s"
_COUNTS: Final = ", ".join(f"(SELECT count(*) FROM ({part}) AS found)" for part in (_OF_PIPELINE, _OF_TEAM, _OF_ALL))  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many runs may be queued: of one pipeline, of one team's pipelines, in all."""

    pipeline: int
    team: int
    every: int


@dataclass(frozen=True, slots=True)
class _Place:
    """One of the three: what is counted, of how many, the key of its lock, and what is said where it is full."""

    of: str
    setting: str
    bound: int
    lock: int
    refusal: type[TooManyQueued | Overloaded] = TooManyQueued


def refuse_beyond(pipeline: Pipeline, bounds: Bounds, *, many: int = 1) -> None:
    """TooManyQueued or Overloaded where there is no room for so many more runs of this pipeline."""
    key = (pipeline.pk, bounds)
    if _AHEAD.takes(key, many):
        return
    places = _places(pipeline, bounds)
    found = _counted(pipeline, bounds)
    narrow = [place for place, count in zip(places, found, strict=True) if count > place.bound - LAST]
    if narrow and connection.vendor == "postgresql":  # SQLite's one writer is alone by now
        for place in narrow:
            _asked("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCKS, place.lock])
        found = _counted(pipeline, bounds)
    for place, count in zip(places, found, strict=True):
        if count + many > place.bound:
            raise _refusal(place, count)
    if not narrow and connection.vendor == "postgresql":
        _AHEAD.gives(key)


class _Ahead:
    """Starts that need not be counted, by pipeline. Threads of a process share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[tuple[UUID, Bounds], int] = {}

    def takes(self, key: tuple[UUID, Bounds], many: int) -> bool:
        with self._lock:
            left = self._left.get(key, 0)
            if left >= many:
                self._left[key] = left - many
            return left >= many

    def gives(self, key: tuple[UUID, Bounds]) -> None:
        with self._lock:
            self._left.pop(key, None)
            while len(self._left) >= PIPELINES_AHEAD:
                del self._left[next(iter(self._left))]
            self._left[key] = AHEAD


_AHEAD: Final = _Ahead()


def _places(pipeline: Pipeline, bounds: Bounds) -> Sequence[_Place]:
    """Always in this order: two that lock never wait for each other."""
    return (
        _Place(f"pipeline '{pipeline.name}' has", "ORCHESTRA_MOST_QUEUED_OF_PIPELINE", bounds.pipeline, _lock(pipeline.pk)),
        _Place(f"the pipelines of team '{pipeline.team.name}' have", "ORCHESTRA_MOST_QUEUED_OF_TEAM", bounds.team, _lock(pipeline.team.pk)),
        _Place("there are", "ORCHESTRA_MOST_QUEUED", bounds.every, 0, Overloaded),
    )


def _lock(key: UUID) -> int:
    """31 bits of it: two with the same ones wait for each other now and then."""
    return crc32(key.bytes) >> 1


def _counted(pipeline: Pipeline, bounds: Bounds) -> list[int]:
    given: list[Any] = [bulk.adapted(pipeline.pk), bounds.pipeline, bulk.adapted(pipeline.team.pk), bounds.team, bounds.every]
    return [int(count) for count in _asked(f"SELECT {_COUNTS}", given)]


def _asked(sql: str, given: Sequence[Any]) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        found: tuple[Any, ...] = cursor.fetchone()
        return found


def _refusal(place: _Place, count: int) -> TooManyQueued | Overloaded:
    said = f"{place.of} {count:,} runs that wait to be begun, and the limit is {place.bound:,} ({place.setting})"
    return place.refusal(f"{said}; nothing was started. Start it again later, add workers, or raise the limit", seconds=RETRY_S)
