"""One SQLite in memory for all simulated processes: the real schema, made once and copied for each seed.

BEGIN and COMMIT ask the world what befalls them. Knows no run and no process.
"""

import copy
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.backends.sqlite3.base import DatabaseWrapper

FULL, LOCKED, IO_ERROR = "database or disk is full", "database is locked", "disk I/O error"


class Killed(BaseException):
    """The process that was at work here is gone: nothing of it goes on, not even its error handling."""


class Fate(Protocol):
    """What befalls transactions; the names of `at_commit` are those of `scenarios.FAULTS`."""

    def before_begin(self) -> str | None: ...

    def at_commit(self) -> str | None: ...

    def committed(self) -> None: ...

    def between_reads(self) -> None: ...


class Database(DatabaseWrapper):
    """Django's own connection, with a fate."""

    fate: Fate | None = None

    def _start_transaction_under_autocommit(self) -> None:
        if self.fate is not None and self.fate.before_begin() == "locked":
            raise OperationalError(LOCKED)
        super()._start_transaction_under_autocommit()

    def _commit(self) -> None:
        fault = None if self.fate is None else self.fate.at_commit()
        if fault == "crash before":
            self.connection.rollback()
            raise Killed
        if fault == "full":
            raise OperationalError(FULL)
        super()._commit()
        if self.fate is not None:
            self.fate.committed()
        if fault == "crash after":
            raise Killed
        if fault == "ambiguous":
            raise OperationalError(IO_ERROR)


def _settings() -> dict[str, Any]:
    own = copy.deepcopy(connections.settings[DEFAULT_DB_ALIAS])
    pragmas = "PRAGMA recursive_triggers=ON; PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY;"
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "HOST": "", "PORT": "", "USER": "", "PASSWORD": ""}
    return {**own, **sqlite, "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False, "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": pragmas}}


_migrated: list[sqlite3.Connection] = []
"""What migrations have made, once in a process."""


@contextmanager
def simulated() -> Iterator[Database]:
    """Within it, everything that asks for the database gets this one, migrated and empty, whatever the suite runs on."""
    before = connections[DEFAULT_DB_ALIAS]
    database = Database(_settings(), DEFAULT_DB_ALIAS)
    connections[DEFAULT_DB_ALIAS] = database
    try:
        if _migrated:
            database.connect()
            restore(database, *_migrated)
        else:
            call_command("migrate", verbosity=0, interactive=False)
            _migrated.append(kept(database))
        yield database
    finally:
        connections[DEFAULT_DB_ALIAS] = before
        if database.connection is not None:
            database.connection.close()


def kept(database: Database) -> sqlite3.Connection:
    """A copy of what it holds now."""
    template = sqlite3.connect(":memory:")
    database.connection.backup(template)
    return template


def restore(database: Database, template: sqlite3.Connection) -> None:
    template.backup(database.connection)
