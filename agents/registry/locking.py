"""One lock for all that decides by the inventory and then changes it: applying, publishing, rolling back, permitting, retiring, reinstating,
lifting stops, and proposing any of these, deciding such a proposal and withdrawing it.

Which rows such a change reads is known only after reading (who uses this agent, who runs that pipeline), so locks on rows would come too
late, or in two orders. Taken first in the transaction, by the use-cases beside it; a stop, or a suspension, needs one row and never waits for it.

After it, each where it is needed: rows of people with what they ask with (`require_credential`), of model aliases, of teams, of agents and
pipelines, and at last the stops (`stops.hold`). Whoever says who is in a team, works with an agent's key or sets a stop takes them in this
order too, without this lock. Whoever takes a proposal's row and one of these takes this lock before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import IntegrityError, connection, transaction

from audit.errors import Conflict

_KEY: Final = int.from_bytes(b"registry")
"""Of the advisory lock on PostgreSQL; those of the worker's room have two numbers, and are others."""


@contextmanager
def inventory_held() -> Iterator[None]:
    """A transaction, until whose end nobody else changes what may run: what is read in it is what the changes before left.

    SQLite has one writer anyway. Who has waited for `lock_timeout` gets OperationalError, which doors say as Unavailable. Conflict where
    somebody wrote the same objects all the same: a process that runs an older version knows of no lock.
    """
    try:
        with transaction.atomic(durable=True):
            _hold()
            yield
    except IntegrityError as error:
        raise Conflict("somebody else changed the same objects at this moment; look and repeat") from error


def _hold() -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_KEY])
