"""PostgreSQL's bell: NOTIFY, heard on a connection of the listener's own.

A pooler in transaction mode hands notifications to nobody; engines then find runs at their next look. Used by `runs.bell`.
"""

from collections.abc import Callable
from typing import Final
from uuid import UUID

from django.db import connection

CHANNEL: Final = "orchestra_runs"
ALIVE_S: Final = 60.0
"""A connection that says nothing for so long is asked whether it still is one."""
_NOT_LIBPQS: Final = frozenset({"context", "cursor_factory", "server_side_binding", "isolation_level", "pool"})


class Notify:
    def ring(self, *runs: UUID) -> None:
        """In a transaction of its own: one that waits in the queue of notifications would hold the run's locks meanwhile."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, run) FROM unnest(%s::text[]) AS run", [CHANNEL, [str(run) for run in runs]])

    async def listen(self, heard: Callable[[UUID | None], None]) -> None:
        import psycopg  # noqa: PLC0415 - only where the database is PostgreSQL

        wanted = {name: value for name, value in connection.get_connection_params().items() if name not in _NOT_LIBPQS}
        async with await psycopg.AsyncConnection.connect(**wanted, autocommit=True) as listener:
            await listener.execute(f"LISTEN {CHANNEL}")
            heard(None)
            while True:
                async for said in listener.notifies(timeout=ALIVE_S):
                    heard(UUID(said.payload))
                await listener.execute("SELECT 1")
