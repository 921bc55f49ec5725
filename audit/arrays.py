"""Columns of values as PostgreSQL's arrays in its binary form: one pass over the values, where the driver makes several.

Knows types of columns, nothing of tables or rows. Used by `audit.bulk` only; the driver is imported where there is a PostgreSQL.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from weakref import WeakSet

from django.db import DataError

_HEAD, _SIZE = struct.Struct("!iiIii"), struct.Struct("!i")
_NULL = _SIZE.pack(-1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_SECOND, _DAY = 1_000_000, 86_400_000_000
_taught: WeakSet[Any] = WeakSet()


class Column(list[Any]):
    """Values of one type of column. A list to everybody but our own cursor, which packs them."""

    __slots__ = ("kind",)

    def __init__(self, values: Iterable[Any], kind: str) -> None:
        super().__init__(values)
        self.kind = kind


def column(values: Sequence[Any], kind: str) -> list[Any]:
    """The values of a column of this type, None for null; left to the driver where the type isn't one of ours."""
    if kind == "text":  # enums are texts too
        return Column([None if value is None else str(value) for value in values], kind)
    return Column(values, kind) if kind in _ELEMENTS else list(values)


def packed(values: Sequence[Any], kind: str) -> bytes:
    """As it goes over the wire; its type stands in the statement, as a cast. Raises DataError for a number that the type can't hold."""
    oid, written = _ELEMENTS[kind]
    try:
        given = [None if value is None else written(value) for value in values]
    except (struct.error, OverflowError) as error:
        raise DataError(f"a value is too large for a column of type {kind}") from error
    parts = [_NULL if value is None else _SIZE.pack(len(value)) + value for value in given]
    return _HEAD.pack(1, int(None in given), oid, len(given), 1) + b"".join(parts)


def cursor(connection: Any) -> Any:
    """One of psycopg's that takes statements as PostgreSQL does ($1, $2, …) and our arrays among their parameters."""
    import psycopg  # noqa: PLC0415 - see above

    if connection not in _taught:
        connection.adapters.register_dumper(Column, _dumper())
        _taught.add(connection)
    return psycopg.RawCursor(connection)


def _dumper() -> type[Any]:
    from psycopg import adapt, pq  # noqa: PLC0415 - see above

    class Written(adapt.Dumper):
        format = pq.Format.BINARY

        def dump(self, obj: Column) -> bytes:
            return packed(obj, obj.kind)

    return Written


def _instant(value: datetime) -> bytes:
    """Microseconds since PostgreSQL's epoch."""
    since = value - _EPOCH
    return _BIGINT.pack(since.days * _DAY + since.seconds * _SECOND + since.microseconds)


def _jsonb(text: str) -> bytes:
    return b"\x01" + text.encode()  # the version of the form


_BIGINT, _INTEGER, _SMALLINT, _BOOLEAN = struct.Struct("!q"), struct.Struct("!i"), struct.Struct("!h"), struct.Struct("?")
_ELEMENTS: dict[str, tuple[int, Callable[[Any], bytes]]] = {
    "text": (25, str.encode),
    "uuid": (2950, lambda value: value.bytes),
    "bigint": (20, _BIGINT.pack),
    "integer": (23, _INTEGER.pack),
    "smallint": (21, _SMALLINT.pack),
    "boolean": (16, _BOOLEAN.pack),
    "bytea": (17, bytes),
    "jsonb": (3802, _jsonb),
    "timestamp with time zone": (1184, _instant),
}
"""By the type of a column: the type's number in every PostgreSQL, and how a value of it is written."""
