"""What a run reads as beyond its state: what it waits for, and what it has failed for, in the same words at every door.

Reads in as many statements for a thousand runs as for one. Called by lists, documents, families and the admin's badges.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from agents import stops
from audit.visible import visible
from runs.engine.states import Cause, Effective, Integrity, RunState, WaitKind, WaitState
from runs.models import Run, Wait
from runs.services.waits import cause_in_vain, unanswered

MOST_WAITS: Final = 1_000
OVERDUE: Final = Cause.DEADLINE
# Of the others time is all there is to say.
_TOLD: Final = (WaitKind.SIGNAL, WaitKind.UNRESOLVED, WaitKind.APPROVAL, WaitKind.INCOMPATIBLE, WaitKind.STOPPED)
Reading = tuple[Run, Effective]


def awaited(kind: str, subject: str = "", *, agent: str = "") -> str:
    """What ends a wait, as an object of `waits for`; `subject` is a signal's name, `agent` whose call it is about."""
    match kind:
        case WaitKind.SIGNAL:
            return f"the signal {visible(subject, 60)}"
        case WaitKind.UNRESOLVED:
            return f"a word on a call of {visible(agent, 60)}" if agent else "a word on a call"
        case WaitKind.APPROVAL:
            return "an approval"
        case WaitKind.INCOMPATIBLE:
            return "a worker that can carry it on"
        case WaitKind.REMOTE:
            return "a child run"
        case WaitKind.STOPPED:
            return f"the end of the stop of {visible(stops.what(subject), 80)}"
    return "its time"


def with_waits(readings: Sequence[Reading]) -> list[Reading]:
    """The same, those that wait for more than a time with what for; one statement where there are any that wait."""
    parked = [run.id for run, reads in readings if _waits(reads)]
    if not parked:
        return list(readings)
    said = _awaited_by(parked)
    return [(run, replace(reads, awaits=said.get(run.id, "")) if _waits(reads) else reads) for run, reads in readings]


def _waits(reads: Effective) -> bool:
    return reads.state is RunState.WAITING and reads.outcome is None and reads.integrity is not Integrity.BROKEN


def _awaited_by(runs: Iterable[UUID]) -> dict[UUID, str]:
    waits = Wait.objects.filter(run__in=list(runs), state=WaitState.OPEN, kind__in=_TOLD).order_by("expires_at", "id")
    found: dict[UUID, list[str]] = {}
    for run, kind, subject in waits.values_list("run_id", "kind", "subject")[:MOST_WAITS]:
        found.setdefault(run, []).append(awaited(kind, subject))
    return {run: f"for {each[0]}" + (", and more" if len(each) > 1 else "") for run, each in found.items()}


def causes(readings: Sequence[Reading]) -> Mapping[UUID, str]:
    """Why each has failed, empty for none. Of one that is overdue no worker has written it yet; what a broken one says counts for nothing."""
    silent = unanswered([run for run, reads in readings if reads.overdue])
    return {run.id: _cause(run, reads, silent.get(run.id)) for run, reads in readings}


def _cause(run: Run, reads: Effective, silent: Wait | None) -> str:
    if reads.integrity is Integrity.BROKEN:
        return ""
    if not reads.overdue:
        return run.failure_cause
    return str(OVERDUE if silent is None else cause_in_vain(silent))
