"""One step's turn: what a value, a verdict or a failure makes of it, and when it starts again. Pure.

Works on the walk of the turn, which opens what follows. Used by `machine` and `waiting`; knows nothing of how a run ends.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from agents import contracts
from audit import canonical
from runs.engine import undoing, verdicts
from runs.engine.commands import Fact
from runs.engine.limits import NotFresh, failure, later, may_fall_back, may_retry, observed, pause_ms, seconds, step_deadline
from runs.engine.outcomes import Failed, Returned
from runs.engine.patterns.scope import enclosing, result_of, scope_at
from runs.engine.patterns.walk import Walk
from runs.engine.states import Cause, Mode, Outcome, StepEvent, Verb, moved
from runs.engine.values import Ending, Failure, Held, Step, StepNode, instant_text

_VERDICT: Final = contracts.compiled(contracts.VERDICT_SCHEMA)


def absorb_value(walk: Walk, step: Step, returned: Returned) -> Failed | None:
    """Take a value in, or say why it can't be: not JSON, not its contract's, not fresh."""
    agent = walk.plan.agents[step.agent]
    try:
        digest = canonical.digest(returned.value, depth=canonical.MAX_DEPTH)
    except canonical.NotCanonical as error:
        return _broken(walk, step, Cause.CONTRACT, f"the result can't be written as JSON: {error}")
    wrong = agent.gives.violations(returned.value)
    if not wrong and step.node.judges:
        wrong = _VERDICT.violations(returned.value)
    if wrong:
        return _broken(walk, step, Cause.CONTRACT, f"the result breaks the contract of '{agent.name}': {'; '.join(wrong)}")
    if step.node.judges:
        _absorb_verdict(walk, step, returned.value)
        return None
    try:
        held = observed(agent, returned.value, step.inherited, step.key, walk.run, walk.now)
    except NotFresh as error:
        return _broken(walk, step, error.cause, str(error))
    done = replace(step, state=moved(step.state, StepEvent.RETURN), held=held, failure=None, finished_at=walk.now, wait=None)
    done = undoing.with_input(walk, done, returned.value)
    facts = {"step": step.key, "attempt": step.attempt, "result": digest, "as_of": instant_text(held.as_of)}
    openings = {"result": returned.value} | ({} if done.undo is None else {"undo": done.undo})
    walk.change(done, Fact(Verb.STEP_RETURNED, f"step:{step.key}", step.agent, facts, openings))
    walk.step_done(done, held)
    return None


def _broken(walk: Walk, step: Step, cause: Cause, message: str) -> Failed:
    """A failure that the engine itself finds. What may have acted and can't be repeated is not tried again, by nobody."""
    mode = walk.plan.agents[step.agent].mode
    return Failed(step.key, step.attempt, cause, message, retry_safe=mode is not Mode.AT_MOST_ONCE, fallback_safe=mode is Mode.READ)


def _absorb_verdict(walk: Walk, step: Step, said: Mapping[str, Any]) -> None:
    plan, final = walk.plan, step.work.final
    prefix = step.key.removesuffix(step.node.id)
    verdict = verdicts.judged(
        said,
        by=step.agent,
        criteria=plan.criteria if final else (),
        scope=scope_at(walk.run, walk.frames, prefix, plan.last),
        result=result_of(walk.before) if final else None,
        blames=plan.last if final else _node_before(walk, prefix),
        now=walk.now,
    )
    held = Held(verdict)
    done = replace(step, state=moved(step.state, StepEvent.RETURN), held=held, finished_at=walk.now)
    word = verdict["verdict"]
    facts = {"step": step.key, "attempt": step.attempt, "verdict": word, "checks": len(verdict["checks"]), "result": canonical.digest(verdict)}
    walk.change(done, Fact(Verb.STEP_JUDGED, f"step:{step.key}", step.agent, facts, {"result": verdict}))
    if word == verdicts.FAIL:
        walk.rejected(verdict)
    elif final or word != verdicts.PASS:
        walk.before = replace(walk.before, verdict=verdict)
        walk.ending = Ending(_accepted(walk, word))
    else:
        walk.step_done(done, held)


def _node_before(walk: Walk, prefix: str) -> str | None:
    """What a verify node looks at, if it doesn't say: the node that came last."""
    frames = enclosing(walk.frames, prefix)
    before = next((frame.block.nodes[frame.position - 1] for frame in frames if frame.position), None)
    if isinstance(before, StepNode) and before.names:
        return before.names
    return None if before is None else before.id


def _accepted(walk: Walk, word: str) -> Outcome:
    """A verdict that doesn't pass ends the run wherever it stands; the final one always does."""
    if word != verdicts.PASS or walk.run.draft:
        return Outcome.UNVERIFIED
    return Outcome.DEGRADED if walk.missing else Outcome.VERIFIED


# --- failures ------------------------------------------------------------------------------------------------------


def absorb_failure(walk: Walk, step: Step, failed: Failed) -> None:
    record = failure(
        walk.plan, cause=failed.cause, message=failed.message, agent=step.agent, step=step.key, details=failed.details, owner=failed.owner
    )
    if may_retry(step, failed.cause, failed.retry_safe):
        _pause(walk, step, record, max(pause_ms(step.work, step.attempt, failed.chance), failed.not_before_ms), step.agent)
    elif may_fall_back(step, failed.cause, failed.retry_safe and failed.fallback_safe) and step.work.fallback is not None:
        _pause(walk, step, record, 0, step.work.fallback)
    else:
        fail_step(walk, step, record)


def _pause(walk: Walk, step: Step, record: Failure, pause: int, agent: str) -> None:
    due = later(walk.now, pause)
    paused = replace(
        step.unapproved,
        state=moved(step.state, StepEvent.PAUSE),
        attempt=step.attempt + 1,
        not_before=due,
        failure=record,
        agent=agent,
        fell_back=step.fell_back or agent != step.agent,
    )
    facts = record.facts() | {"attempt": step.attempt, "next_attempt": paused.attempt, "not_before": instant_text(due), "agent": agent}
    walk.change(paused, Fact(Verb.STEP_RETRIED, f"step:{step.key}", step.agent, facts, {"failure": record.as_record()}))


def fail_step(walk: Walk, step: Step, record: Failure) -> None:
    gone = replace(step, state=moved(step.state, StepEvent.FAIL), failure=record, finished_at=walk.now, wait=None, approved=None)
    facts = record.facts() | {"attempt": step.attempt}
    walk.change(gone, Fact(Verb.STEP_FAILED, f"step:{step.key}", step.agent, facts, {"failure": record.as_record()}))
    if step.node.judges and record.cause is not Cause.STALE:
        walk.no_verdict(record)
    else:
        walk.step_failed(gone, record)


def too_late(walk: Walk, step: Step) -> Failed:
    return _broken(walk, step, Cause.DEADLINE, f"step '{step.key}' had {seconds(step.node.timeout_ms)} and did not finish in time")


def prolong(walk: Walk, step: Step) -> None:
    """Its worker is gone, with what it had done of it: whoever performs it from its beginning has the whole time for that, within the run's."""
    walk.change(replace(step, deadline_at=step_deadline(step.node.timeout_ms, walk.run, walk.now)))
    walk.prolonged.add(step.key)


def start_again(walk: Walk, step: Step, attempt: int) -> None:
    refused = walk.refused_again(step)
    if refused is not None:
        fail_step(walk, step, refused)
        return
    deadline = step_deadline(step.node.timeout_ms, walk.run, walk.now)
    state = moved(step.state, StepEvent.RETRY)
    same = step if attempt == step.attempt else step.unapproved
    again = replace(same, state=state, attempt=attempt, not_before=None, deadline_at=deadline, failure=None, wait=None)
    facts = {"step": step.key, "attempt": attempt, "deadline_at": instant_text(deadline)}
    walk.change(again, Fact(Verb.STEP_STARTED, f"step:{step.key}", step.agent, facts))
    walk.perform[step.key] = None
