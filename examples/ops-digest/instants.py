"""Instants of the performers: integer microseconds since 1970 inside, RFC 3339 text in UTC outside.

Owns the two conversions, so that spans are exact and two stamps are equal or not.
"""

import re
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
MIN_YEAR, MAX_YEAR = 1900, 2999  # no operational metric is older; an offset can't lead out of the calendar

STAMP = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d)", re.ASCII)
UNIT_US = {"ms": 1_000, "s": SECOND_US, "m": 60 * SECOND_US, "h": 3_600 * SECOND_US, "d": DAY_US}


def parse_stamp(text: str) -> int:
    """Microseconds of an ISO 8601 stamp; one without an offset is UTC. ValueError if it isn't one."""
    if not STAMP.fullmatch(text):
        raise ValueError(text)
    stamp = datetime.fromisoformat(text)
    if not MIN_YEAR <= stamp.year <= MAX_YEAR:
        raise ValueError(text)
    return to_us(stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC))


def to_us(instant: datetime) -> int:
    """Whole microseconds since 1970 of an aware datetime."""
    return (instant - EPOCH) // MICROSECOND


def to_text(us: int) -> str:
    """RFC 3339 in UTC, with microseconds: 2014-02-28T14:22:00.000000Z."""
    return (EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_duration(text: str) -> int:
    """Microseconds of "15m", "2h", "500ms"; ValueError if it isn't a duration."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"max_gap {text[:40]!r} is not a duration like 90s, 15m or 2h")
    return int(match[1]) * UNIT_US[match[2]]


def span_text(us: int) -> str:
    """A span for people: "64 min", "2 h", "0.25 s"."""
    for name, unit in (("d", DAY_US), ("h", 3_600 * SECOND_US), ("min", 60 * SECOND_US)):
        if us >= unit and us % unit == 0:
            return f"{us // unit} {name}"
    return f"{us / SECOND_US:g} s"
