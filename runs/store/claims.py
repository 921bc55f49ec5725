"""Authority: claiming runs, keeping the lease alive, and seeing what others changed.

The fence gives safety, the lease only liveness. Every statement here is a conditional update or one indexed read.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest

from audit import clock
from runs.engine.states import LIVE_RUN
from runs.models import Run

MAX_ATTEMPTS = 5
"""Claims without a committed transition between them. A run that kills its worker that often ends as `lost`."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a worker sees of a run that it holds."""

    revision: int
    fence: int
    finished: bool


def claim(*, owner: UUID, ttl: timedelta, limit: int, only: Collection[UUID] | None = None) -> list[UUID]:
    """Take up to `limit` ready runs, oldest first. A conditional update each, so two workers never hold one fence."""
    if connection.vendor == "sqlite" and not Run.objects.ready(clock.now()).exists():
        return []  # a worker looks several times a second, and must not take the one write lock each time for nothing
    with transaction.atomic(durable=True):
        now = clock.now()
        ready = Run.objects.ready(now)
        if only is not None:
            ready = ready.filter(id__in=only)
        # Skipping locked rows only keeps workers out of each other's way (SQLite ignores it); the condition below decides.
        ids = list(ready.select_for_update(skip_locked=True).values_list("id", flat=True)[:limit])
        until = now + ttl
        free = Run.objects.ready(now).order_by().filter(id__in=ids)
        free.update(fence=F("fence") + 1, attempt=F("attempt") + 1, lease_owner=owner, lease_until=until)
        return list(Run.objects.filter(id__in=ids, lease_owner=owner, lease_until=until).values_list("id", flat=True))


def heartbeat(*, owner: UUID, ttl: timedelta, runs: Sequence[UUID]) -> set[UUID]:
    """Prolong the leases of these runs; returns those that are still ours. Whoever is missing has been lost."""
    with transaction.atomic(durable=True):
        now = clock.now()
        held = Run.objects.filter(lease_owner=owner, id__in=runs)
        held.filter(state__in=LIVE_RUN).update(lease_until=now + ttl)
        return set(held.values_list("id", flat=True))


def look(runs: Sequence[UUID]) -> dict[UUID, Look]:
    """Revision and fence of each run, in one indexed read."""
    rows = Run.objects.filter(id__in=runs).values_list("id", "revision", "fence", "state")
    return {run: Look(revision, fence, state not in LIVE_RUN) for run, revision, fence, state in rows}


def release_lease(*, owner: UUID, runs: Sequence[UUID]) -> None:
    """Give live runs back, so that another worker need not wait for the lease to run out. That is no crash: it counts as no attempt."""
    held = Run.objects.filter(lease_owner=owner, id__in=runs, state__in=LIVE_RUN)
    held.update(lease_owner=None, lease_until=None, attempt=Greatest(F("attempt") - 1, 0))
