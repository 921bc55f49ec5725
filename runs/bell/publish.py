"""Redis's bell: publish and subscribe. Nothing of it is kept, so nothing of it can be stale.

Channels belong to a whole server, so the number of the database is in the name. Used by `runs.bell`.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final
from uuid import UUID

if TYPE_CHECKING:
    from redis import Redis

PATIENCE_S: Final = 2.0
"""A start must not hang on a bell."""
ALIVE_S: Final = 30.0


class Publish:
    def __init__(self, url: str) -> None:
        self._url = url

    def ring(self, *runs: UUID) -> None:
        client = _client(self._url)
        channel = _channel(client.connection_pool.connection_kwargs.get("db"))
        for run in runs:
            client.publish(channel, str(run))

    async def listen(self, heard: Callable[[UUID | None], None]) -> None:
        from redis.asyncio import Redis  # noqa: PLC0415 - only where there is one

        client = Redis.from_url(self._url, socket_connect_timeout=PATIENCE_S, socket_keepalive=True, health_check_interval=ALIVE_S)
        async with client, client.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(_channel(client.connection_pool.connection_kwargs.get("db")))
            heard(None)
            while True:
                said = await subscription.get_message(timeout=ALIVE_S)
                if said is not None:
                    heard(UUID(said["data"].decode()))


def _channel(database: int | None) -> str:
    return f"orchestra:{database or 0}:runs"


@cache
def _client(url: str) -> "Redis":
    """One for the whole process; its pool makes connections anew after a fork."""
    from redis import Redis  # noqa: PLC0415 - as above

    return Redis.from_url(url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S)
