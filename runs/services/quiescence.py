"""Proof that what was stopped has come to rest: the last call before the stop, none after it, and what became of those that were out.

Computed from rows whenever somebody asks, and remembered nowhere. Reads only. Called by doors.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import Q

from agents.models import Agent, Scope, Stop
from agents.stops import InForce
from audit import reports
from audit.actors import Actor
from runs.engine.states import CallState, Verb, WaitKind, WaitState
from runs.engine.values import instant_text
from runs.models import Call, CallKind, CallQuerySet, Wait
from runs.services.halting import of_runs

MOST: Final = 100
FATES: Final = {
    CallState.DISPATCHED: "still out",
    CallState.CONFIRMED: "was answered",
    CallState.REFUSED: "was cut short, and nobody waits for an answer",
    CallState.UNRESOLVED: "nobody knows whether it was done; somebody has to say",
    CallState.RESOLVED_DONE: "somebody has said that it was done",
    CallState.RESOLVED_NOT_DONE: "somebody has said that it was not done",
}


def proof_of(row: Stop, *, actor: Actor, now: datetime) -> dict[str, Any]:
    """Of the calls that a stop covers, as they stand now; of a stop that was lifted, until then. `quiet`: none was sent, and none is out any more.

    `complete` is false where others' calls may be under it too, of which this actor is told nothing.
    """
    covered, at, until = calls_under(row).visible_to(actor), row.stopped_at, row.lifted_at or now
    last = covered.filter(dispatched_at__lte=at).order_by("-dispatched_at", "key").first()
    after = list(covered.filter(dispatched_at__gt=at, dispatched_at__lt=until).order_by("dispatched_at", "key")[: MOST + 1])
    out = list(covered.filter(dispatched_at__lte=at).filter(Q(settled_at__isnull=True) | Q(settled_at__gt=at)).order_by("dispatched_at", "key"))
    again = _sent_again(out, at, until)
    still_out = sum(call.state == CallState.DISPATCHED for call in out)
    waiting = Wait.objects.visible_to(actor).filter(kind=WaitKind.STOPPED, subject=row.subject, state=WaitState.OPEN)
    quiet = not (after or again or still_out)
    return {
        "complete": actor.sees_everything,
        "quiet": quiet,
        "quiet_since": instant_text(max([at, *(call.settled_at for call in out if call.settled_at is not None)])) if quiet else None,
        "looked_at": instant_text(now),
        "until": instant_text(until),
        "last_before": None if last is None else _record(last),
        "sent_after": min(len(after), MOST) + len(again),
        "after": [_record(call) for call in [*after, *again][:MOST]],
        "in_flight": len(out),
        "still_out": still_out,
        "calls": [_record(call) for call in out[:MOST]],
        "waiting": waiting.count() if row.lifted_at is None else 0,
    }


def calls_under(row: Stop) -> CallQuerySet:
    """All calls that this stop covers, whenever they were made."""
    return Call.objects.filter(_covers(row)).select_related("run", "run__pipeline", "run__team")


def _covers(row: Stop) -> Q:
    match row.scope:
        case Scope.AGENT:
            return Q(agent=row.name)
        case Scope.ALIAS:
            return Q(kind=CallKind.MODEL, name=row.name)
        case Scope.TOOL:
            return Q(kind=CallKind.TOOL, name=row.name)
    of_its_runs = of_runs(InForce(row.id, row.scope, row.name, row.stopped_at), path="run__")
    if row.scope == Scope.TEAM:
        return of_its_runs | Q(agent__in=Agent.objects.filter(team__name=row.name).values("name"))
    if row.scope == Scope.VERSION:
        owner, _, number = row.name.rpartition("@")
        of_agent = Q(agent=owner, **{f"run__release__manifest__agents__{owner}__version": int(number)})
        return of_its_runs | of_agent
    return of_its_runs


def _sent_again(out: Sequence[Call], since: datetime, until: datetime) -> list[Call]:
    """Of those that were out, the ones whose worker had died and which another one sent once more."""
    subjects = {f"call:{call.key}": call for call in out}
    runs: Collection[Any] = {call.run_id for call in out}
    told = reports.said_between(Verb.CALL_RESENT, list(subjects), runs=runs, since=since, until=until) if out else []
    return [subjects[subject] for subject in told]


def _record(call: Call) -> dict[str, Any]:
    return {
        "id": str(call.id),
        "run": str(call.run_id),
        "pipeline": call.run.pipeline.name,
        "team": call.run.team.name,
        "step": call.step,
        "agent": call.agent,
        "kind": call.kind,
        "name": call.name,
        "mode": call.mode,
        "state": call.state,
        "dispatched_at": instant_text(call.dispatched_at),
        "settled_at": instant_text(call.settled_at),
        "not_after": instant_text(call.not_after),
        "fate": FATES[CallState(call.state)],
    }
