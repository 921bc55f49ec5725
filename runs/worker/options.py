"""What an engine is told when it is made: how much at once, for how long, and who looks on. Values only."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

from django.conf import settings

from runs.worker.messages import Event

log = logging.getLogger(__name__)


def _silent(_: Event) -> None:
    """Nobody is looking."""


def unharmed(listener: Callable[[Event], None]) -> Callable[[Event], None]:
    """Who looks on must not stop the work: a terminal that has gone away is no reason to leave a run."""

    def heard(event: Event) -> None:
        try:
            listener(event)
        except Exception as error:  # noqa: BLE001 - whatever happens while somebody is told
            log.debug("nobody heard of %s (%s)", event.verb, error)

    return heard


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """`only` drives just these runs and those below them, then stops; `idle_s` stops when nothing has been ready for so long; else until stopped.

    `id` is that of its row, and the owner of its leases: never that of another process.
    """

    only: frozenset[UUID] | None = None
    idle_s: float | None = None
    concurrency: int = field(default_factory=lambda: int(settings.ORCHESTRA_CONCURRENCY))
    children: int = field(default_factory=lambda: int(settings.ORCHESTRA_CHILDREN))
    ttl: timedelta = field(default_factory=lambda: timedelta(seconds=settings.ORCHESTRA_LEASE_TTL_S))
    beat_s: float = field(default_factory=lambda: float(settings.ORCHESTRA_HEARTBEAT_S))
    listener: Callable[[Event], None] = _silent
    id: UUID = field(default_factory=uuid4)
