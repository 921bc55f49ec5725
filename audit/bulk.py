"""Many rows in one statement, past the ORM, whose own bulk methods cost more than the database does.

Inserts, and conditional updates of which the caller learns which rows met their condition; the same on PostgreSQL (one typed
array per column) and SQLite (a VALUES list). Knows fields and columns, nothing of what a row means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connection, models

_PARAMETERS = 20_000  # SQLite's limit for one statement is 32,766

Rows = Sequence[Sequence[Any]]
if TYPE_CHECKING:  # the stubs are generic, Django's class is not
    Field = models.Field[Any, Any]


def insert(model: type[models.Model], columns: Sequence[str], rows: Rows) -> None:
    """Insert rows of values, in the order of `columns` (field names), as they are: no defaults, no validation.

    IntegrityError and its like as from the ORM. For use inside a transaction.
    """
    fields = _fields(model, columns)
    into = f"INSERT INTO {_quoted(model._meta.db_table)} ({', '.join(_quoted(_column(field)) for field in fields)}) "  # noqa: SLF001
    for portion in _portions(rows, len(fields)):
        source, parameters = _source(fields, portion)
        _execute(into + source, parameters)


def update_where(model: type[models.Model], *, match: Sequence[str], change: Sequence[str], rows: Rows, also: str = "") -> set[Any]:
    """Update each row whose `match` columns equal the given values; returns the first match column of those that did.

    A row of `rows` holds the values of `match`, then those of `change` (a field may be in both: from, to).
    `also` is a further condition in SQL over `t.<column>` and `v.<changed field>`; it is written in the code and never holds a value.
    """
    keys, changed = _fields(model, match), _fields(model, change)
    matched, set_to = [_column(field) for field in keys], [_column(field) for field in changed]
    names = [*(f"old_{name}" for name in matched), *set_to]
    condition = " AND ".join([*(f"t.{_quoted(name)} = v.{_quoted('old_' + name)}" for name in matched), *([also] if also else [])])
    updated: set[Any] = set()
    for portion in _portions(rows, len(names)):
        source, parameters = _source([*keys, *changed], portion)
        sql = (  # names of our own tables and columns; every value is a parameter
            f"WITH v({', '.join(map(_quoted, names))}) AS ({source}) UPDATE {_quoted(model._meta.db_table)} AS t "  # noqa: S608, SLF001
            f"SET {', '.join(f'{_quoted(name)} = v.{_quoted(name)}' for name in set_to)} FROM v "
            f"WHERE {condition} RETURNING {_quoted(matched[0])}"
        )
        updated |= {_target(keys[0]).to_python(row[0]) for row in _execute(sql, parameters, answers=True)}
    return updated


def _portions(rows: Rows, width: int) -> list[Rows]:
    size = max(1, _PARAMETERS // width)
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _execute(sql: str, parameters: Sequence[Any], *, answers: bool = False) -> list[Any]:
    """On PostgreSQL past Django's cursor, which would write every value into the statement's text: a tenth of a run's CPU."""
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall()) if answers else []
    import psycopg  # noqa: PLC0415 - only where the database is PostgreSQL

    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as raw:
        raw.execute(sql, parameters)
        return raw.fetchall() if answers else []


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _fields(model: type[models.Model], names: Sequence[str]) -> list[Field]:
    return [model._meta.get_field(name) for name in names]  # type: ignore[misc]  # noqa: SLF001 - Django's documented way to a field


def _column(field: Field) -> str:
    assert field.column is not None
    return field.column


def _target(field: Field) -> Field:
    """The field whose values a foreign key holds."""
    return field.target_field if field.is_relation else field  # type: ignore[attr-defined]


def _source(fields: Sequence[Field], rows: Rows) -> tuple[str, list[Any]]:
    return _arrays(fields, rows) if connection.vendor == "postgresql" else _values(fields, rows)


def _arrays(fields: Sequence[Field], rows: Rows) -> tuple[str, list[Any]]:
    """A text is plain `text`, since a cast to varchar(n) would cut it without a word."""
    kinds = [str(field.db_type(connection)) for field in fields]
    types = ["text" if kind.startswith("varchar") else kind for kind in kinds]
    columns = [
        [None if value is None else str(value) for value in column] if kind == "text" else list(column)
        for kind, column in zip(types, zip(*rows, strict=True), strict=True)
    ]
    return f"SELECT * FROM unnest({', '.join(f'%b::{kind}[]' for kind in types)})", columns  # noqa: S608 - types of our own fields


def _values(fields: Sequence[Field], rows: Rows) -> tuple[str, list[Any]]:
    kinds = [_target(field).get_internal_type() for field in fields]
    converters = [(place, _CONVERTERS[kind]) for place, kind in enumerate(kinds) if kind in _CONVERTERS]
    parameters: list[Any] = []
    for row in rows:
        values = list(row)
        for place, convert in converters:
            if values[place] is not None:
                values[place] = convert(values[place])
        parameters += values
    one = f"({', '.join(['%s'] * len(fields))})"
    return f"VALUES {', '.join([one] * len(rows))}", parameters


def _hex(value: UUID) -> str:
    return value.hex


def _text(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ")  # as Django's backend stores it


_CONVERTERS: dict[str, Callable[[Any], Any]] = {"UUIDField": _hex, "DateTimeField": _text}
"""What SQLite stores in another form than Python's."""
