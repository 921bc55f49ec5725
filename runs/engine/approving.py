"""Approvals in a turn: a step that may act only with people's yes waits for it, and goes on with it, fails without it, or asks anew. Pure.

What is asked for is bound by its digest; the boundary holds that against what would be sent. Used by `machine` and `waiting`; knows nothing
of who may decide.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from audit.instants import to_the_second
from runs.engine import absorbing
from runs.engine.answers import Approved
from runs.engine.commands import Fact
from runs.engine.limits import failure
from runs.engine.outcomes import NeedsApproval
from runs.engine.patterns import gates, waits
from runs.engine.patterns.walk import Walk
from runs.engine.states import Approval, Cause, StepEvent, Verb, moved
from runs.engine.values import Failure, Step, Waiting, instant_text


def ask(walk: Walk, step: Step, needed: NeedsApproval) -> None:
    """Park the step until somebody answers, or nobody has in time."""
    if needed.voids is not None and step.approved is not None:
        _void(walk, step, step.approved, needed.voids)
    silence = _silence(walk, step, needed)
    wait = waits.approval(needed.binding, needed.within_ms, silence, walk.run, walk.now)
    wait = replace(wait, failure=replace(silence, message=f"{silence.message} until {instant_text(wait.until)}, and silence denies it"))
    parked = replace(step.unapproved, state=moved(step.state, StepEvent.PARK), wait=wait, deadline_at=wait.until)
    walk.change(parked, waits.fact(parked, wait, needed.said))


def _silence(walk: Walk, step: Step, needed: NeedsApproval) -> Failure:
    record = failure(walk.plan, cause=Cause.EXPIRED, message=f"nobody approved that {needed.asks}", agent=step.agent, step=step.key)
    return replace(record, owner=needed.owner, team=needed.team)


def take(walk: Walk, step: Step, wait: Waiting) -> None:
    """What the end of such a wait makes of its step."""
    assert wait.failure is not None
    said = None if wait.answer is None else wait.answer.value
    if said is None:
        absorbing.fail_step(walk, step, wait.failure)
        return
    match Approval(said["decision"]):
        case Approval.APPROVED:
            _go_on(walk, step, wait, said)
        case Approval.VOID:  # the boundary asks anew, for what it is now
            absorbing.start_again(walk, step, step.attempt)
        case Approval.DECLINED:
            absorbing.fail_step(walk, step, replace(wait.failure, cause=Cause.DECLINED, message=_declined(wait, said, "declined it")))
        case Approval.CHANGES:
            sent_back = {gates.CHANGES: {"comment": said["reason"]}}
            message = _declined(wait, said, "asked for changes")
            absorbing.fail_step(walk, step, replace(wait.failure, cause=Cause.DECLINED, message=message, details=sent_back))


def _go_on(walk: Walk, step: Step, wait: Waiting, said: Mapping[str, Any]) -> None:
    """With the yes, if its data is still fit to be acted on: what was fresh when it was asked for may be stale now."""
    assert wait.id is not None  # it was answered, so it has a row
    going = approved(step, wait.id, wait.subject, said)
    stale = walk.refused_again(going)
    if stale is not None and going.approved is not None:
        _void(walk, going, going.approved, stale.message)
    absorbing.start_again(walk, going, step.attempt)


def approved(step: Step, wait: str, binding: str, said: Mapping[str, Any]) -> Step:
    """The step with the yes that its wait was answered with, and with the arguments that this is to."""
    if "arguments" not in said:
        return replace(step, approved=Approved(wait, binding))
    return replace(step, approved=Approved(wait, said["binding"], asked=step.arguments), arguments=said["arguments"])


def _void(walk: Walk, step: Step, approved: Approved, why: str) -> None:
    facts = {"step": step.key, "attempt": step.attempt, "approval": f"wait:{approved.wait}", "binding": approved.binding}
    walk.facts.append(Fact(Verb.APPROVAL_VOIDED, f"wait:{approved.wait}", step.agent, facts, {"reason": why}))


def _declined(wait: Waiting, said: dict[str, Any], did: str) -> str:
    assert wait.answer is not None
    reason = said.get("reason")
    return f"{wait.answer.by.removeprefix('person:')} {did} at {to_the_second(wait.answer.at)}" + (f": {reason}" if reason else "")
