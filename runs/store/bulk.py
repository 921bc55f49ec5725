"""One statement for many rows: UPDATE … FROM … RETURNING, over arrays on PostgreSQL and a VALUES list on SQLite.

A conditional update per row, of which the caller learns which rows met their condition. Knows no row's meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, models

_PARAMETERS = 20_000  # SQLite's limit for one statement is 32,766
_CONVERTED = frozenset({"UUIDField", "DateTimeField", "ForeignKey"})
"""What SQLite stores in another form than Python's; everything else that rows of ours hold is bound as it is."""


def update_where(
    model: type[models.Model], *, match: Sequence[str], change: Sequence[str], rows: Sequence[Sequence[Any]], also: str = ""
) -> set[Any]:
    """Update each row whose `match` columns equal the given values; returns the first match column of those that did.

    A row of `rows` holds the values of `match`, then those of `change` (a field may be in both: from, to).
    `also` is a further condition in SQL over `t.<column>` and `v.<changed field>`; it is written in the code and never holds a value.
    """
    updated: set[Any] = set()
    per_statement = max(1, _PARAMETERS // (len(match) + len(change)))
    for start in range(0, len(rows), per_statement):
        updated |= _update(model, match, change, rows[start : start + per_statement], also)
    return updated


def _update(model: type[models.Model], match: Sequence[str], change: Sequence[str], rows: Sequence[Sequence[Any]], also: str) -> set[Any]:
    quote = connection.ops.quote_name
    keys, changed = [_field(model, name) for name in match], [_field(model, name) for name in change]
    fields = [*keys, *changed]
    matched, set_to = [_column(field) for field in keys], [_column(field) for field in changed]
    names = [*(f"old_{name}" for name in matched), *set_to]
    condition = " AND ".join([*(f"t.{quote(name)} = v.{quote('old_' + name)}" for name in matched), *([also] if also else [])])
    source, parameters = _arrays(fields, rows) if connection.vendor == "postgresql" else _values(fields, rows)
    sql = (  # names of our own tables and columns; every value is a parameter
        f"WITH v({', '.join(map(quote, names))}) AS ({source}) UPDATE {quote(model._meta.db_table)} AS t "  # noqa: S608, SLF001
        f"SET {', '.join(f'{quote(name)} = v.{quote(name)}' for name in set_to)} FROM v "
        f"WHERE {condition} RETURNING {quote(matched[0])}"
    )
    return {_python(keys[0], row[0]) for row in _fetched(sql, parameters)}


def _fetched(sql: str, parameters: Sequence[Any]) -> list[Any]:
    """On PostgreSQL past Django's cursor, which would write every value into the statement's text: a tenth of a run's CPU."""
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())
    import psycopg  # noqa: PLC0415 - only where the database is PostgreSQL

    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as raw:
        return raw.execute(sql, parameters).fetchall()


def _python(field: models.Field[Any, Any], value: Any) -> Any:
    return field.target_field.to_python(value) if field.is_relation else field.to_python(value)  # type: ignore[attr-defined]


def _field(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    field = model._meta.get_field(name)  # noqa: SLF001 - Django's documented way to a field
    assert isinstance(field, models.Field)
    return field


def _column(field: models.Field[Any, Any]) -> str:
    assert field.column is not None
    return field.column


def _values(fields: Sequence[models.Field[Any, Any]], rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
    converted = [field.get_internal_type() in _CONVERTED for field in fields]
    one = f"({', '.join('%s' for _ in fields)})"
    parameters = [
        field.get_db_prep_save(value, connection) if odd else value for row in rows for field, odd, value in zip(fields, converted, row, strict=True)
    ]
    return f"VALUES {', '.join(one for _ in rows)}", parameters


def _arrays(fields: Sequence[models.Field[Any, Any]], rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
    """One binary array per column, typed; a text is plain `text`, since a cast to varchar(n) would cut it without a word."""
    types = [_type(field) for field in fields]
    columns = [
        [None if value is None else str(value) for value in column] if kind == "text" else list(column)
        for kind, column in zip(types, zip(*rows, strict=True), strict=True)
    ]
    return f"SELECT * FROM unnest({', '.join(f'%b::{kind}[]' for kind in types)})", columns  # noqa: S608 - types of our own fields


def _type(field: models.Field[Any, Any]) -> str:
    kind = str(field.db_type(connection))
    return "text" if kind.startswith("varchar") else kind
