"""The one clock, and instants as text: RFC 3339, UTC, always six digits of a second.

Read once per transaction and passed on as `now`; simulation and tests replace `now`, so call it as `clock.now()`.
Knows nothing of what the time is used for.
"""

from __future__ import annotations

from asyncio import _get_running_loop
from datetime import UTC, datetime

from django.db import DEFAULT_DB_ALIAS, connections

from audit import bulk
from audit.instants import recorded
from audit.visible import visible


def now() -> datetime:
    """The current instant; inside a transaction on PostgreSQL its own clock, so that machines need not agree."""
    if _get_running_loop() is not None:  # Django opens no transaction in the thread of an event loop, and looking for one takes longer than the clock
        return datetime.now(UTC)
    here = connections[DEFAULT_DB_ALIAS]  # once: the proxy `connection` looks for its thread's own each time it is asked
    if here.in_atomic_block and here.vendor == "postgresql":
        return _utc(bulk.statement("SELECT clock_timestamp()", ())[0][0])
    return datetime.now(UTC)


def to_text(instant: datetime) -> str:
    """`2026-11-20T11:44:48.123456Z`; a naive instant is a ValueError, since nobody knows when it is."""
    return recorded(_utc(instant))


def from_text(text: str, *, utc_assumed: bool = False) -> datetime:
    """The instant that an RFC 3339 text names, in UTC: what every door reads times with.

    ValueError, whose sentence a door may show, for anything else, also for a missing offset. `utc_assumed`: a text without one, such as
    a bare day, is UTC.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        like = "2026-11-20 or 2026-11-20T11:44:48Z" if utc_assumed else "it like 2026-11-20T11:44:48Z"
        raise ValueError(f"'{visible(text, 60)}' is not an instant; write {like}") from None
    try:
        return _utc(instant.replace(tzinfo=UTC) if utc_assumed and instant.tzinfo is None else instant)
    except OverflowError:  # the first day of year 1 east of Greenwich, the last of 9999 west of it
        raise ValueError(f"{text} is, in UTC, before the year 1 or after the year 9999; those are the years there are here") from None


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone; add Z or an offset such as +01:00")
    return instant.astimezone(UTC)
