"""How old a value is by its own testimony: the instant at a named field, and the distance to a given now.

Must not read a clock: now is an argument. Used by the engine when a result is absorbed or consumed.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any


def observed_at(value: Any, field: str) -> datetime | None:
    """The instant at a dotted field ("as_of", "meta.as_of") in UTC; None where it is absent or null.

    ValueError where it is no RFC 3339 instant: a time without its offset could be hours off.
    """
    for name in field.split("."):
        if not isinstance(value, Mapping) or value.get(name) is None:
            return None
        value = value[name]
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError(f"{field!r} is {str(value)[:60]!r}; it must be an instant such as 2026-11-20T11:44:48Z")
    return _instant(field, value)


def _instant(field: str, text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(f"{field!r} is {text[:60]!r}; it must be an instant such as 2026-11-20T11:44:48Z") from None
    if instant.tzinfo is None:
        raise ValueError(f"{field!r} is {text[:60]!r}, which has no offset; write 2026-11-20T11:44:48Z or +01:00")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{field!r} is {text[:60]!r}, which lies outside the calendar") from None


def age_ms(observed: datetime, now: datetime) -> int:
    """Whole milliseconds from the observation to now; negative where it lies in the future."""
    return (now - observed) // timedelta(milliseconds=1)
