"""One lock for all that decides by the inventory and then changes it: applying, publishing, rolling back, retiring, reinstating.

Which rows such a change reads is known only after reading (who uses this agent, who runs that pipeline), so locks on rows would come too
late, or in two orders. Taken first in the transaction, by the use-cases beside it; a suspension needs one row and never waits for it.
"""

from __future__ import annotations

from typing import Final

from django.db import connection

from audit.errors import NoTransaction

_KEY: Final = int.from_bytes(b"registry")
"""Of the advisory lock on PostgreSQL; those of the worker's room have two numbers, and are others."""


def hold_inventory() -> None:
    """Until the transaction ends, nobody else changes what may run. What is read from now on is what the changes before left.

    SQLite has one writer anyway. Who has waited for `lock_timeout` gets OperationalError, which doors say as Unavailable. NoTransaction.
    """
    if not connection.in_atomic_block:
        raise NoTransaction
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_KEY])
