"""Figures of the whole installation for monitoring: live runs and what they wait for, outcomes of the last day, calls in flight,
processes at work.

Reads live rows, the newest of the last day, and the engines' own rows; never counts a table. Names no pipeline: that is `health`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, Min

from audit.actors import Actor
from runs.engine.states import CallState, Integrity, RunState, WaitKind, WaitState
from runs.models import Call, Engine, Kind, Run, Wait
from runs.services.health import LATE, MOST_LATE, by_live_index, ready_since

DAY: Final = timedelta(days=1)
MOST: Final = 50_000
"""Rows that are counted at most; what reaches this is said as this."""
MOST_PROCESSES: Final = 1_000
MOST_COUNTING: Final = 200
HEARD: Final = timedelta(minutes=10)
"""So long the counts of an engine are told after its last heartbeat: whoever asks less often than it lives learns what it counted last."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Instants where something is due or was done, so that whoever asks makes ages of them by one clock."""

    live: Mapping[str, int]
    outcomes: Mapping[tuple[str, str], int]
    overdue: int
    ready_since: datetime | None
    calls: Mapping[str, int]
    waits: Mapping[str, tuple[int, datetime | None]]
    """Of each kind how many are open, and since when the oldest is."""
    alive: Mapping[str, int]
    silent: Mapping[str, int]
    driving: int
    swept_at: datetime | None
    counts: Mapping[UUID, Mapping[str, Any]]
    """By engine, since it started. Never summed: a sum would fall when an engine is no longer in it."""


def figures(*, actor: Actor, now: datetime) -> Figures:
    """Of everything, so for whoever sees everything; nine queries."""
    if not actor.sees_everything:
        raise PermissionError("figures of the whole installation are for whoever sees everything")
    processes = list(Engine.objects.order_by("-beat_at")[:MOST_PROCESSES])  # those at work first, however many have left since they started
    alive = [each for each in processes if each.stands(now) == "at work"]
    return Figures(
        live={str(state): number for state, number in _live().items()},
        outcomes=_outcomes(now),
        overdue=len(by_live_index(Run.objects.overdue(now - LATE)).values_list("id", flat=True)[:MOST_LATE]),
        ready_since=min((since for _, since in ready_since(now)), default=None),
        calls=_calls(),
        waits=_waits(),
        alive=_by_kind(alive),
        silent=_by_kind([each for each in processes if each.stands(now) == "silent"]),
        driving=sum(each.driving for each in alive),
        swept_at=max((each.swept_at for each in alive if each.swept_at is not None), default=None),
        counts=_counts(processes, now),
    )


def _live() -> Counter[str]:
    return Counter(by_live_index(Run.objects.live()).values_list("state", flat=True)[:MOST])


def _outcomes(now: datetime) -> dict[tuple[str, str], int]:
    """Of runs that began within the last day, the newest of them where they are many: by pipeline and outcome, or `broken` where a check found that.

    They are too many to be held against the ledger each time.
    """
    newest = Run.objects.whole().filter(created_at__gte=now - DAY).order_by("-created_at").values("id")[:MOST]
    ended = Run.objects.filter(id__in=newest, outcome__isnull=False).order_by()
    found: Counter[tuple[str, str]] = Counter()
    for pipeline, outcome, integrity, number in ended.values_list("pipeline__name", "outcome", "integrity").annotate(number=Count("id")):
        found[pipeline, str(outcome) if integrity == Integrity.INTACT else integrity] += number
    return found


def _calls() -> dict[str, int]:
    """Of runs at work; of those whose fate nobody knows all, for the run of one waits or has ended."""
    running = list(by_live_index(Run.objects.filter(state=RunState.RUNNING)).values_list("id", flat=True)[:MOST_LATE])
    found = Call.objects.filter(run__in=running).order_by().values_list("state").annotate(number=Count("key"))
    unresolved = Call.objects.extra(where=[f"runs_call.state = '{CallState.UNRESOLVED}'"])  # noqa: S610 - our own word, so that SQLite takes its index
    return {str(state): number for state, number in found} | {str(CallState.UNRESOLVED): unresolved.count()}


def _waits() -> dict[str, tuple[int, datetime | None]]:
    counted = Wait.objects.extra(where=[f"runs_wait.state = '{WaitState.OPEN}'"]).order_by().values_list("kind")  # noqa: S610 - as above
    found = {kind: (number, since) for kind, number, since in counted.annotate(number=Count("id"), since=Min("opened_at"))}
    return {str(kind): found.get(kind, (0, None)) for kind in WaitKind}


def _by_kind(processes: list[Engine]) -> dict[str, int]:
    return {str(kind): sum(each.kind == kind for each in processes) for kind in Kind}


def _counts(processes: list[Engine], now: datetime) -> dict[UUID, Mapping[str, Any]]:
    """Of engines that take any run, those that started first where they are many. One that drives a single run says nothing that the run doesn't."""
    heard = [each for each in processes if each.kind == Kind.ENGINE and each.serves_all and each.beat_at >= now - HEARD]
    return {each.id: each.counts for each in sorted(heard, key=lambda each: (each.started_at, each.id))[:MOST_COUNTING]}
