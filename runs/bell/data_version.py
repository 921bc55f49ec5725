"""SQLite's bell: every commit rings it. A counter in shared memory says whether another connection has committed.

Knows the file and nothing of what is in it. Used by `runs.bell`.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from uuid import UUID

from django.db import connection

POLL_S = 0.05
"""A look takes some microseconds and reads no page of the file."""


class DataVersion:
    def ring(self, *runs: UUID) -> None:
        """The commit has been the ring."""

    async def listen(self, heard: Callable[[UUID | None], None]) -> None:
        with closing(sqlite3.connect(str(connection.settings_dict["NAME"]), isolation_level=None)) as reader:
            seen = None
            while True:
                (version,) = reader.execute("PRAGMA data_version").fetchone()
                if version != seen:
                    seen = version
                    heard(None)
                await asyncio.sleep(POLL_S)
