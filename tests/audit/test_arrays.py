"""Arrays in PostgreSQL's binary form: what goes in comes back, value for value, whatever the type."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from django.db import DataError, connection
from django.test.utils import CaptureQueriesContext

from audit import arrays, bulk
from runs.engine.states import RunState

pytestmark = pytest.mark.django_db

AT = datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
COLUMNS: list[tuple[str, list[Any]]] = [
    ("text", ["", "a", "ünï 漢字 '\"{},\\", None, "NULL"]),
    ("uuid", [UUID(int=0), UUID(int=2**128 - 1), None]),
    ("bigint", [0, -1, 2**63 - 1, -(2**63), None]),
    ("integer", [0, -(2**31), 2**31 - 1]),
    ("smallint", [-(2**15), 2**15 - 1]),
    ("boolean", [True, False, None]),
    ("bytea", [b"", b"\x00\xff", None]),
    ("timestamp with time zone", [AT, datetime(2026, 11, 26, 1, 2, 3, 4, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), None]),
    ("double precision", [0.5, -math.pi, None]),  # none of ours: the driver's own
]


def read_back(column: list[Any], kind: str) -> list[Any]:
    return [row[0] for row in bulk.statement(f"SELECT * FROM unnest(%s::{kind}[])", [arrays.column(column, kind)])]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no arrays")
@pytest.mark.parametrize(("kind", "column"), COLUMNS, ids=[kind for kind, _ in COLUMNS])
def test_every_value_comes_back_as_it_went(kind: str, column: list[Any]) -> None:
    assert read_back(column, kind) == column


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no arrays")
def test_an_instant_of_another_zone_is_the_same_instant() -> None:
    assert read_back([AT.astimezone(timezone(timedelta(hours=-9)))], "timestamp with time zone") == [AT]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no arrays")
def test_json_is_read_as_json() -> None:
    sql = "SELECT v->>'a' FROM unnest(%s::jsonb[]) AS u(v)"
    assert bulk.statement(sql, [arrays.column(['{"a": "ü"}', None], "jsonb")]) == [("ü",), (None,)]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no arrays")
def test_a_percent_sign_of_a_statement_stays_one() -> None:
    assert bulk.statement("SELECT '100 %%', %s::text || %s::text", ["a", "b"]) == [("100 %", "ab")]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no arrays")
def test_words_of_an_enumeration_are_texts() -> None:
    assert read_back([RunState.QUEUED, "finished"], "text") == ["queued", "finished"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no arrays")
def test_whoever_listens_to_statements_is_given_lists() -> None:
    with CaptureQueriesContext(connection) as heard:
        assert read_back([1, None], "bigint") == [1, None]
    assert "{1,NULL}" in heard[0]["sql"]


def test_a_number_that_a_column_cannot_hold_is_refused_before_it_is_sent() -> None:
    with pytest.raises(DataError, match="type bigint"):
        arrays.packed([2**63], "bigint")
