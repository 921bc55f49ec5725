"""Values that a database holds in another form than Python, by the kind of their column: how they are written, and how they come back.

Pure. Used by `audit.bulk`, whose statements go past the ORM, which does the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

Kinds = Mapping[str, Mapping[str, Callable[[Any], Any]]]


def same(value: Any) -> Any:
    """What needs nothing done to it."""
    return value


def whole(value: Any) -> bytes:
    """What stands in a column of bytes. SQLite keeps a value of any kind there: whoever put one in by hand is caught by a digest, not by an error."""
    if isinstance(value, bytes):
        return value
    return bytes(value) if isinstance(value, bytearray | memoryview) else str(value).encode("utf-8", "surrogatepass")


def hexed(value: UUID) -> str:
    return value.hex


def as_text(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ")  # as Django's backend stores it


def _instant(value: datetime | str) -> datetime:
    """SQLite's driver parses what it knows to be an instant: a column, but not what RETURNING gives."""
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).replace(tzinfo=UTC)


WRITERS: Final[Kinds] = {
    "sqlite": {"UUIDField": hexed, "DateTimeField": as_text, "JSONField": json.dumps},
    "postgresql": {"JSONField": json.dumps},
}
READERS: Final[Kinds] = {
    "sqlite": {"UUIDField": UUID, "DateTimeField": _instant, "BooleanField": bool, "JSONField": json.loads},
    "postgresql": {"JSONField": json.loads},
}
"""By the database, then by the kind of the column."""
