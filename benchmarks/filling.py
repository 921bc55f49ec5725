"""Finished runs by the million: copies of one real run, made where the rows lie, by one statement for each row of it.

The copies are there to be in the way of whoever looks for living ones. Their ledger entries are the first and the last, with the bytes of the
real run's: nothing reads them. Used by the contestant that is filled, outside of what is measured.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from audit.models import Entry, Opening
from runs.models import Call, Run, Step

BATCH = 50_000


def copy_finished(pipeline: str, runs: int) -> None:
    """Copies of the pipeline's newest finished run, a second apart, all older than it."""
    run = Run.objects.filter(pipeline__name=pipeline, finished_at__isnull=False).latest("created_at")
    entries = list(Entry.objects.filter(run=run.pk, seq__in=(1, run.seq)))
    rows = [_row(run), *map(_row, [*Step.objects.filter(run=run), *Call.objects.filter(run=run), *entries])]
    rows += map(_row, Opening.objects.filter(entry__in=[entry.pk for entry in entries]))
    for first in range(1, runs + 1, BATCH):
        with transaction.atomic(), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SET LOCAL session_replication_role = replica")  # a check of each foreign key would take longer than the rows
            for part, (model, values) in enumerate(rows):
                _copy(cursor, model, values, part, range(first, min(first + BATCH, runs + 1)))
    if connection.vendor == "postgresql":  # as its autovacuum would a minute later
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


Row = tuple[Any, Mapping[str, Any]]


def _row(row: Any) -> Row:
    fields = row._meta.concrete_fields  # noqa: SLF001 - Django's way to a model's fields
    return type(row), {field.attname: getattr(row, field.attname) for field in fields}


def _copy(cursor: Any, model: Any, values: Mapping[str, Any], part: int, numbers: range) -> None:
    opts = model._meta  # noqa: SLF001 - as above
    fields = [field for field in opts.concrete_fields if field.get_internal_type() != "BigAutoField"]
    expressions: list[str] = []
    parameters: list[Any] = []
    for field in fields:
        expression, given = _value(field, model, values[field.attname], part)
        expressions.append(expression)
        parameters += given
    columns = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    series = "generate_series(%s, %s) AS s(n)" if connection.vendor == "postgresql" else "s"
    counted = "" if connection.vendor == "postgresql" else "WITH RECURSIVE s(n) AS (SELECT %s UNION ALL SELECT n + 1 FROM s WHERE n < %s) "
    ends = [numbers[0], numbers[-1]]
    ordered = [*parameters, *ends] if connection.vendor == "postgresql" else [*ends, *parameters]
    cursor.execute(f"{_insert(opts.db_table, columns)} {counted}SELECT {', '.join(expressions)} FROM {series}", ordered)


def _insert(table: str, columns: str) -> str:
    return f"INSERT INTO {table} ({columns})"


def _value(field: Any, model: Any, value: Any, part: int) -> tuple[str, Sequence[Any]]:
    """The column of a copy: what tells it from another copy is counted, the rest is as it was."""
    made = _COUNTED.get((model, field.attname))
    if made is not None:
        return made(part), ()
    stored = field.get_db_prep_save(value, connection)
    if isinstance(value, datetime):
        if connection.vendor == "postgresql":
            return "%s::timestamptz - n * interval '1 second'", [stored]
        return "strftime('%%Y-%%m-%%d %%H:%%M:%%f', %s, '-' || n || ' seconds')", [stored]
    cast = f"::{field.db_type(connection)}" if connection.vendor == "postgresql" else ""
    return f"%s{cast}", [stored]


def _id(part: int) -> str:
    """Ids that rise with the number, as those of real rows rise with time."""
    if connection.vendor == "postgresql":
        return f"(lpad(to_hex(n), 12, '0') || '7{part:03x}8' || lpad(to_hex(n), 15, '0'))::uuid"
    return f"printf('%%012x7{part:03x}8%%015x', n, n)"


def _text_id(part: int) -> str:
    return f"'bench-{part}-' || n"


_COUNTED: Mapping[tuple[Any, str], Callable[[int], str]] = {
    (Run, "id"): lambda _: _id(0),
    (Step, "run_id"): lambda _: _id(0),
    (Call, "run_id"): lambda _: _id(0),
    (Call, "id"): _id,
    (Call, "key"): _text_id,
    (Entry, "id"): _id,
    (Entry, "run"): lambda _: _id(0),
    (Opening, "entry"): _id,
}
