"""How a step's own call goes out: answered on the spot, at once with its intent, after waiting for a child, again after a crash, or not at all.

And whether a failed one may go out anew. Looks only at values and at whether a child is free. Used by the driver, once per step of a transition.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from audit import clock
from audit.identity import new_id
from runs import performers, store
from runs.engine import machine
from runs.engine.commands import Fact, Move
from runs.engine.outcomes import Failed, Result, Returned, Stopped, Unresolved
from runs.engine.states import CallKind, CallState, Cause, Mode, RunState, StepState, WaitKind
from runs.engine.values import Agent, Plan, RunView, Snapshot, Step, StepNode
from runs.models import Call
from runs.performers import Ask, Boundary, Refusal, Request, Unshapable
from runs.worker.messages import Planned

IN_CHILD: Final = frozenset({CallKind.FUNCTION, CallKind.COMMAND})


@dataclass(frozen=True, slots=True)
class Calls:
    """What is known of a run's calls: their rows, what they were answered, and which intents are written and never went out."""

    records: Mapping[str, store.CallRecord]
    responses: Mapping[str, Any] = field(default_factory=dict)
    unsent: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """A decided transition and what is performed once it is written."""

    transition: store.Transition
    plans: tuple[Planned, ...]

    @property
    def is_empty(self) -> bool:
        each = self.transition
        return each.move.changes_nothing and not (each.opened or each.settled or each.resent)


def planned(step: Step, snapshot: Snapshot, calls: Calls, boundary: Boundary) -> Planned:
    """`snapshot.run` holds the account, with what this transition has reserved so far."""
    try:
        request = performers.shape(snapshot.plan, snapshot.run, step)
    except Unshapable as error:
        return Planned(step, None, ended=Failed(step.key, step.attempt, Cause.INPUT, str(error)))
    known = calls.records.get(request.key)
    if known is not None and known.key in calls.unsent and known.state is CallState.DISPATCHED:
        return Planned(step, request, record=known)
    if known is not None and request.kind is CallKind.MODEL:
        return Planned(step, request)  # it asks for its receipt, and goes on from there
    if known is not None:
        return _again(step, request, known, snapshot.plan, calls.responses.get(known.key) or {}, boundary)
    refusal = admitted(request, snapshot.run, boundary)
    if refusal is not None:
        return Planned(step, request, ended=performers.unsent(request, refusal))
    return _admitted(step, request, boundary)


def _admitted(step: Step, request: Request, boundary: Boundary) -> Planned:
    """Its intent is written at once, if nothing has to be waited for."""
    granted = boundary.granted(request)
    counted = granted.is_counted  # an intent of its own then, so that one that finds no room holds nothing else back
    if not counted and request.kind in (CallKind.MODEL, CallKind.TOOL):  # answered over the network, so it needs no child's place
        return Planned(step, request, opened=(store.opened(record_of(request), None, granted),))
    in_child = not counted and request.kind in IN_CHILD
    place = boundary.children.take_now(request.run, request.agent.digest, ahead=request.may_wait) if in_child else None
    if place is None:
        return Planned(step, request)
    return Planned(step, request, opened=(store.opened(record_of(request), None, granted),), place=place)


def first_in_child(snapshot: Snapshot) -> Agent | None:
    """Whose turn a run is to begin with, if that needs a child."""
    if snapshot.run.state is not RunState.QUEUED:
        return None
    first = snapshot.plan.root.nodes[0]
    name = (
        first.agent
        if isinstance(first, StepNode) and first.when is None and first.asking is None
        else _first_at_work(machine.begin(snapshot, clock.now()))
    )
    agent = snapshot.plan.agents.get(name)
    return agent if agent is not None and performers.kind_of(agent) in IN_CHILD else None


def _first_at_work(begun: Move) -> str:
    return begun.snapshot.steps[begun.perform[0]].agent if begun.perform and begun.finish is None else ""


MOST_CARRIED_ON: Final = 64
"""So many inline steps join one transition at most: it stays short for whoever shares the database and the event loop."""


def carried_on(move: Move, calls: Calls, boundary: Boundary) -> Move:
    """The move and everything that follows from it without leaving this process: its inline steps performed and absorbed, and theirs.

    Each is admitted and absorbed at its own instant, as it would be by itself. Nothing of it is true before it is written:
    a worker that dies, or a row that has moved meanwhile, and these pure steps are simply done again.
    """
    for _ in range(MOST_CARRIED_ON):
        key = next((key for key in move.perform if _is_inline(move.snapshot.plan, move.snapshot.steps[key])), None)
        if key is None or move.finish is not None:
            break
        outcome = _answered(planned(move.snapshot.steps[key], move.snapshot, calls, boundary), boundary)
        rest = replace(move, perform=tuple(each for each in move.perform if each != key))
        move = rest.followed_by(machine.absorb(rest.snapshot, outcome, clock.now()))
    return move


def _is_inline(plan: Plan, step: Step) -> bool:
    return "inline" in plan.agents[step.agent].spec["run"]


def _answered(plan: Planned, boundary: Boundary) -> Result:
    if plan.ended is not None or plan.request is None:
        assert plan.ended is not None
        return plan.ended
    return performers.outcome_of(plan.request, boundary.answer_inline(plan.request), chance=random.random())


def admitted(request: Request, run: RunView, boundary: Boundary) -> Refusal | Ask | None:
    account = performers.Account(run.calls, run.calls_limit, run.spent + run.reserved, run.cost_limit)
    return boundary.admit(request, account, now=clock.now())


def _again(step: Step, request: Request, known: store.CallRecord, plan: Plan, response: Mapping[str, Any], boundary: Boundary) -> Planned:
    """A call whose intent another worker wrote. If it has an end and its step has none, that worker was stale: the call's row says the rest."""
    if known.request_digest != request.digest():
        return Planned(step, request, ended=diverged(request))
    if known.state is CallState.CONFIRMED and ("value" in response or known.mode is Mode.AT_MOST_ONCE):
        return Planned(step, request, ended=_recalled(step, known, response))
    if known.mode is not Mode.AT_MOST_ONCE:
        refusal = boundary.withdrawn(request)
        if refusal is not None:
            return _withdrawn(step, request, known, plan, refusal)
        again = replace(known, not_after=request.not_after)
        return Planned(step, replace(request, sent_before=True), resent=again, record=again)
    message = f"the worker died while '{known.agent}' was at work; whether it acted is not known, and it is never sent again"
    ended = Unresolved(step.key, step.attempt, known.key, message, known.not_after)
    if known.state is not CallState.DISPATCHED:
        return Planned(step, request, ended=ended)
    end = store.failed(known, plan=plan, run=request.run, contained=None, cause=Cause.UNRESOLVED, message=message)
    return Planned(step, request, settled=(end,), ended=ended)


def _withdrawn(step: Step, request: Request, known: store.CallRecord, plan: Plan, refusal: Refusal) -> Planned:
    """It went out once, and may have acted then; what it was admitted for has been taken away since. Its end may be written, and its step's not."""
    ended = performers.unsent(request, refusal, sent=True)
    if known.state is not CallState.DISPATCHED:
        return Planned(step, request, ended=ended)
    end = store.failed(known, plan=plan, run=request.run, contained=None, cause=refusal.cause, message=refusal.message)
    return Planned(step, request, settled=(end,), ended=ended)


def _recalled(step: Step, known: store.CallRecord, response: Mapping[str, Any]) -> Result:
    """The receipt of a call that was answered."""
    if "value" in response:
        return Returned(step.key, step.attempt, response["value"])
    cause = Cause(known.cause) if known.cause else Cause.LOST
    message = f"'{known.agent}' was answered while a worker drove this run that no longer was to; it failed, or its answer is lost ({cause})"
    return Failed(step.key, step.attempt, cause, message, retry_safe=False, details={"sent": True})


def diverged(request: Request) -> Failed:
    message = f"call {request.ordinal} of step '{request.step}' asks for something else than before the crash, under the same key"
    return Failed(request.step, request.attempt, Cause.DIVERGED, message, retry_safe=False)


def record_of(request: Request) -> store.CallRecord:
    return store.CallRecord(
        key=request.key,
        id=new_id(),
        step=request.step,
        attempt=request.attempt,
        ordinal=request.ordinal,
        agent=request.agent.name,
        kind=request.kind,
        name=request.name,
        mode=request.mode,
        request_digest=request.digest(),
        not_after=request.not_after,
        reserved_nano=request.bound_nano,
    )


def judged_by(calls: Mapping[str, store.CallRecord], result: Result, settled: Sequence[store.CallSettled]) -> Result:
    """A failed attempt may be made again only if none of its calls may have acted, and by another agent only if none of the step could have."""
    ends = {**calls, **{each.call.key: each.call for each in settled}}
    if isinstance(result, Stopped):
        return _stopped(result, [call for call in ends.values() if (call.step, call.attempt) == (result.key, result.attempt)])
    if not isinstance(result, Failed):
        return result
    every = [call for call in ends.values() if call.step == result.key]
    safe = all(_may_be_repeated(call) for call in every if call.attempt == result.attempt)
    pure = all(call.mode is not Mode.IDEMPOTENT and _may_be_repeated(call) for call in every)
    return replace(result, retry_safe=result.retry_safe and safe, fallback_safe=result.fallback_safe and pure)


def _stopped(result: Stopped, calls: Sequence[store.CallRecord]) -> Result:
    """Only what may be made anew can wait for the end of a stop; what has acted, and is not done, fails."""
    if all(map(_may_be_repeated, calls)):
        return replace(result, sent=bool(calls))
    return Failed(result.key, result.attempt, Cause.STOPPED, result.message, retry_safe=False, owner=result.owner)


def _may_be_repeated(call: store.CallRecord) -> bool:
    """One that is made at most once is refused only where it never went out."""
    return call.mode is not Mode.AT_MOST_ONCE or call.state is CallState.REFUSED


def is_on_the_way(request: Request) -> bool:
    """Whether a function at work has asked for it."""
    return request.ordinal > 0 and request.kind is CallKind.TOOL


def denials(request: Request, refusal: Refusal | Ask) -> tuple[Fact, ...]:
    """What a function is refused on its way it may keep to itself; the ledger has it. Of a step's own call the step says so."""
    if not is_on_the_way(request) or isinstance(refusal, Ask):
        return ()
    return (store.denied(record_of(request), request.opening, refusal.cause, refusal.message),)


def told_late(move: Move, rows: Mapping[str, Call]) -> list[str]:
    """Calls that steps wait for since this move and of which their own worker has said just before what became of them."""
    subjects = [step.wait.subject for step in move.now_waiting if step.wait is not None and step.wait.kind is WaitKind.UNRESOLVED]
    return [key for key in subjects if key in rows and rows[key].response_entry is not None]


def is_under_way(steps: Mapping[str, Step], call: store.CallRecord) -> bool:
    """Whether the attempt that a call belongs to is still at work: a function that is cut short leaves the tool that it asked out."""
    step = steps.get(call.step)
    return step is not None and step.state is StepState.RUNNING and step.attempt == call.attempt
