"""Waits, and calls whose fate nobody knows, as every door shows them: what for, until when, who can end that, what silence means.

Reads only; `answering` answers. Called by doors and by the run document.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from agents.contracts import Contract
from audit import reports
from audit.actors import Actor
from audit.visible import visible
from runs import store
from runs.engine import places
from runs.engine.states import CallState, Cause, RunState, WaitKind, WaitState
from runs.engine.values import StepNode, WaitNode, instant_text
from runs.errors import UnknownCall, UnknownWait
from runs.models import Call, CallQuerySet, Run, Step, Wait, WaitQuerySet

WAITED_IN_VAIN: Final = {
    WaitKind.SIGNAL: Cause.EXPIRED,
    WaitKind.UNRESOLVED: Cause.UNRESOLVED,
    WaitKind.APPROVAL: Cause.EXPIRED,
    WaitKind.INCOMPATIBLE: Cause.INCOMPATIBLE,
    WaitKind.STOPPED: Cause.STOPPED,
    WaitKind.TIMER: Cause.DEADLINE,
    WaitKind.REMOTE: Cause.DEADLINE,
}


@dataclass(frozen=True, slots=True)
class WantedWaits:
    """Which open waits; all that are given must hold."""

    kind: str | None = None
    pipeline: str | None = None
    run: UUID | None = None


def waited_seconds(run: Run) -> dict[str, str]:
    """How long steps of a run waited in waits that have ended, by key."""
    sums: dict[str, float] = {}
    for step, opened_at, ended_at in Wait.objects.filter(run=run).order_by().values_list("step", "opened_at", "ended_at"):
        if ended_at is not None:
            sums[step] = sums.get(step, 0.0) + (ended_at - opened_at).total_seconds()
    return {step: f"{seconds:.3f}" for step, seconds in sums.items()}


# --- finding ---------------------------------------------------------------------------------------------------------


def waits_visible_to(actor: Actor) -> WaitQuerySet:
    return Wait.objects.visible_to(actor).select_related("run", "run__team", "run__pipeline")


def waits_wanted(wanted: WantedWaits, *, actor: Actor, now: datetime) -> WaitQuerySet:
    """Those that can still be answered: of runs that are neither over nor about to be."""
    given = {"kind": wanted.kind, "run__pipeline__name": wanted.pipeline, "run": wanted.run}
    waits = waits_visible_to(actor).answerable(now)
    return waits.filter(**{name: value for name, value in given.items() if value is not None})


def find_wait(wait: str, *, actor: Actor) -> Wait:
    """A wait by its id. UnknownWait."""
    try:
        return waits_visible_to(actor).get(id=UUID(wait))
    except (ValueError, Wait.DoesNotExist):
        raise UnknownWait(f"there is no wait '{visible(wait, 60)}' that you may see") from None


def calls_visible_to(actor: Actor) -> CallQuerySet:
    return Call.objects.visible_to(actor).select_related("run", "run__team", "run__pipeline")


def unresolved_calls(*, actor: Actor) -> CallQuerySet:
    """The calls of which nobody has said what became of them, those of finished runs too."""
    return calls_visible_to(actor).filter(state=CallState.UNRESOLVED)


def find_call(call: str, *, actor: Actor) -> Call:
    """A call by its id or its key. UnknownCall."""
    calls = calls_visible_to(actor)
    try:
        found = calls.filter(id=UUID(call)).first()
    except ValueError:
        found = calls.filter(key=call).first() if call.isprintable() else None
    if found is None:
        raise UnknownCall(f"there is no call '{visible(call, 60)}' that you may see")
    return found


# --- showing ---------------------------------------------------------------------------------------------------------


def wait_records(waits: Collection[Wait]) -> list[dict[str, Any]]:
    """Each as a run document says it; one statement for all the calls that they are about."""
    keys = [wait.subject for wait in waits if wait.kind == WaitKind.UNRESOLVED]
    calls = {call.key: call for call in Call.objects.filter(key__in=keys)} if keys else {}
    late = _told_late(calls.values())
    return [{**_record(wait, calls.get(wait.subject)), "told_late": late.get(wait.subject)} for wait in waits]


def listed_waits(waits: Collection[Wait]) -> list[dict[str, Any]]:
    """The same with the run that each is of, for lists over many runs."""
    return [{**_of_run(wait.run), **record} for wait, record in zip(waits, wait_records(waits), strict=True)]


def wait_document(wait: Wait, now: datetime) -> dict[str, Any]:
    """One wait, also one that has ended, with what an answer must satisfy."""
    over = wait.state == WaitState.OPEN and (now >= wait.expires_at or wait.run.effective(now).outcome is not None)
    return {
        **listed_waits([wait])[0],
        "state": str(WaitState.EXPIRED) if over else wait.state,
        "ended_at": instant_text(wait.expires_at if over else wait.ended_at),
        "answered_by": wait.answered_by or None,
        "takes": takes(wait),
    }


def call_records(calls: Collection[Call]) -> list[dict[str, Any]]:
    """Calls without a known fate; one statement for the waits of all of them."""
    keys = [call.key for call in calls]
    waits = {wait.subject: wait for wait in Wait.objects.filter(kind=WaitKind.UNRESOLVED, state=WaitState.OPEN, subject__in=keys)}
    late = _told_late(calls)
    return [{**_call_record(call, waits.get(call.key)), "told_late": late.get(call.key)} for call in calls]


def _told_late(calls: Iterable[Call]) -> dict[str, Any]:
    """What was said too late of calls that had been given up, by the worker that sent each: seldom anything, and then one statement."""
    entries = {call.response_entry: call.key for call in calls if call.response_entry is not None}
    found = reports.openings_of(entries) if entries else {}
    return {entries[entry]: values["answer"] for entry, values in found.items() if "answer" in values}


def call_document(call: Call) -> dict[str, Any]:
    """One call, with what its step was given: whoever settles it must know what to look for."""
    step = Step.objects.filter(run=call.run_id, key=call.step).only("input_entry").first()
    entry = None if step is None else step.input_entry
    given = None if entry is None else reports.openings_of([entry]).get(entry, {}).get("input")
    return {**call_records([call])[0], "input": given, "takes": takes(call)}


def _record(wait: Wait, call: Call | None) -> dict[str, Any]:
    return {
        "id": str(wait.id),
        "step": wait.step or None,
        "kind": wait.kind,
        "subject": _subject(wait, call),
        "call": None if call is None else str(call.id),
        "opened_at": instant_text(wait.opened_at),
        "expires_at": instant_text(wait.expires_at),
        "on_expiry": "continue" if wait.goes_on else "fail",
        "who": who_answers(wait.kind, wait.run, call),
        "silence": _silence(wait),
    }


def _subject(wait: Wait, call: Call | None) -> str | None:
    """A signal's name, or whose call it is about; what an approval is bound to says nothing to people."""
    if wait.kind == WaitKind.UNRESOLVED:
        return None if call is None else call.agent
    return None if wait.kind == WaitKind.APPROVAL else wait.subject or None


def _call_record(call: Call, wait: Wait | None) -> dict[str, Any]:
    same = ("step", "agent", "kind", "name", "mode", "attempt", "ordinal", "state")
    return {
        "id": str(call.id),
        **_of_run(call.run),
        **{name: getattr(call, name) for name in same},
        "dispatched_at": instant_text(call.dispatched_at),
        "settled_at": instant_text(call.settled_at),
        "not_after": instant_text(call.not_after),
        "wait": None if wait is None else str(wait.id),
        "expires_at": None if wait is None else instant_text(wait.expires_at),
        "who": who_answers(WaitKind.UNRESOLVED, call.run, call),
    }


def _of_run(run: Run) -> dict[str, Any]:
    return {"run": str(run.id), "pipeline": run.pipeline.name, "team": run.team.name}


def who_answers(kind: str, run: Run, call: Call | None = None) -> str:
    team = f"member of team '{run.team.name}'"
    match kind:
        case WaitKind.SIGNAL:
            return f"any {team}"
        case WaitKind.UNRESOLVED:
            owns = "owns the agent" if call is None else f"answers for agent '{call.agent}'"
            return f"a {team} who neither started the run nor {owns}"
        case WaitKind.APPROVAL:
            return "whom its policy names, and who had no part in it"
        case WaitKind.INCOMPATIBLE:
            return "a worker of a version that can carry this run on"
        case WaitKind.TIMER:
            return "nobody: it ends by itself"
        case WaitKind.STOPPED:
            return "whoever may lift the stop"
    return "nobody here: what it waits for ends it"


def _silence(wait: Wait) -> str:
    if wait.kind == WaitKind.TIMER:
        return "the run goes on"
    if wait.goes_on:
        return "the run goes on without it: the result of the step is null"
    return f"the {'step' if wait.step else 'run'} fails as {cause_in_vain(wait)}"


# --- what an answer must satisfy -------------------------------------------------------------------------------------


def contract_of(what: Wait | Call) -> Contract | None:
    """Of a signal's payload, of what a call would have given, or of what people may make of what they are asked about.

    None: any value, or nothing is to be said.
    """
    plan = store.plan_of_run(what.run)[0]
    if isinstance(what, Call):
        agent = plan.agents.get(what.agent)
        return None if agent is None else agent.gives
    if what.kind == WaitKind.UNRESOLVED:
        call = Call.objects.filter(key=what.subject).select_related("run").first()
        return None if call is None else contract_of(call)
    node = places.node_at(plan.root, what.step)
    if isinstance(node, StepNode):
        return None if node.asking is None else node.asking.takes
    return node.gives if isinstance(node, WaitNode) else None


def takes(what: Wait | Call) -> Any:
    """That contract as JSON Schema; null where any value will do."""
    contract = contract_of(what)
    return None if contract is None else contract.schema


# --- what nobody answered --------------------------------------------------------------------------------------------


def unanswered(runs: Sequence[Run]) -> Mapping[UUID, Wait]:
    """Of waiting runs that read as over, the wait that has ended each, before anybody wrote it. One statement, or none."""
    parked = {run.id: run.deadline_at for run in runs if run.state == RunState.WAITING}
    if not parked:
        return {}
    waits = Wait.objects.filter(run__in=parked, state=WaitState.OPEN, goes_on=False).order_by("-expires_at", "-id")
    return {wait.run_id: wait for wait in waits if wait.expires_at <= parked[wait.run_id]}


def cause_in_vain(wait: Wait) -> Cause:
    return WAITED_IN_VAIN.get(WaitKind(wait.kind), Cause.EXPIRED)
