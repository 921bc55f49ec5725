"""What stops make of runs that no worker has in hand: queued ones wait, and whatever waited for the end of a stop goes on when it has come.

A run at work feels a stop where it is driven; so does one that is taken up again. Called by sweeps, and by whoever sets or lifts a stop here.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from agents import stops
from agents.models import Scope
from agents.stops import InForce, Place
from agents.validation import DEEPEST
from audit import clock, ledger
from audit.actors import Actor
from audit.identity import new_id
from audit.ledger import Draft
from runs import queue, store
from runs.engine.limits import left_ms
from runs.engine.patterns.waits import STOPPED_FOR
from runs.engine.states import UNFORESEEN_WAITS, Integrity, RunState, Verb, WaitKind
from runs.engine.values import instant_text
from runs.errors import AlreadyAnswered, NotWaiting
from runs.models import Run, RunQuerySet, Wait
from runs.services.answering import answer
from runs.store import family

BATCH: Final = 100
_OF_RUNS: Final = frozenset({Scope.EVERYTHING, Scope.TEAM, Scope.PIPELINE, Scope.VERSION, Scope.RUN})


def of_runs(stop: InForce, *, path: str = "") -> Q:
    """The runs that a stop is of, with all below them. `path` leads to a run from what is asked about: `run__`."""
    if stop.scope == Scope.EVERYTHING:
        return Q()
    named = Run.objects.filter(_named(stop)).order_by().values("id")
    levels = [path + "parent_run__" * depth for depth in range(1, DEEPEST)]
    return reduce(or_, (Q(**{f"{level}in": named}) for level in levels), Q(**{f"{path or 'id__'}in": named}))


def _named(stop: InForce) -> Q:
    match stop.scope:
        case Scope.TEAM:
            return Q(team__name=stop.name)
        case Scope.PIPELINE:
            return Q(pipeline__name=stop.name)
        case Scope.RUN:
            return Q(id=stop.name)
    owner, _, number = stop.name.rpartition("@")
    return Q(pipeline__name=owner, release__version__number=int(number))


def heed_stops(*, actor: Actor) -> int:
    """Queued runs that are stopped wait, those whose stop is lifted go on; how many of either."""
    known = stops.in_force()
    return _lifted(known.every, actor) + sum(_parked_by(stop, actor) for stop in known.every if stop.scope in _OF_RUNS)


def stops_over(asking: Sequence[tuple[Run, str]]) -> list[InForce | None]:
    """Of each run and the agent that would make a call in it, the stop in force that the call would be under; one read where there is none at all."""
    known = stops.in_force()
    if not known.every:
        return [None] * len(asking)
    lines = store.lines_above([run for run, _ in asking])
    return [known.of_run([_place(run), *lines.get(run.id, ())]) or _on_agent(known, run, agent) for run, agent in asking]


def _place(run: Run) -> Place:
    return Place(run.id, run.pipeline.name, run.release.manifest["pipeline"]["version"], run.team.name)


def _on_agent(known: stops.Stops, run: Run, agent: str) -> InForce | None:
    plan, _ = store.plan_of_run(run)
    return known.of_call(store.hand_of(plan, agent)) if agent in plan.agents else None


# --- queued runs -------------------------------------------------------------------------------------------------------


def _parked_by(stop: InForce, actor: Actor) -> int:
    runs = _queued(clock.now()).filter(of_runs(stop)).order_by("id").values_list("id", flat=True)[:BATCH]
    return sum(_parked(run, stop, actor) for run in list(runs))


def _queued(now: datetime) -> RunQuerySet:
    waiting = Run.objects.unattended(now).filter(state=RunState.QUEUED, deadline_at__gt=now)
    return waiting.filter(integrity=Integrity.INTACT, cancel_requested_at__isnull=True)


def _parked(run_id: UUID, stop: InForce, actor: Actor) -> bool:
    """Its clock stands, as that of any run that waits for somebody."""
    with transaction.atomic(durable=True):
        family.lock([run_id])
        Run.objects.filter(id=run_id).update(revision=F("revision") + 1)
        now = clock.now()
        run = _queued(now).filter(id=run_id).first()
        if run is None:
            return False
        until = min(now + STOPPED_FOR, run.lifetime_until or now + STOPPED_FOR)
        left = left_ms(run.deadline_at, now)
        head = ledger.head_of(run.id)
        needs = max(run.engine_abi, UNFORESEEN_WAITS[WaitKind.STOPPED])
        changes = {"state": RunState.WAITING, "wake_at": until, "deadline_at": until, "remaining_ms": left, "seq": F("seq") + 1, "engine_abi": needs}
        Run.objects.filter(id=run.id).update(**changes)
        Wait.objects.create(id=new_id(), run=run, kind=WaitKind.STOPPED, subject=stop.subject, opened_at=now, expires_at=until)
        ledger.record([_waiting(run, until, left, actor)], now=now, heads={run.id: head})
        family.tell([family.News(run.id)], actor=actor, now=now)
    return True


def _waiting(run: Run, until: datetime, left: int, actor: Actor) -> Draft:
    facts = {
        "waits": [{"step": None, "kind": str(WaitKind.STOPPED)}],
        "count": 1,
        "clock": "stands",
        "remaining_ms": left,
        "wake_at": instant_text(until),
        "deadline_at": instant_text(until),
    }
    return Draft(verb=Verb.RUN_WAITING, actor=actor, subject=run.subject, team=run.team.name, run=run.id, facts=facts, sequenced=True)


# --- what was lifted -----------------------------------------------------------------------------------------------------


def _lifted(every: Iterable[InForce], actor: Actor) -> int:
    """Each wait by itself: what else the run waits for is another matter."""
    over = Wait.objects.answerable(clock.now()).filter(kind=WaitKind.STOPPED).exclude(subject__in=[stop.subject for stop in every])
    return sum(_resumed(wait, actor) for wait in over.select_related("run", "run__team").order_by("opened_at", "id")[:BATCH])


def _resumed(wait: Wait, actor: Actor) -> bool:
    """Every engine sweeps: another may have been quicker, or time, or a cancel."""
    try:
        answer(wait, {"lifted": wait.subject}, actor=actor)
    except (AlreadyAnswered, NotWaiting):
        return False
    queue.ring(wait.run_id)
    return True
