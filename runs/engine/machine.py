"""The machine: `begin`, `absorb` and `decide` turn a snapshot and one input into a Move. Pure.

The only module that ends a run. Called by the worker (and by use-cases for what needs no worker); writes nothing itself.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from agents import contracts
from audit import canonical
from runs.engine import verdicts
from runs.engine.commands import Fact, Finish, Move
from runs.engine.limits import NotFresh, failure, later, may_fall_back, may_retry, observed, pause_ms, step_deadline
from runs.engine.outcomes import Failed, Result, Returned
from runs.engine.patterns.scope import enclosing, result_of, scope_at
from runs.engine.patterns.walk import Walk
from runs.engine.planner import VERIFY
from runs.engine.states import LIVE_RUN, Cause, IllegalMove, Mode, Outcome, RunState, StepEvent, StepState, Verb, moved
from runs.engine.values import BlockFrame, Failure, Held, Snapshot, Step, instant_text

_VERDICT: Final = contracts.compiled(contracts.VERDICT_SCHEMA)
MISSING_NAMED = 20
"""An entry is at most 32 KiB: it names so many missing parts and their number; the opening holds all of them."""
STEPS_NAMED = 5


def rebuild(snapshot: Snapshot, now: datetime) -> Move:
    """The frames of a run whose rows were read again: the steps that exist are adopted, nothing is recorded."""
    _refuse_finished(snapshot)
    walk = Walk(snapshot, now)
    walk.begin()
    return _conclude(walk)


def work_of(snapshot: Snapshot, now: datetime) -> tuple[Mapping[str, Held], tuple[Failure, ...]]:
    """What the top-level nodes of a finished run gave, and which parts are missing: what a `reverify` run judges again."""
    walk = Walk(snapshot, now)
    walk.begin()
    root = walk.frames[""]
    held = {name: held for name, held in root.held.items() if name != VERIFY} if isinstance(root, BlockFrame) else {}
    return held, tuple(walk.missing)


def begin(snapshot: Snapshot, now: datetime) -> Move:
    """Open a queued run, or take up one that another worker left: adopts the steps that exist and opens those that don't."""
    _refuse_finished(snapshot)
    first = snapshot.run.state is RunState.QUEUED
    if _is_over(snapshot, now):
        return decide(snapshot if first else rebuild(snapshot, now).snapshot, now)
    walk = Walk(snapshot, now)
    verb = Verb.RUN_STARTED if first else Verb.RUN_RESUMED
    walk.facts.append(Fact(verb, f"run:{snapshot.run.id}", facts={"release": snapshot.plan.release}))
    walk.run = replace(walk.run, state=RunState.RUNNING, started_at=walk.run.started_at or now, resumed=not first)
    walk.begin()
    walk.perform = dict.fromkeys(sorted(key for key in walk.open if walk.steps[key].state is StepState.RUNNING))
    if not first:
        _judge_again(walk)
    return _conclude(walk)


def _judge_again(walk: Walk) -> None:
    """A resumed run consumes its data anew (R2). Only verify steps: an act in flight has consumed its own, and only its call knows its fate."""
    for step in [walk.steps[key] for key in walk.perform if walk.steps[key].node.judges]:
        stale = walk.refused_again(step)
        if stale is None or walk.is_over or step.key not in walk.perform:
            continue  # fit, or gone with a part that another one took down
        walk.perform.pop(step.key)
        walk.abandon.append(step.key)
        _fail_step(walk, step, stale)


def absorb(snapshot: Snapshot, outcome: Result, now: datetime) -> Move:
    """What one outcome changes: contract, freshness, verdict, retry, and all that opens because of it.

    An outcome of an attempt that is over (late, abandoned, of an older attempt) changes nothing: it is evidence, never used.
    """
    _refuse_finished(snapshot)
    step = snapshot.steps.get(outcome.key)
    if step is None:
        raise IllegalMove(f"run {snapshot.run.id} has no step '{outcome.key}'")
    if step.state is not StepState.RUNNING or step.attempt != outcome.attempt:
        return Move(snapshot, wake_at=wake_at(snapshot))
    if _is_over(snapshot, now):
        return decide(snapshot, now)
    walk = Walk(snapshot, now)
    if now >= step.deadline_at and isinstance(outcome, Returned):
        outcome = _too_late(walk, step)
    if isinstance(outcome, Returned):
        outcome = _absorb_value(walk, step, outcome) or outcome
    if isinstance(outcome, Failed):
        _absorb_failure(walk, step, outcome)
    return _conclude(walk)


def decide(snapshot: Snapshot, now: datetime) -> Move:
    """What time alone brings: cancels, deadlines, retries that are due. Without any of them, an empty move."""
    _refuse_finished(snapshot)
    walk = Walk(snapshot, now)
    if now >= snapshot.run.deadline_at:  # before a cancel: everybody has read it as failed since that instant
        return _finish(walk, Outcome.FAILED, failed=_run_deadline(snapshot))
    if snapshot.run.cancel_by is not None:
        return _finish(walk, Outcome.CANCELLED)
    for key in sorted(walk.open):
        step = walk.steps[key]
        if step.state is StepState.RUNNING and now >= step.deadline_at:
            walk.abandon.append(key)
            _absorb_failure(walk, step, _too_late(walk, step))
        elif step.state is StepState.RETRYING and step.not_before is not None and now >= step.not_before:
            _start_again(walk, step)
        if walk.is_over:
            break
    return _conclude(walk)


def _is_over(snapshot: Snapshot, now: datetime) -> bool:
    """Cancelled or overdue: whatever comes in, nothing more is opened."""
    return snapshot.run.cancel_by is not None or now >= snapshot.run.deadline_at


def _start_again(walk: Walk, step: Step) -> None:
    refused = walk.refused_again(step)
    if refused is not None:
        _fail_step(walk, step, refused)
        return
    deadline = step_deadline(step.node, walk.run, walk.now)
    again = replace(step, state=moved(step.state, StepEvent.RETRY), not_before=None, deadline_at=deadline, failure=None)
    facts = {"step": step.key, "attempt": step.attempt, "deadline_at": instant_text(deadline)}
    walk.change(again, Fact(Verb.STEP_STARTED, f"step:{step.key}", step.agent, facts))
    walk.perform[step.key] = None


def failed_run(snapshot: Snapshot, cause: Cause, message: str, now: datetime) -> Move:
    """End a run for a reason of the platform's: too many claims, a changed record, another engine's release."""
    _refuse_finished(snapshot)
    return _finish(Walk(snapshot, now), Outcome.FAILED, failed=failure(snapshot.plan, cause=cause, message=message))


def _refuse_finished(snapshot: Snapshot) -> None:
    if snapshot.run.state not in LIVE_RUN:
        raise IllegalMove(f"run {snapshot.run.id} is {snapshot.run.state}; finished is final")


# --- values --------------------------------------------------------------------------------------------------------


def _absorb_value(walk: Walk, step: Step, returned: Returned) -> Failed | None:
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
    done = replace(step, state=moved(step.state, StepEvent.RETURN), held=held, failure=None, finished_at=walk.now)
    facts = {"step": step.key, "attempt": step.attempt, "result": digest, "as_of": instant_text(held.as_of)}
    walk.change(done, Fact(Verb.STEP_RETURNED, f"step:{step.key}", step.agent, facts, {"result": returned.value}))
    walk.step_done(done, held)
    return None


def _broken(walk: Walk, step: Step, cause: Cause, message: str) -> Failed:
    """A failure that the engine itself finds. What may have acted and can't be repeated is not tried again, by nobody."""
    acted = walk.plan.agents[step.agent].mode is Mode.AT_MOST_ONCE
    return Failed(step.key, step.attempt, cause, message, retry_safe=not acted)


def _absorb_verdict(walk: Walk, step: Step, said: Mapping[str, Any]) -> None:
    plan, final = walk.plan, step.node.final
    prefix = step.key.removesuffix(step.node.id)
    verdict = verdicts.judged(
        said,
        by=step.agent,
        criteria=plan.criteria if final else (),
        scope=scope_at(walk.run, walk.frames, prefix, plan.last),
        result=result_of(walk.before) if final else None,
        blames=plan.last if final else _node_before(walk, prefix),
    )
    held = Held(verdict)
    done = replace(step, state=moved(step.state, StepEvent.RETURN), held=held, finished_at=walk.now)
    word = verdict["verdict"]
    facts = {"step": step.key, "attempt": step.attempt, "verdict": word, "checks": len(verdict["checks"]), "result": canonical.digest(verdict)}
    walk.change(done, Fact(Verb.STEP_JUDGED, f"step:{step.key}", step.agent, facts, {"result": verdict}))
    if final or word != verdicts.PASS:
        walk.before = replace(walk.before, verdict=verdict)
        _end_with(walk, word)
    else:
        walk.step_done(done, held)


def _node_before(walk: Walk, prefix: str) -> str | None:
    """What a verify node looks at, if it doesn't say: the node that came last."""
    frames = enclosing(walk.frames, prefix)
    return next((frame.block.nodes[frame.position - 1].id for frame in frames if frame.position), None)


def _end_with(walk: Walk, word: str) -> None:
    """A verdict that doesn't pass ends the run wherever it stands; the final one always does."""
    if word == verdicts.FAIL:
        outcome = Outcome.REJECTED
    elif word != verdicts.PASS or walk.run.draft:
        outcome = Outcome.UNVERIFIED
    else:
        outcome = Outcome.DEGRADED if walk.missing else Outcome.VERIFIED
    walk.verdict_ends = outcome


# --- failures ------------------------------------------------------------------------------------------------------


def _absorb_failure(walk: Walk, step: Step, failed: Failed) -> None:
    record = failure(
        walk.plan, cause=failed.cause, message=failed.message, agent=step.agent, step=step.key, details=failed.details, owner=failed.owner
    )
    if may_retry(step, failed.cause, failed.retry_safe):
        _pause(walk, step, record, max(pause_ms(step.node, step.attempt, failed.chance), failed.not_before_ms), step.agent)
    elif may_fall_back(step, failed.cause, failed.retry_safe) and step.node.fallback is not None:
        _pause(walk, step, record, 0, step.node.fallback)
    else:
        _fail_step(walk, step, record)


def _pause(walk: Walk, step: Step, record: Failure, pause: int, agent: str) -> None:
    due = later(walk.now, pause)
    paused = replace(
        step,
        state=moved(step.state, StepEvent.PAUSE),
        attempt=step.attempt + 1,
        not_before=due,
        failure=record,
        agent=agent,
        fell_back=step.fell_back or agent != step.agent,
    )
    facts = record.facts() | {"attempt": step.attempt, "next_attempt": paused.attempt, "not_before": instant_text(due), "agent": agent}
    walk.change(paused, Fact(Verb.STEP_RETRIED, f"step:{step.key}", step.agent, facts, {"failure": record.as_record()}))


def _fail_step(walk: Walk, step: Step, record: Failure) -> None:
    gone = replace(step, state=moved(step.state, StepEvent.FAIL), failure=record, finished_at=walk.now)
    facts = record.facts() | {"attempt": step.attempt}
    walk.change(gone, Fact(Verb.STEP_FAILED, f"step:{step.key}", step.agent, facts, {"failure": record.as_record()}))
    if step.node.judges and record.cause is not Cause.STALE:
        walk.no_verdict(record)
    else:
        walk.step_failed(gone, record)


def _too_late(walk: Walk, step: Step) -> Failed:
    return _broken(walk, step, Cause.DEADLINE, f"step '{step.key}' had {_seconds(step.node.timeout_ms)} and did not finish in time")


def _run_deadline(snapshot: Snapshot) -> Failure:
    running = sorted(snapshot.open)
    limit = _seconds(snapshot.plan.timeout_ms)
    more = f" and {len(running) - STEPS_NAMED} more" if len(running) > STEPS_NAMED else ""
    where = f" while {', '.join(running[:STEPS_NAMED])}{more} was at work" if running else ""
    message = f"the run had {limit} (limits.timeout) and was not finished{where}"
    agent = snapshot.steps[running[0]].agent if running else None
    return failure(snapshot.plan, cause=Cause.DEADLINE, message=message, agent=agent, step=running[0] if running else None)


def _seconds(ms: int) -> str:
    return f"{ms / 1000:g} s"


# --- the end of a turn, and of a run -------------------------------------------------------------------------------


def _conclude(walk: Walk) -> Move:
    if walk.verdict_ends is not None:
        return _finish(walk, walk.verdict_ends, failed=walk.verdict_failure)
    if walk.ending is not None:
        return _finish(walk, Outcome.FAILED, failed=walk.ending.failure)
    return _move(walk, None)


def _finish(walk: Walk, outcome: Outcome, failed: Failure | None = None) -> Move:
    """The one finishing event, last in sequence. What is still at work is cancelled first."""
    walk.cancel_open()
    result = result_of(replace(walk.before, frames=walk.frames))
    digest = canonical.digest(result.value) if result is not None else None
    verdict = walk.before.verdict
    missing = sorted(walk.missing, key=lambda part: part.step or "")
    facts: dict[str, Any] = {
        "outcome": str(outcome),
        "result": digest,
        "as_of": instant_text(walk.run.as_of),
        "verdict": verdicts.digest(verdict) if verdict is not None else None,
        "missing": [part.facts() for part in missing[:MISSING_NAMED]],
        "missing_parts": len(missing),
        "failure": failed.facts() if failed is not None else None,
    }
    openings: dict[str, Any] = {} if result is None else {"result": result.value}
    if missing:
        openings["missing"] = [part.as_record() for part in missing]
    if failed is not None:
        openings["failure"] = failed.as_record()
    walk.facts.append(Fact(Verb.RUN_FINISHED, f"run:{walk.run.id}", facts=facts, openings=openings))
    walk.run = replace(walk.run, state=RunState.FINISHED, finished_at=walk.now)
    return _move(walk, Finish(outcome, result, digest, failed))


def _move(walk: Walk, finish: Finish | None) -> Move:
    snapshot = replace(walk.before, run=walk.run, steps=walk.steps, open=frozenset(walk.open), frames=walk.frames, missing=tuple(walk.missing))
    return Move(
        snapshot=snapshot,
        opened=tuple(walk.steps[key] for key in walk.opened),
        moved=tuple(walk.steps[key] for key in walk.moved),
        facts=tuple(walk.facts),
        perform=tuple(walk.perform),
        abandon=tuple(walk.abandon),
        finish=finish,
        wake_at=None if finish else wake_at(snapshot),
    )


def wake_at(snapshot: Snapshot) -> datetime:
    """When time alone will change something: the nearest deadline or retry."""
    instants = [snapshot.run.deadline_at]
    for key in snapshot.open:
        step = snapshot.steps[key]
        instants.append(step.not_before if step.not_before is not None else step.deadline_at)
    return min(instants)
