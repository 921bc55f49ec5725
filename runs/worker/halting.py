"""What a stop makes of the steps at work that it covers, and what becomes of a step that is cut short and may have acted.

Looks only at values. Used by the driver; whether a call may still be sent is the boundary's to say.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from agents.stops import InForce
from runs import store
from runs.engine import machine
from runs.engine.commands import Move
from runs.engine.outcomes import Stopped, Unresolved
from runs.engine.patterns import gates
from runs.engine.states import CallKind, CallState, Mode, StepState
from runs.engine.values import Snapshot, Step
from runs.performers import Boundary, Request
from runs.worker.planning import judged_by

Calls = Mapping[str, store.CallRecord]
UNKNOWN: Final = frozenset({CallState.DISPATCHED, CallState.UNRESOLVED})


def may_have_acted(step: Step, calls: Calls) -> store.CallRecord | None:
    """The call of a step at work that may not be sent again, and of which nobody knows what became: it is out, or has been given up."""
    return next((call for call in _of(step, calls) if call.mode is Mode.AT_MOST_ONCE and call.state in UNKNOWN), None)


def parked(snapshot: Snapshot, step: Step, acted: store.CallRecord, why: str, now: datetime) -> Move:
    """It is not failed but unresolved: somebody has to say what became of that call."""
    message = f"{why}; whether '{step.agent}' acted is not known, and it is never sent again"
    move = machine.absorb(snapshot, Unresolved(step.key, step.attempt, acted.key, message, acted.not_after), now)
    return replace(move, abandon=(*move.abandon, step.key))


def late(snapshot: Snapshot, calls: Calls, now: datetime) -> Move | None:
    """A step at its deadline whose call may have acted is not late but unresolved; None where there is none."""
    for key in sorted(snapshot.open):
        step = snapshot.steps[key]
        acted = may_have_acted(step, calls) if step.state is StepState.RUNNING and now >= step.deadline_at else None
        if acted is not None:
            return parked(snapshot, step, acted, f"step '{key}' did not finish in time", now)
    return None


def halted(snapshot: Snapshot, calls: Calls, answered: Collection[str], boundary: Boundary, now: datetime) -> Move | None:
    """Steps at work that a stop covers are cut short and wait for its end; None where there is none. What was `answered` in time counts."""
    move = Move(snapshot)
    for key in sorted(snapshot.open) if boundary.stops.every else ():
        step = move.snapshot.steps[key]
        stop = None if key in answered or step.state is not StepState.RUNNING else _stop_on(step, snapshot, calls, boundary)
        if stop is not None and move.finish is None:
            move = move.followed_by(_cut_short(move.snapshot, step, stop, calls, now))
    return None if move.changes_nothing else move


def is_stopped(call: store.CallRecord, snapshot: Snapshot, boundary: Boundary) -> bool:
    """Whether a call that was admitted may not be written down any more."""
    if not boundary.stops.every:
        return False
    hand = store.hand_of(snapshot.plan, gates.whose(snapshot.steps[call.step]))
    stop = boundary.stops.of_call(replace(hand, tool=call.name) if call.kind is CallKind.TOOL else hand)
    return stop is not None or boundary.stop_on_run(UUID(snapshot.run.id)) is not None


def waits(snapshot: Snapshot, request: Request, stop: InForce, calls: Calls, now: datetime) -> Move:
    """A function has asked for what is stopped: its step waits as a whole, and asks again after the stop."""
    return _cut_short(snapshot, snapshot.steps[request.step], stop, calls, now)


def _cut_short(snapshot: Snapshot, step: Step, stop: InForce, calls: Calls, now: datetime) -> Move:
    said = f"{stop.said}, and '{step.agent}' was at work"
    acted = may_have_acted(step, calls)
    if acted is not None:
        return parked(snapshot, step, acted, said, now)
    outcome = judged_by(calls, Stopped(step.key, step.attempt, stop.subject, said, stop.owner), ())
    move = machine.absorb(snapshot, outcome, now)
    return replace(move, abandon=(*move.abandon, step.key))


def _stop_on(step: Step, snapshot: Snapshot, calls: Calls, boundary: Boundary) -> InForce | None:
    """Also where it is only of a tool that its function is asking at this moment."""
    hand = store.hand_of(snapshot.plan, gates.whose(step))
    asked = {call.name for call in _of(step, calls) if call.kind is CallKind.TOOL and call.state is CallState.DISPATCHED}
    hands = [hand, *(replace(hand, tool=tool) for tool in sorted(asked))]
    return boundary.stop_on_run(UUID(snapshot.run.id)) or next((stop for each in hands if (stop := boundary.stops.of_call(each)) is not None), None)


def _of(step: Step, calls: Calls) -> Iterator[store.CallRecord]:
    return (call for call in calls.values() if call.step == step.key and call.attempt == step.attempt)
