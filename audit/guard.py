"""Whether the triggers that refuse to change an entry stand, and putting them back.

Knows the table and the triggers; decides nothing else. Used by `migrate` and by the deployment check.
"""

import logging
from typing import Any

from django.db import connections

from audit.models import triggers

log = logging.getLogger(__name__)


def unguarded(using: str = "default") -> list[str]:
    """The triggers that are missing, or that PostgreSQL would skip under replication; none before there is a table."""
    connection = connections[using]
    is_migrated = triggers.TABLE in connection.introspection.table_names()
    return triggers.missing(connection) if is_migrated else []


def put_back(*, using: str, **_signalled: Any) -> None:
    """After `migrate`: a dump that was restored without its triggers, or a table that a migration rebuilt, is guarded again, and it is said."""
    if missing := unguarded(using):
        triggers.create(connections[using])
        log.warning("the triggers that guard the ledger are put back (%s): what was written without them had no guard", ", ".join(missing))
