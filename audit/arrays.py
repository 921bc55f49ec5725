"""Columns of values as PostgreSQL's arrays in its binary form: one pass over the values, where the driver makes several.

Knows types of columns, nothing of tables or rows. Used by `audit.bulk` only; the driver is imported where there is a PostgreSQL.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from weakref import WeakSet

from django.db import DataError

_HEAD, _SIZE = struct.Struct("!iiIii"), struct.Struct("!i")
_NULL = _SIZE.pack(-1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_SECOND, _DAY = 1_000_000, 86_400_000_000
_taught: WeakSet[Any] = WeakSet()


class Column:
    """Values of one type of column, None for null. Our own cursor packs them; any other wants `plain`."""

    __slots__ = ("kind", "values")

    def __init__(self, values: Sequence[Any], kind: str) -> None:
        self.values, self.kind = values, kind


def column(values: Sequence[Any], kind: str) -> Column | list[Any]:
    """The values of a column of this type; left to the driver where the type isn't one of ours."""
    return Column(values, kind) if kind in _ELEMENTS else list(values)


def plain(parameter: Any) -> Any:
    """A parameter of a statement as any cursor takes it."""
    if not isinstance(parameter, Column):
        return parameter
    if parameter.kind == "text":  # the driver would write an enum's name
        return [None if value is None else str(value) for value in parameter.values]
    return list(parameter.values)


def packed(values: Sequence[Any], kind: str) -> bytes:
    """As it goes over the wire; its type stands in the statement, as a cast. Raises DataError for a number that the type can't hold."""
    oid, written = _ELEMENTS[kind]
    try:
        parts = [_NULL if value is None else written(value) for value in values]
    except (struct.error, OverflowError) as error:
        raise DataError(f"a value is too large for a column of type {kind}") from error
    return _HEAD.pack(1, _NULL in parts, oid, len(parts), 1) + b"".join(parts)


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
            return packed(obj.values, obj.kind)

    return Written


def _sized(data: bytes) -> bytes:
    return _size_of(len(data)) + data


def _text(value: Any) -> bytes:
    """Enums are texts too."""
    data = (value if isinstance(value, str) else str(value)).encode()
    return _size_of(len(data)) + data


def _uuid(value: UUID) -> bytes:
    return _SIZE_OF_UUID + value.bytes


def _instant(value: datetime) -> bytes:
    """Microseconds since PostgreSQL's epoch."""
    since = value - _EPOCH
    return _bigint(since.days * _DAY + since.seconds * _SECOND + since.microseconds)


def _jsonb(text: str) -> bytes:
    return _sized(b"\x01" + text.encode())  # the version of the form


def _fixed(code: str) -> Callable[[Any], bytes]:
    """Numbers of one size, which stands before each."""
    both, size = struct.Struct(f"!i{code}").pack, struct.calcsize(f"!{code}")
    return lambda value: both(size, value)


_size_of, _bigint, _SIZE_OF_UUID = _SIZE.pack, _fixed("q"), _SIZE.pack(16)
_ELEMENTS: dict[str, tuple[int, Callable[[Any], bytes]]] = {
    "text": (25, _text),
    "uuid": (2950, _uuid),
    "bigint": (20, _bigint),
    "integer": (23, _fixed("i")),
    "smallint": (21, _fixed("h")),
    "boolean": (16, _fixed("?")),
    "bytea": (17, lambda value: _sized(bytes(value))),
    "jsonb": (3802, _jsonb),
    "timestamp with time zone": (1184, _instant),
}
"""By the type of a column: the type's number in every PostgreSQL, and how a value of it is written, its size before it."""
