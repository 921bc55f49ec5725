"""Stops as people meet them at runs: set, lifted and shown, with the proof that all has come to rest; and the refusal to begin what is stopped.

What a stop is, and who may set or lift it, is the registry's. Called by doors, and by whoever starts a run.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from agents import registry, stops
from agents.models import Release, Scope, Stop, StopQuerySet
from agents.stops import InForce, Place
from audit.actors import Actor
from audit.instants import recorded
from audit.visible import visible
from runs.errors import Stopped
from runs.services.halting import heed_stops
from runs.services.quiescence import proof_of
from runs.services.reading import find_run

NOBODY = UUID(int=0)
"""The id of a run that is yet to be."""
LONGEST_REASON = 300


def refuse_stopped(release: Release, team: str, in_force: Sequence[InForce]) -> None:
    """Stopped where a run of this release would be under a stop from its beginning: it says of what, since when, by whom and why."""
    place = Place(NOBODY, release.pipeline.name, release.manifest["pipeline"]["version"], team)
    stop = next((each for each in in_force if each.covers_run([place])), None)
    if stop is None:
        return
    row = Stop.objects.get(id=stop.id)
    reason = reason_of(row)
    why = f': "{visible(reason, LONGEST_REASON)}"' if reason else ""
    said = f"no run of '{place.pipeline}' is started: {stop.said} by {row.stopped_by}{why}"
    raise Stopped(f"{said}. `manage.py resume {how_to_name(stop)}` lifts it (stop {row.id})", stop=str(row.id))


def how_to_name(stop: InForce | Stop) -> str:
    """What a person types after `resume`."""
    return f"{stop.scope} {stop.name}".strip()


def reason_of(row: Stop) -> str:
    """Why it was set; empty where nobody said, or the reason was erased."""
    return registry.reasons_of([row]).get(row.id, "")


def set_stop(*, scope: str, name: str, reason: str, actor: Actor) -> Stop:
    """From now on nothing in its scope is sent; queued runs wait at once, workers feel it within a second. As `registry.stop`, and UnknownRun."""
    team = None
    if scope == Scope.RUN:
        with registry.refused_stops(scope, name, actor=actor):
            run = find_run(name, actor=actor)
        name, team = str(run.id), run.team.name
    made = registry.stop(scope, name, actor=actor, reason=reason, team_of_run=team)
    heed_stops(actor=actor)
    return made


def lift_stop(*, stop: str, actor: Actor) -> Stop:
    """What waited for its end goes on, as far as it is under no other. As `registry.lift`."""
    row = registry.lift(stop, actor=actor)
    heed_stops(actor=actor)
    return row


def stops_visible_to(actor: Actor, *, in_force: bool = True) -> StopQuerySet:
    rows = Stop.objects.visible_to(actor).select_related("team")
    return rows.in_force() if in_force else rows


def stop_document(row: Stop, *, actor: Actor, now: datetime) -> dict[str, Any]:
    """One stop, with the proof that it holds."""
    return {**stop_records([row])[0], "proof": proof_of(row, actor=actor, now=now)}


def stop_records(rows: Sequence[Stop]) -> list[dict[str, Any]]:
    """Stops as every door shows them; one statement for the reasons of all."""
    reasons = registry.reasons_of(rows)
    return [_record(row, reasons.get(row.id, "")) for row in rows]


def _record(row: Stop, reason: str) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "scope": row.scope,
        "name": row.name or None,
        "what": stops.what(row.subject),
        "team": None if row.team is None else row.team.name,
        "reason": reason or None,
        "stopped_at": recorded(row.stopped_at),
        "stopped_by": row.stopped_by,
        "lifted_at": None if row.lifted_at is None else recorded(row.lifted_at),
        "lifted_by": row.lifted_by or None,
    }
