"""Rows in few statements, past the ORM, which takes longer to write a statement than the database to carry it out.

Inserts, reads by key, and conditional updates of which the caller learns which rows met their condition; the same on PostgreSQL
(one typed array per column) and SQLite (a VALUES list). Knows fields and columns, nothing of what a row means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connection, connections, models, transaction

from audit import arrays, stored

_PLACEHOLDER = re.compile("%[s%]")
_PARAMETERS = 20_000  # SQLite's limit for one statement is 32,766

Rows = Sequence[Sequence[Any]]
Model = TypeVar("Model", bound=models.Model)
Other = TypeVar("Other", bound=models.Model)
Table = tuple[type[models.Model], tuple[str, ...], Rows]
"""A model, some of its columns, and rows of values in their order."""
if TYPE_CHECKING:  # the stubs are generic, Django's class is not
    Field = models.Field[Any, Any]


@cache
def _vendor() -> str:
    """Of the one database that a process has; asked of Django anew, it takes as long as writing a row."""
    return connection.vendor


def insert(model: type[models.Model], columns: Sequence[str], rows: Rows) -> None:
    """Insert rows of values, in the order of `columns` (field names), as they are: no defaults, no validation.

    IntegrityError and its like as from the ORM. For use inside a transaction.
    """
    insert_all([(model, tuple(columns), rows)])


def insert_all(tables: Sequence[Table]) -> None:
    """Insert rows into several tables, in the order given; on PostgreSQL in one statement."""
    filled = [table for table in tables if table[2]]
    if _vendor() == "postgresql" and filled:
        sql = _inserts_sql(tuple((model, names) for model, names, _ in filled))
        statement(sql, [value for model, names, rows in filled for value in _parameters(model, names, rows)], answers=False, prepared=True)
        return
    for model, names, rows in filled:
        for portion in _portions(rows, len(names)):
            statement(_insert_sql(model, names, len(portion), _vendor()), _parameters(model, names, portion), answers=False)


def insert_missing(model: type[models.Model], columns: Sequence[str], rows: Rows) -> None:
    """Insert the rows whose key is not there yet; the others stay as they are."""
    names = tuple(columns)
    for portion in _portions(rows, len(names)):
        sql = f"{_insert_sql(model, names, _text_size(portion), _vendor())} ON CONFLICT DO NOTHING"
        statement(sql, _parameters(model, names, portion), answers=False)


def read(model: type[Model], *, match: Sequence[str], rows: Rows) -> list[Model]:
    """The rows whose `match` columns equal one of the given combinations of values, each once, in no order."""
    names = tuple(match)
    found: list[Model] = []
    for portion in _portions(list(dict.fromkeys(map(tuple, rows))), len(names)):
        sql = _read_sql(model, names, _text_size(portion), _vendor())
        found += instances(model, statement(sql, _parameters(model, names, portion)))
    return found


def read_pairs(model: type[Model], other: type[Other], *, on: tuple[str, str], match: Sequence[str], rows: Rows) -> list[tuple[Model, Other]]:
    """As `read`, each row beside the one of `other` whose second column of `on` equals its first."""
    names, width = tuple(match), len(_all(model))
    found: list[tuple[Model, Other]] = []
    for portion in _portions(list(dict.fromkeys(map(tuple, rows))), len(names)):
        sql = _pairs_sql(model, other, on, names, _text_size(portion), _vendor())
        pairs = statement(sql, _parameters(model, names, portion))
        first, second = instances(model, [row[:width] for row in pairs]), instances(other, [row[width:] for row in pairs])
        found += zip(first, second, strict=True)
    return found


def update_where(
    model: type[models.Model], *, match: Sequence[str], change: Sequence[str], rows: Rows, also: str = "", answers: bool = True
) -> set[Any]:
    """Update each row whose `match` columns equal the given values; returns the first match column of those that did.

    A row of `rows` holds the values of `match`, then those of `change` (a field may be in both: from, to).
    `also` is a further condition in SQL over `t.<column>` and `v.<changed field>`; it is written in the code and never holds a value.
    Without `answers` nobody asks which rows those were.
    """
    sent = _updates(model, tuple(match), tuple(change), rows, also)
    return sent() if answers else set()


def updating(model: type[models.Model], *, match: Sequence[str], change: Sequence[str], rows: Rows, also: str = "") -> Callable[[], set[Any]]:
    """As `update_where`, whose answer can be asked for later: what is sent meanwhile travels with it."""
    return _updates(model, tuple(match), tuple(change), rows, also)


def _updates(model: type[models.Model], keys: tuple[str, ...], changed: tuple[str, ...], rows: Rows, also: str) -> Callable[[], set[Any]]:
    _, _, answer = _columns(model, keys[:1], _vendor()).readers[0]
    answers = []
    for portion in _portions(rows, len(keys) + len(changed)):
        sql = _update_sql(model, keys, changed, also, _text_size(portion), _vendor())
        answers.append(send(sql, _parameters(model, keys + changed, portion)))
    return lambda: {answer(row[0]) for rows_of in answers for row in rows_of()}


@contextmanager
def atomic() -> Iterator[None]:
    """A durable transaction whose statements travel together as far as nobody waits for an answer, its commit too, where the database can do that.

    An error of one is raised where the next answer is read, at the latest at the end of this block. After an error the database passes over
    everything up to there, so that a commit that was sent behind it commits nothing.
    """
    with transaction.atomic(durable=True):
        if _vendor() != "postgresql":
            yield
            return
        with connection.wrap_database_errors, _first_error(), connection.connection.pipeline():
            yield
            if not connection.savepoint_ids:  # a test may stand around it, with a transaction of its own
                send("COMMIT", ())


@contextmanager
def _first_error() -> Iterator[None]:
    """What follows an error is only said to be aborted, and may be heard first."""
    import psycopg  # noqa: PLC0415 - only where the database is PostgreSQL

    try:
        yield
    except psycopg.errors.PipelineAborted as aborted:
        raise (aborted.__context__ if isinstance(aborted.__context__, psycopg.Error) else aborted) from None


def statement(sql: str, parameters: Sequence[Any], *, answers: bool = True, prepared: bool = False) -> list[tuple[Any, ...]]:
    """Carry out a statement that is written in the code; its answer, if it has one. Values are parameters (`%s`), of the database's types.

    `prepared` is for what reads no table: PostgreSQL keeps a plan that it made while a table was small, and reads all of it ever after.

    Past Django's cursors: on PostgreSQL they would write every value into the statement's text, on SQLite rewrite it every time.
    """
    sent = send(sql, parameters, prepared=prepared)
    return sent() if answers else []


def send(sql: str, parameters: Sequence[Any], *, prepared: bool = False) -> Callable[[], list[tuple[Any, ...]]]:
    """As `statement`, whose answer is read by calling what this returns, if ever."""
    here = connections[DEFAULT_DB_ALIAS]  # once: the proxy `connection` looks for its thread's own each time it is asked
    if here.queries_logged:  # somebody listens to what Django's cursors are given
        with here.cursor() as cursor:
            cursor.execute(sql, [arrays.plain(each) for each in parameters])
            logged = [] if cursor.description is None else list(cursor.fetchall())
        return lambda: logged
    here.ensure_connection()
    with here.wrap_database_errors:
        if here.vendor == "postgresql":
            raw = arrays.cursor(here.connection)
            raw.execute(_numbered(sql), parameters, prepare=prepared)
            return _answer_of(here, raw)
        found: list[tuple[Any, ...]] = here.connection.execute(_marked(sql), parameters).fetchall()
        return lambda: found


def column_list(model: type[models.Model]) -> str:
    """All columns of a model, as `instances` wants them; for the RETURNING of a statement."""
    return ", ".join(_columns(model, _all(model), _vendor()).names)


def instances(model: type[Model], rows: Sequence[Sequence[Any]]) -> list[Model]:
    """Rows of a model's columns, all of them in their order, as instances that were read."""
    names = _all(model)
    readers = [(place, convert) for place, needed, convert in _columns(model, names, _vendor()).readers if needed]
    found = []
    for row in rows:
        values = list(row)
        for place, convert in readers:
            if values[place] is not None:
                values[place] = convert(values[place])
        found.append(model.from_db(connection.alias, names, values))
    return found


def adapted(value: Any) -> Any:
    """A UUID or an instant as a parameter of a `statement`; anything else stays."""
    if _vendor() == "postgresql":
        return value
    if isinstance(value, UUID):
        return stored.hexed(value)
    return stored.as_text(value) if isinstance(value, datetime) else value


def portions(query: models.QuerySet[Any, Any], size: int) -> Generator[list[Any], None, None]:
    """The one column of a values query, `size` values at a time, as the driver gives them: memory stays the same however many there are.

    On PostgreSQL through a cursor that lives with a transaction of its own (outside of one it would first be written to disk whole),
    and in binary, since a bytea as text is twice as long and has to be read back.
    """
    try:
        sql, parameters = query.query.sql_with_params()
    except EmptyResultSet:
        return
    if _vendor() != "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            while rows := cursor.fetchmany(size):
                yield [row[0] for row in rows]
        return
    import psycopg  # noqa: PLC0415 - only where the database is PostgreSQL

    with transaction.atomic(), connection.wrap_database_errors, psycopg.ServerCursor(connection.connection, "portions") as cursor:
        cursor.execute(sql, parameters, binary=True)
        while rows := cursor.fetchmany(size):
            yield [row[0] for row in rows]


def _answer_of(here: Any, raw: Any) -> Callable[[], list[tuple[Any, ...]]]:
    def answer() -> list[tuple[Any, ...]]:
        with here.wrap_database_errors:
            found: list[tuple[Any, ...]] = raw.fetchall()
            return found

    return answer


# --- statements, made once -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Columns:
    """Columns of a table: quoted names, PostgreSQL's types, and how values become SQLite's and come back (place, needed, convert)."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    writers: tuple[tuple[int, Callable[[Any], Any]], ...]
    readers: tuple[tuple[int, bool, Callable[[Any], Any]], ...]


@lru_cache(maxsize=256)
def _columns(model: type[models.Model], names: tuple[str, ...], vendor: str) -> _Columns:
    fields = [model._meta.get_field(name) for name in names]  # noqa: SLF001 - Django's documented way to a field
    kinds = [_target(field).get_internal_type() for field in fields]  # type: ignore[arg-type]
    readers = [(place, kind in stored.READERS[vendor], stored.READERS[vendor].get(kind, stored.same)) for place, kind in enumerate(kinds)]
    return _Columns(
        names=tuple(_quoted(str(field.column)) for field in fields),  # type: ignore[union-attr]
        types=tuple(_type(field) for field in fields),  # type: ignore[arg-type]
        writers=tuple((place, stored.WRITERS[vendor][kind]) for place, kind in enumerate(kinds) if kind in stored.WRITERS[vendor]),
        readers=tuple(readers),
    )


@lru_cache(maxsize=512)
def _insert_sql(model: type[models.Model], names: tuple[str, ...], rows: int, vendor: str) -> str:
    columns = _columns(model, names, vendor)
    return f"INSERT INTO {_table(model)} ({', '.join(columns.names)}) {_source(columns, rows, vendor)}"


@lru_cache(maxsize=64)
def _inserts_sql(tables: tuple[tuple[type[models.Model], tuple[str, ...]], ...]) -> str:
    *before, last = (_insert_sql(model, names, 1, "postgresql") for model, names in tables)
    return f"WITH {', '.join(f'i{place} AS ({sql})' for place, sql in enumerate(before))} {last}" if before else last


@lru_cache(maxsize=512)
def _read_sql(model: type[models.Model], match: tuple[str, ...], rows: int, vendor: str) -> str:
    columns = _columns(model, match, vendor)
    given = [_quoted(f"v{place}") for place, _ in enumerate(match)]
    condition = " AND ".join(f"t.{name} = v.{value}" for name, value in zip(columns.names, given, strict=True))
    return (  # CROSS keeps SQLite from reading the table first
        f"WITH v({', '.join(given)}) AS ({_source(columns, rows, vendor)}) SELECT {_listed(model, 't')} "  # noqa: S608 - our own names
        f"FROM v CROSS JOIN {_table(model)} AS t WHERE {condition}"
    )


@lru_cache(maxsize=512)
def _pairs_sql(model: type[models.Model], other: type[models.Model], on: tuple[str, str], match: tuple[str, ...], rows: int, vendor: str) -> str:
    mine, theirs = _columns(model, on[:1], vendor).names[0], _columns(other, on[1:], vendor).names[0]
    sql = _read_sql(model, match, rows, vendor).replace(_listed(model, "t"), f"{_listed(model, 't')}, {_listed(other, 'o')}", 1)
    return sql.replace(" WHERE ", f" JOIN {_table(other)} AS o ON o.{theirs} = t.{mine} WHERE ", 1)


def _listed(model: type[models.Model], alias: str) -> str:
    return ", ".join(f"{alias}.{name}" for name in _columns(model, _all(model), _vendor()).names)


@lru_cache(maxsize=512)
def _update_sql(model: type[models.Model], match: tuple[str, ...], change: tuple[str, ...], also: str, rows: int, vendor: str) -> str:
    matched, changed = _columns(model, match, vendor).names, _columns(model, change, vendor).names
    old = [_quoted("old_" + name.strip('"')) for name in matched]
    condition = " AND ".join([*(f"t.{name} = v.{value}" for name, value in zip(matched, old, strict=True)), *([also] if also else [])])
    return (
        f"WITH v({', '.join([*old, *changed])}) AS ({_source(_columns(model, match + change, vendor), rows, vendor)}) "  # noqa: S608
        f"UPDATE {_table(model)} AS t SET {', '.join(f'{name} = v.{name}' for name in changed)} FROM v WHERE {condition} RETURNING {matched[0]}"
    )


def _source(columns: _Columns, rows: int, vendor: str) -> str:
    if vendor == "postgresql":
        return f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in columns.types)})"  # noqa: S608 - types of our own fields
    one = f"({', '.join(['%s'] * len(columns.names))})"
    return f"VALUES {', '.join([one] * rows)}"


def _text_size(rows: Rows) -> int:
    """How many rows the statement's text depends on: PostgreSQL gets arrays of any length."""
    return 1 if _vendor() == "postgresql" else len(rows)


# --- values --------------------------------------------------------------------------------------------------------------------------


def _portions(rows: Rows, width: int) -> list[Rows]:
    size = max(1, _PARAMETERS // width)
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _parameters(model: type[models.Model], names: tuple[str, ...], rows: Rows) -> list[Any]:
    columns = _columns(model, names, _vendor())
    converted = [_converted(row, columns.writers) for row in rows] if columns.writers else rows
    if _vendor() == "postgresql":
        return [arrays.column(column, kind) for column, kind in zip(zip(*converted, strict=True), columns.types, strict=True)]
    return [value for row in converted for value in row]


def _converted(row: Sequence[Any], writers: Sequence[tuple[int, Callable[[Any], Any]]]) -> list[Any]:
    values = list(row)
    for place, convert in writers:
        if values[place] is not None:
            values[place] = convert(values[place])
    return values


@lru_cache(maxsize=1024)
def _numbered(sql: str) -> str:
    """Placeholders as PostgreSQL writes them: psycopg would look for ours in the whole text each time."""
    number = count(1)
    return _PLACEHOLDER.sub(lambda found: "%" if found[0] == "%%" else f"${next(number)}", sql)


@lru_cache(maxsize=1024)
def _marked(sql: str) -> str:
    return sql.replace("%s", "?")


@lru_cache(maxsize=64)
def _all(model: type[models.Model]) -> tuple[str, ...]:
    return tuple(field.attname for field in model._meta.concrete_fields)  # noqa: SLF001 - as above


def _table(model: type[models.Model]) -> str:
    return _quoted(model._meta.db_table)  # noqa: SLF001 - as above


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _type(field: Field) -> str:
    """PostgreSQL's type of a column. A text is plain `text`, since a cast to varchar(n) would cut it without a word."""
    kind = str(field.db_type(connection))
    return "text" if kind.startswith("varchar") else kind


def _target(field: Field) -> Field:
    """The field whose values a foreign key holds."""
    return field.target_field if field.is_relation else field  # type: ignore[attr-defined]
