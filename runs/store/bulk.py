"""One statement for many rows: UPDATE … FROM (VALUES …) RETURNING, the same on PostgreSQL and SQLite.

A conditional update per row, of which the caller learns which rows met their condition. Knows no row's meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, models

_PARAMETERS = 20_000  # SQLite's limit for one statement is 32,766


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
    names = [*(f"old_{field.column}" for field in keys), *(field.column for field in changed)]
    values = ", ".join(_placeholders(fields, first=number == 0) for number in range(len(rows)))
    condition = " AND ".join([*(f"t.{quote(field.column)} = v.{quote('old_' + field.column)}" for field in keys), *([also] if also else [])])
    sql = (
        f"WITH v({', '.join(map(quote, names))}) AS (VALUES {values}) UPDATE {quote(model._meta.db_table)} AS t "
        f"SET {', '.join(f'{quote(field.column)} = v.{quote(field.column)}' for field in changed)} FROM v "
        f"WHERE {condition} RETURNING {quote(keys[0].column)}"
    )
    parameters = [field.get_db_prep_save(value, connection) for row in rows for field, value in zip(fields, row, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return {_python(keys[0], row[0]) for row in cursor.fetchall()}


def _python(field: models.Field[Any, Any], value: Any) -> Any:
    return field.target_field.to_python(value) if field.is_relation else field.to_python(value)  # type: ignore[attr-defined]


def _field(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    field = model._meta.get_field(name)
    assert isinstance(field, models.Field)
    return field


def _placeholders(fields: Sequence[models.Field[Any, Any]], *, first: bool) -> str:
    """PostgreSQL takes the types of a VALUES list from its first row; SQLite has none to give."""
    if not first or connection.vendor != "postgresql":
        return "(" + ", ".join("%s" for _ in fields) + ")"
    return "(" + ", ".join(f"CAST(%s AS {_type(field)})" for field in fields) + ")"


def _type(field: models.Field[Any, Any]) -> str:
    return str(field.db_type(connection))
