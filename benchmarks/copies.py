"""Rows by the hundred thousand, made as copies of real ones by bulk statements, and pages over them asked for as a person does.

Used by the contestants that are filled before they are measured. Django is set up before this is imported.
"""

import statistics
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

TRIES = 20


def id_at(at: datetime, number: int, part: int) -> UUID:
    """As audit.identity makes them: the milliseconds first, so that rows made together lie together."""
    return UUID(int=int(at.timestamp() * 1000) << 80 | 7 << 76 | (part & 0xFFF) << 64 | 2 << 62 | number)


def values(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}  # noqa: SLF001 - Django's way to a model's fields


def insert(model: Any, groups: Iterator[list[dict[str, Any]]]) -> None:
    rows = [row for group in groups for row in group]
    names = list(rows[0])
    opts = model._meta  # noqa: SLF001 - as above
    fields = [next(field for field in opts.concrete_fields if field.attname == name) for name in names]
    columns = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    sql = f"INSERT INTO {opts.db_table} ({columns}) VALUES ({', '.join(['%s'] * len(fields))})"
    with connection.cursor() as cursor:
        cursor.executemany(sql, [[field.get_db_prep_save(row[name], connection) for field, name in zip(fields, names, strict=True)] for row in rows])


def measure(url: str, person: str) -> dict[str, Any]:
    """The median and the 95th percentile of `TRIES` requests through Django's whole stack, and the median of its processor time."""
    client = Client(HTTP_HOST="localhost")
    client.force_login(User.objects.get(username=person))
    took, worked = [], []
    for _ in range(TRIES + 2):
        begun, before = time.perf_counter(), time.process_time()
        answer = client.get(url)
        took.append(time.perf_counter() - begun)
        worked.append(time.process_time() - before)
        assert answer.status_code == 200, (url, answer.status_code)
    p95 = statistics.quantiles(took[2:], n=20, method="inclusive")[-1]
    return {"p50_ms": statistics.median(took[2:]) * 1000, "p95_ms": p95 * 1000, "cpu_ms": statistics.median(worked[2:]) * 1000}
