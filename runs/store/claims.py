"""Authority: claiming runs, keeping the lease alive, and seeing what others changed.

The fence gives safety, the lease only liveness. Every statement here is a conditional update or one indexed read.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest

from audit import bulk, clock
from runs.engine.states import LIVE_RUN, SUPPORTED_ABIS, Integrity
from runs.models import Run

MAX_ATTEMPTS = 5
"""Claims without a committed transition between them. A run that kills its worker that often ends as `lost`."""

_ABIS: Final = ", ".join(map(str, sorted(SUPPORTED_ABIS)))
# As `Run.objects.ready` says it (a test holds one beside the other): the ORM would take longer to write it than a database to do it.
_READY: Final = (
    "(state IN ('queued', 'running') OR state = 'waiting' AND wake_at <= %s) AND (lease_until IS NULL OR lease_until <= %s) "
    f"AND deadline_at > %s AND integrity = '{Integrity.INTACT}' AND engine_abi IN ({_ABIS})"
)


@dataclass(frozen=True, slots=True)
class Look:
    """What a worker sees of a run that it holds."""

    revision: int
    fence: int
    finished: bool


def claim(*, owner: UUID, ttl: timedelta, limit: int, only: Collection[UUID] | None = None) -> list[Run]:
    """Take up to `limit` ready runs, oldest first, as they are now. A conditional update each, so two workers never hold one fence."""
    if connection.vendor == "sqlite" and not bulk.statement(f"SELECT 1 FROM runs_run WHERE {_READY} LIMIT 1", _ready(clock.now())):  # noqa: S608
        return []  # a worker looks several times a second, and must not take the one write lock each time for nothing
    with transaction.atomic(durable=True):
        now = clock.now()
        among = "" if only is None else f" AND id IN ({', '.join(['%s'] * len(only)) or 'NULL'})"
        # Skipping locked rows only keeps workers out of each other's way (SQLite has no such thing); the condition of the update decides.
        skip = " FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""
        sql = (
            f"WITH free(found) AS (SELECT id FROM runs_run WHERE {_READY}{among} ORDER BY created_at LIMIT %s{skip}) "  # noqa: S608 - our own names
            f"UPDATE runs_run SET fence = fence + 1, attempt = attempt + 1, lease_owner = %s, lease_until = %s FROM free "
            f"WHERE id = found AND {_READY} RETURNING {bulk.column_list(Run)}"
        )
        names = [bulk.adapted(run) for run in only or ()]
        values = [*_ready(now), *names, limit, bulk.adapted(owner), bulk.adapted(now + ttl), *_ready(now)]
        return sorted(bulk.instances(Run, bulk.statement(sql, values)), key=lambda run: run.created_at)


def _ready(now: datetime) -> list[Any]:
    return [bulk.adapted(now)] * 3


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
