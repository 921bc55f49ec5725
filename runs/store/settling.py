"""Calls as facts: how an intent, a re-send and each kind of end is recorded and paid for.

Pure over records. A call that may have been billed is settled at its bound; a reservation never just disappears.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from agents.prices import Price, Used
from audit.ledger import ChargeDraft
from runs.engine.commands import Fact
from runs.engine.states import CallKind, CallState, Cause, Mode, StepState, Verb
from runs.engine.values import Plan, Snapshot, instant_text
from runs.models import Call
from runs.store.transitions import CallOpened, CallRecord, CallSettled, Granted


def call_records(rows: Iterable[Call]) -> dict[str, CallRecord]:
    return {row.key: _record(row) for row in rows}


def _record(row: Call) -> CallRecord:
    return CallRecord(
        key=row.key,
        id=row.id,
        step=row.step,
        attempt=row.attempt,
        ordinal=row.ordinal,
        agent=row.agent,
        kind=CallKind(row.kind),
        name=row.name,
        mode=Mode(row.mode),
        request_digest=row.request_digest,
        not_after=row.not_after,
        reserved_nano=row.reserved_nano,
        state=CallState(row.state),
        cause=row.cause,
        approval=row.approval_id,
    )


def _facts(call: CallRecord) -> dict[str, Any]:
    return {"step": call.step, "attempt": call.attempt, "ordinal": call.ordinal, "kind": str(call.kind), "name": call.name, "mode": str(call.mode)}


_NOTHING = Granted()


def opened(call: CallRecord, request: Mapping[str, Any] | None, granted: Granted = _NOTHING) -> CallOpened:
    """The intent. `request` is what a tool was asked; a function's own input stands with its step already."""
    facts = _facts(call) | {"request": call.request_digest, "not_after": instant_text(call.not_after), "reserved_nano": str(call.reserved_nano)}
    openings: dict[str, Any] = {} if request is None else {"request": request}
    if granted.observed:
        facts, openings = facts | {"observed": len(granted.observed)}, {**openings, "observed": list(granted.observed)}
    approval = granted.approval
    if approval is not None:
        call, facts = replace(call, approval=approval.wait), facts | {"approval": f"wait:{approval.wait}", "binding": approval.binding}
    return CallOpened(call, Fact(Verb.CALL_DISPATCHED, f"call:{call.key}", call.agent, facts, openings), granted.rules, approval)


def denied(call: CallRecord, request: Mapping[str, Any] | None, cause: Cause, message: str) -> Fact:
    """What a function asked for on its way and was refused: no call was made of it, and what the function makes of that is its own."""
    facts = _facts(call) | {"request": call.request_digest, "cause": str(cause)}
    openings = {"failure": {"cause": str(cause), "message": message}, **({} if request is None else {"request": request})}
    return Fact(Verb.CALL_DENIED, f"call:{call.key}", call.agent, facts, openings)


def resent(call: CallRecord) -> Fact:
    """A call whose worker died is sent again, with the same key."""
    return Fact(Verb.CALL_RESENT, f"call:{call.key}", call.agent, _facts(call) | {"not_after": instant_text(call.not_after)})


def confirmed(
    call: CallRecord,
    *,
    plan: Plan,
    run: UUID,
    contained: bool | None,
    response: Mapping[str, Any] | None,
    cause: Cause | None,
    used: Used | None = None,
    observed: Sequence[str] = (),
) -> CallSettled:
    """It was answered, with a value or with a failure of its own (`cause`); it costs what was reserved, or what it has `used`.

    `observed`: what would have refused where it was led on its way, if that were enforced.
    """
    used = used or Used(call.reserved_nano)
    facts = _facts(call) | {"contained": contained, "cause": None if cause is None else str(cause), **_cost(call, used)}
    openings: dict[str, Any] = {} if response is None else {"response": response}
    if observed:
        facts, openings = facts | {"observed": len(observed)}, openings | {"observed": list(observed)}
    fact = Fact(Verb.CALL_CONFIRMED, f"call:{call.key}", call.agent, facts, openings)
    return _settled(call, CallState.CONFIRMED, cause, contained, fact, plan, run, used)


def failed(
    call: CallRecord,
    *,
    plan: Plan,
    run: UUID,
    contained: bool | None,
    cause: Cause,
    message: str,
    used: Used | None = None,
    sent: bool = True,
) -> CallSettled:
    """It got no answer. A read or an idempotent call is refused and paid at its bound; what became of another one nobody knows.

    `used`: what was received of an answer that broke off; not `sent`: it never went out, so it was not done.
    """
    used = used or Used(call.reserved_nano, estimated=True)
    facts = _facts(call) | {"contained": contained, "cause": str(cause), **_cost(call, used)}
    if call.mode is Mode.AT_MOST_ONCE and sent:
        fact = Fact(Verb.CALL_UNRESOLVED, f"call:{call.key}", call.agent, facts)
        return _settled(call, CallState.UNRESOLVED, cause, contained, fact, plan, run, used)
    fact = Fact(Verb.CALL_REFUSED, f"call:{call.key}", call.agent, facts, {"failure": {"cause": str(cause), "message": message}})
    return _settled(call, CallState.REFUSED, cause, contained, fact, plan, run, used)


def abandoned(call: CallRecord, snapshot: Snapshot, *, run: UUID) -> CallSettled:
    """Its step ended without it, in `snapshot`: for the step's own cause, or stopped by a cancel or another part's failure."""
    step = snapshot.steps.get(call.step)
    cause = step.failure.cause if step is not None and step.state is StepState.FAILED and step.failure is not None else Cause.STOPPED
    if step is not None and step.state is StepState.WAITING and call.mode is Mode.AT_MOST_ONCE:
        cause = Cause.UNRESOLVED  # its step waits for somebody who says what became of it
    return failed(call, plan=snapshot.plan, run=run, contained=None, cause=cause, message="its step ended before it answered")


def _settled(
    call: CallRecord, state: CallState, cause: Cause | None, contained: bool | None, fact: Fact, plan: Plan, run: UUID, used: Used
) -> CallSettled:
    charge = None
    if used.cost_nano or call.kind is CallKind.MODEL:  # tokens that cost nothing are counted too
        agent = plan.agents.get(call.agent)
        charge = ChargeDraft(
            amount_nano=used.cost_nano,
            run=run,
            step=call.step,
            call=call.id,
            agent=call.agent,
            version=None if agent is None else agent.version,
            pipeline=plan.pipeline,
            team=plan.team if agent is None else agent.team,
            estimated=used.estimated,
            **_model(call, plan, used),
        )
    ended = replace(call, state=state, cause="" if cause is None else str(cause))
    return CallSettled(ended, contained, used.cost_nano, fact, charge)


def _cost(call: CallRecord, used: Used) -> dict[str, Any]:
    """What an entry says of money; of a model's call also by what it came about."""
    facts: dict[str, Any] = {"cost_nano": str(used.cost_nano)}
    return facts if call.kind is not CallKind.MODEL else facts | {"tokens": asdict(used.tokens), "estimated": used.estimated}


def _model(call: CallRecord, plan: Plan, used: Used) -> dict[str, Any]:
    """A charge's dimensions for a model's call: the release's alias and price, and four disjoint counts."""
    agent = plan.agents.get(call.agent)
    alias = agent.alias if agent is not None and call.kind is CallKind.MODEL else None
    if alias is None:
        return {}
    price = alias["price"]
    return {
        "provider": alias["provider"],
        "model": alias["model"],
        "price_version": "" if price is None else Price.from_record(price).name,
        **{f"{name}_tokens": count for name, count in asdict(used.tokens).items()},
    }


def with_account(snapshot: Snapshot, opened: Sequence[CallOpened], settled: Sequence[CallSettled]) -> Snapshot:
    """The run's own account after these intents and ends."""
    if not opened and not settled:
        return snapshot
    run = snapshot.run
    reserved = run.reserved + sum(each.call.reserved_nano for each in opened) - sum(each.call.reserved_nano for each in settled)
    spent = run.spent + sum(each.cost_nano for each in settled)
    return replace(snapshot, run=replace(run, calls=run.calls + len(opened), reserved=reserved, spent=spent))
