"""Recognises a database that has no tables, or old ones: the one mistake that every command meets before its own work.

Knows drivers' words and no command. Used by the commands of every app, which show NotSetUp as any other refusal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, ProgrammingError

from audit.errors import NotSetUp

# SQLite says it in words; PostgreSQL with codes (undefined_table, undefined_column), since its words also fit a database or a role that is absent.
_SQLITE = ("no such table", "no such column", "has no column named")
_POSTGRESQL = frozenset({"42P01", "42703"})


@contextmanager
def tables_expected() -> Iterator[None]:
    """NotSetUp instead of the driver's error where a table or a column is absent; every other error passes."""
    try:
        yield
    except (OperationalError, ProgrammingError) as error:
        if not _is_about_tables(error):
            raise
        raise NotSetUp("the database is not set up for this version yet: run `manage.py migrate`") from error


def _is_about_tables(error: Exception) -> bool:
    code = getattr(error.__cause__, "sqlstate", None)
    return code in _POSTGRESQL if code else any(words in str(error) for words in _SQLITE)
