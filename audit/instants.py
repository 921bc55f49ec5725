"""Instants as text, in UTC: for records with six digits of a second, for people to the second; the year always with four digits.

Pure. The one place that writes an instant: strftime's year has no zeros in front on every system.
"""

from __future__ import annotations

from datetime import UTC, datetime


def recorded(at: datetime) -> str:
    """RFC 3339 as it stands in records: `2026-11-20T11:44:48.123456Z`."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def to_the_second(at: datetime) -> str:
    """RFC 3339 for a sentence: `2026-11-20T11:44:48Z`."""
    return at.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + "Z"


def readable(at: datetime) -> str:
    """For a column: `2026-11-20 11:44:48`."""
    return at.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat(" ")
