"""Authority: claiming runs, keeping the lease alive, and seeing what others changed.

The fence gives safety, the lease only liveness. Every statement here is a conditional update or one indexed read.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest

from audit import bulk, clock
from runs.engine.states import AT_WORK_RUN, LIVE_RUN, SUPPORTED_ABIS, Integrity, RunState
from runs.models import Run
from runs.store import fairness
from runs.store.fairness import Place, Queue

MAX_ATTEMPTS = 5
"""Claims without a committed transition between them. A run that kills its worker that often ends as `lost`."""

DOUBTED: Final = 3
"""After so many claims in vain a run is taken apart from most others, which its worker's death would cost an attempt as well."""
TOGETHER: Final = 8
"""So many of these a worker takes at once; one alone where it was claimed in vain once more."""
SUSPECTED_FOR: Final = 2
"""Leases. What has not killed its worker by then has a long call, and is in nobody's way."""

_ABIS: Final = ", ".join(map(str, sorted(SUPPORTED_ABIS)))
# As `Run.objects.ready` says it (a test holds one beside the other): the ORM would take longer to write it than a database to do it.
_READY: Final = (
    "(lease_until IS NULL OR lease_until <= %s) AND (state IN ('queued', 'running') OR state = 'waiting' AND wake_at <= %s) "
    f"AND deadline_at > %s AND integrity = '{Integrity.INTACT}' AND engine_abi IN ({_ABIS})"
)

_OR_KEPT: Final = _READY.replace("<= %s) AND (state", "<= %s OR fence = 0 AND lease_owner = %s) AND (state", 1)
"""Those too that were started for whoever asks and never taken: nobody else's for one lease."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a worker sees of a run that it holds."""

    revision: int
    fence: int
    finished: bool


def claim(
    *,
    owner: UUID,
    ttl: timedelta,
    limit: int,
    only: Collection[UUID] | None = None,
    held: Mapping[Place, int] | None = None,
    driven: Collection[tuple[int, datetime | None]] = (),
) -> list[Run]:
    """Take up to `limit` ready runs as they are now. A conditional update each, so two workers never hold one fence.

    Oldest first; with `held` (how many runs of each team and pipeline the caller drives) the room is shared fairly between those that wait for it,
    and of each pipeline those that have begun come first. `driven`: of the runs that it drives the attempts without progress, and until when it held
    them when it took them: of doubted ones it is given few. With `only`, a run that was started for this owner is ready too.
    """
    kept_for = None if only is None else owner
    ready, now = _READY if kept_for is None else _OR_KEPT, clock.now()
    suspects = [attempt for attempt, until in driven if until is not None and now < until + ttl * (SUSPECTED_FOR - 1)]
    if only is None and _is_alone(suspects):
        return []
    if connection.vendor == "sqlite" and not bulk.statement(f"SELECT 1 FROM runs_run WHERE {ready} LIMIT 1", _ready(now, kept_for)):  # noqa: S608
        return []  # a worker looks several times a second, and must not take the one write lock each time for nothing
    with bulk.atomic():
        now = clock.now()
        if only is not None:
            parts = [_Part(_among(only), [bulk.adapted(run) for run in only] * 2, limit)]
            found = _taken(owner, now, now + ttl, parts, kept_for)
        else:
            found = _doubted(owner, now, now + ttl, suspects, limit)
            if not _is_alone([run.attempt for run in found]):
                room = limit - len(found)
                parts = [_Part(_SOUND, [], room)] if held is None else _fair_parts(held, room)
                found += _taken(owner, now, now + ttl, parts) if parts and room > 0 else []
        return sorted(found, key=lambda run: run.created_at)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the ready runs, oldest first: a further condition with its values, and how many."""

    condition: str
    values: list[Any]
    limit: int


def _among(only: Collection[UUID]) -> str:
    """These runs and those below them; each is named twice."""
    marks = ", ".join(["%s"] * len(only)) or "NULL"
    return f" AND (id IN ({marks}) OR root_run_id IN ({marks}))"


def _taken(owner: UUID, now: datetime, until: datetime, parts: Sequence[_Part], kept_for: UUID | None = None) -> list[Run]:
    ready, known = _READY if kept_for is None else _OR_KEPT, _ready(now, kept_for)
    # Skipping locked rows only keeps workers out of each other's way (SQLite has no such thing); the condition of the update decides.
    skip = " FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""
    named = [
        f"p{place}(found) AS (SELECT id FROM runs_run WHERE {ready}{part.condition} ORDER BY created_at LIMIT %s{skip})"  # noqa: S608 - our own names
        for place, part in enumerate(parts)
    ]
    union = " UNION ALL ".join(f"SELECT found FROM p{place}" for place, _ in enumerate(parts))  # noqa: S608
    sql = (
        f"WITH {', '.join(named)}, free(found) AS ({union}) "  # noqa: S608 - our own names
        f"UPDATE runs_run SET fence = fence + 1, attempt = attempt + 1, lease_owner = %s, lease_until = %s FROM free "
        f"WHERE id = found AND {ready} RETURNING {bulk.column_list(Run)}"
    )
    given = [value for part in parts for value in (*known, *part.values, part.limit)]
    return bulk.instances(Run, bulk.statement(sql, [*given, bulk.adapted(owner), bulk.adapted(until), *known]))


_SOUND: Final = f" AND attempt < {DOUBTED}"
# As its index says it, which SQLite then takes.
_STATES: Final = ", ".join(f"'{state}'" for state in sorted(LIVE_RUN))
_DOUBTED: Final = f"attempt >= {DOUBTED} AND state IN ({_STATES})"


def _doubted(owner: UUID, now: datetime, until: datetime, suspects: Collection[int], limit: int) -> list[Run]:
    """One that is to be alone, or some that are to be few. A claim counts as an attempt, so what is driven has one more than what is looked for."""
    if not bulk.statement(f"SELECT 1 FROM runs_run WHERE {_DOUBTED} LIMIT 1", []):  # noqa: S608 - our own names
        return []
    few = min(TOGETHER - sum(each == DOUBTED + 1 for each in suspects), limit)
    for which, most in ((f"attempt > {DOUBTED}", 1), (f"attempt = {DOUBTED}", few)):
        found = _taken(owner, now, until, [_Part(f" AND {_DOUBTED} AND {which}", [], most)]) if most > 0 else []
        if found:
            return found
    return []


def _is_alone(attempts: Collection[int]) -> bool:
    """Whether one of these is to be alone: nothing more is taken beside it."""
    return any(each > DOUBTED + 1 for each in attempts)


_QUEUED: Final = f"FROM runs_run WHERE pipeline_id = p.id AND state = 'queued' AND {_READY}{_SOUND}"
# In the order of the index of queued runs: without it PostgreSQL looks for the few of a pipeline through all the others.
_HEADS: Final = (
    f"SELECT p.team_id, p.id, r.priority, (SELECT count(*) FROM (SELECT 1 AS one {_QUEUED} ORDER BY created_at LIMIT %s) AS ready) "  # noqa: S608 - our own names
    f"FROM agents_pipeline p JOIN runs_run r ON r.id = (SELECT id {_QUEUED} ORDER BY created_at LIMIT 1)"
)
# Those whose wait has ended since the last look, and those whose worker has died. The states once more, or SQLite reads all runs there are.
_HAS_BEGUN: Final = f"state <> 'queued' AND state IN ({_STATES})"
_BEGUN: Final = (
    f"SELECT team_id, pipeline_id, max(priority), count(*) FROM runs_run WHERE {_HAS_BEGUN} AND {_READY}{_SOUND} GROUP BY team_id, pipeline_id"  # noqa: S608
)


def _fair_parts(held: Mapping[Place, int], room: int) -> list[_Part]:
    """A look-up by index for each pipeline, however many runs wait. Room goes to what can be taken, not to what only stands in the queue."""
    if room <= 0:
        return []
    ready = _ready(clock.now())
    begun = {_key(row[1]): row for row in bulk.statement(_BEGUN, ready)}
    queued = {_key(row[1]): row for row in bulk.statement(_HEADS, [*ready, room, *ready])}
    wanted = fairness.shares([_queue(begun.get(pipeline), queued.get(pipeline)) for pipeline in begun | queued], held, room)
    # SQLite would go through all runs of the pipeline that there have been, by the index of those.
    parts, own = [], "+pipeline_id" if connection.vendor == "sqlite" else "pipeline_id"
    for pipeline, count in wanted.items():
        first = min(count, begun[pipeline][3]) if pipeline in begun else 0
        parts += [(f"{_HAS_BEGUN} AND {own}", pipeline, first), ("state = 'queued' AND pipeline_id", pipeline, count - first)]
    return [_Part(f" AND {which} = %s{_SOUND}", [bulk.adapted(pipeline)], most) for which, pipeline, most in parts if most]


def _queue(begun: Sequence[Any] | None, queued: Sequence[Any] | None) -> Queue:
    team, pipeline, priority, _ = queued or begun or ()
    return Queue(_key(team), _key(pipeline), priority, sum(row[3] for row in (begun, queued) if row is not None))


def _key(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def family_at_work(runs: Collection[UUID]) -> bool:
    """Whether one of these is ready, or a run below one is queued or at work, here or elsewhere, or ended by time and nobody has written that yet.

    A ready one counts because a claim passes over rows that somebody has locked at that moment.
    """
    now = clock.now()
    goes_on = Q(state__in=AT_WORK_RUN) | Q(state=RunState.WAITING, wake_at__lte=now) | Q(state=RunState.WAITING, deadline_at__lte=now)
    below = Run.objects.filter(goes_on, root_run__in=list(runs), integrity=Integrity.INTACT)
    return below.exists() or Run.objects.ready(now).filter(id__in=list(runs)).exists()


def _ready(now: datetime, kept_for: UUID | None = None) -> list[Any]:
    return [bulk.adapted(now), *([] if kept_for is None else [bulk.adapted(kept_for)]), bulk.adapted(now), bulk.adapted(now)]


def heartbeat(*, owner: UUID, ttl: timedelta, runs: Sequence[UUID]) -> set[UUID]:
    """Prolong the leases of these runs; returns those that are still ours. Whoever is missing has been lost."""
    with transaction.atomic(durable=True):
        held = Run.objects.filter(lease_owner=owner, id__in=runs)
        ours = _locked_in_order(held)
        now = clock.now()
        ours.filter(state__in=LIVE_RUN).update(lease_until=now + ttl)
        return set(ours.values_list("id", flat=True))


def look(runs: Sequence[UUID]) -> dict[UUID, Look]:
    """Revision and fence of each run, in one indexed read."""
    rows = Run.objects.filter(id__in=runs).values_list("id", "revision", "fence", "state")
    return {run: Look(revision, fence, state not in LIVE_RUN) for run, revision, fence, state in rows}


def release_lease(*, owner: UUID, runs: Sequence[UUID]) -> None:
    """Give live runs back, so that another worker need not wait for the lease to run out. That is no crash: it counts as no attempt."""
    held = Run.objects.filter(lease_owner=owner, id__in=runs, state__in=LIVE_RUN)
    with transaction.atomic(durable=True):
        _locked_in_order(held).update(lease_owner=None, lease_until=None, attempt=Greatest(F("attempt") - 1, 0))


def forfeit_lease(*, owner: UUID) -> None:
    """Free the runs of a worker that is known to be dead. They were claimed in vain, so that counts as an attempt."""
    held = Run.objects.filter(lease_owner=owner, state__in=LIVE_RUN)
    with transaction.atomic(durable=True):
        _locked_in_order(held).update(lease_until=clock.now())


def _locked_in_order(held: "QuerySet[Run]") -> "QuerySet[Run]":
    """In the order of commits, or each might wait for the other's next row. These and no others: what meets the condition only since would be
    taken out of order by the next statement."""
    return Run.objects.filter(id__in=list(held.order_by("id").select_for_update(no_key=True).values_list("id", flat=True)))
