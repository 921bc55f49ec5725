"""Waits in a turn: what an answer, or the time that has passed, makes of a step, and when a whole run stands still. Pure.

Works on the walk of the turn. Used by `machine`; knows nothing of who may answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from audit import canonical
from runs.engine import absorbing, approving, looking, undoing
from runs.engine.answers import Answer
from runs.engine.commands import Fact
from runs.engine.families import ShareNode
from runs.engine.limits import failure
from runs.engine.outcomes import Returned, Stopped, Unresolved
from runs.engine.patterns import children, spreading, waits
from runs.engine.patterns.walk import Walk
from runs.engine.states import Cause, Resolution, StepEvent, Verb, WaitKind, moved
from runs.engine.values import Held, RunView, Step, Waiting, instant_text


def attend(walk: Walk) -> None:
    """Waits that somebody has answered, or time has ended, in the order of their places."""
    for key in sorted(walk.open):
        step = walk.steps[key]
        if walk.ending is not walk.before.ending:
            return
        if waits.is_due(step, walk.now) and key in walk.open:
            _end_wait(walk, step)


def _end_wait(walk: Walk, step: Step) -> None:
    wait = step.wait
    assert wait is not None
    if looking.is_due(walk, step) and wait.answer is None and walk.now < wait.until:
        looking.begin(walk, step, wait)
        walk.steps[step.key] = replace(step, wait=replace(wait, look_at=None))
        return
    if wait.kind in _ENDS:
        _ENDS[wait.kind](walk, step, wait)
    elif wait.answer is not None:
        _waited(walk, step, wait.answer.value)
    elif wait.kind is WaitKind.TIMER:
        _waited(walk, step, {"at": instant_text(wait.until)})
    elif wait.goes_on:
        _waited(walk, step, None)
    else:
        message = f"nobody sent the signal '{wait.subject}' until {instant_text(wait.until)}"
        absorbing.fail_step(walk, step, failure(walk.plan, cause=Cause.EXPIRED, message=message, step=step.key))


def _waited(walk: Walk, step: Step, value: Any) -> None:
    held = Held(value)
    done = replace(step, state=moved(step.state, StepEvent.RETURN), held=held, finished_at=walk.now, wait=None)
    facts = {"step": step.key, "attempt": step.attempt, "result": canonical.digest(value), "as_of": None}
    walk.change(done, Fact(Verb.STEP_RETURNED, f"step:{step.key}", None, facts, {"result": value}))
    walk.step_done(done, held)


def _child_ended(walk: Walk, step: Step, wait: Waiting) -> None:
    """A child run has ended: with a result, or with a failure that is the node's too; or it outlived this run."""
    said = None if wait.answer is None else wait.answer.value
    if said is None or not said["gave"]:
        absorbing.fail_step(walk, step, children.timed_out(walk.plan, step) if said is None else children.failed_as(step, said))
        return
    held, lacks = children.held_of(step, said), children.lacking(step, said)
    if isinstance(step.node, ShareNode) and lacks is not None:
        lacks = replace(lacks, branches=tuple(spreading.placed(step, part, said["run"]) for part in lacks.branches))
    done = replace(step, state=moved(step.state, StepEvent.RETURN), held=held, finished_at=walk.now, wait=None, lacks=lacks)
    facts = {"step": step.key, "attempt": step.attempt, "result": canonical.digest(held.value), "as_of": instant_text(held.as_of)}
    openings = {"result": held.value} | ({} if lacks is None else {"lacks": lacks.as_record()})
    walk.change(done, Fact(Verb.STEP_RETURNED, f"step:{step.key}", None, facts | {"run": said["run"]}, openings))
    walk.missing += done.lacking
    walk.step_done(done, held)


def hear(walk: Walk, look: Step) -> None:
    """A look-up that has returned answers the wait that it was for."""
    answered = looking.said(walk, look)
    if answered is None:
        return
    step, answer = answered
    assert step.wait is not None
    walk.facts.append(looking.resolved(step, step.wait, answer, look))
    walk.resolved[step.wait.subject] = looking.RESOLVED[answer["decision"]]
    said = replace(step.wait, answer=Answer(walk.now, f"agent:{look.agent}", answer))
    _resolve(walk, step, said)


def _resolve(walk: Walk, step: Step, wait: Waiting) -> None:
    """What a person said of a call: it was done, with this result; it was not, so it may be made anew; or nobody can say."""
    said = wait.answer.value if wait.answer is not None else {"decision": Resolution.UNKNOWN}
    match Resolution(said["decision"]):
        case Resolution.DONE:
            wrong = absorbing.absorb_value(walk, step, Returned(step.key, step.attempt, said["result"]))
            if wrong is not None:
                record = failure(walk.plan, cause=wrong.cause, message=wrong.message, agent=step.agent, step=step.key)
                absorbing.fail_step(walk, step, record)
        case Resolution.NOT_DONE:
            absorbing.start_again(walk, step, step.attempt + 1)
        case Resolution.UNKNOWN:
            assert wait.failure is not None
            absorbing.fail_step(walk, step, wait.failure)


def hold(walk: Walk, step: Step, outcome: Unresolved | Stopped) -> None:
    """Somebody has to say what became of its call, or to lift the stop of what it needs."""
    if isinstance(outcome, Unresolved):
        _park_unresolved(walk, step, outcome)
    else:
        _park_stopped(walk, step, outcome)


def _park_unresolved(walk: Walk, step: Step, outcome: Unresolved) -> None:
    record = failure(walk.plan, cause=Cause.UNRESOLVED, message=outcome.message, agent=step.agent, step=step.key)
    wait = waits.unresolved(outcome.call, record, looking.look_at(step, outcome.not_after), walk.run, walk.now)
    parked = replace(step, state=moved(step.state, StepEvent.PARK), wait=wait, deadline_at=wait.until)
    walk.change(parked, waits.fact(parked, wait))


def _park_stopped(walk: Walk, step: Step, outcome: Stopped) -> None:
    """What it has sent is given up, with the yes that it was sent by; the calls that it makes after the stop are those of another attempt."""
    record = failure(walk.plan, cause=Cause.STOPPED, message=outcome.message, agent=step.agent, step=step.key, owner=outcome.owner)
    wait = waits.stopped(outcome.stop, record, walk.run, walk.now)
    next_one = replace(step.unapproved, attempt=step.attempt + 1) if outcome.sent else step
    parked = replace(next_one, state=moved(step.state, StepEvent.PARK), wait=wait, deadline_at=wait.until)
    walk.change(parked, waits.fact(parked, wait))


def _unstopped(walk: Walk, step: Step, wait: Waiting) -> None:
    """Somebody has lifted the stop; or nobody has, for so long."""
    if wait.answer is not None:
        absorbing.start_again(walk, step, step.attempt)
        return
    assert wait.failure is not None
    absorbing.fail_step(walk, step, wait.failure)


def park(walk: Walk) -> None:
    """Stop the run's clock where none of its branches can go on. Its deadline is then that of what it waits for, or what follows."""
    waiting = {key: walk.steps[key] for key in walk.open}
    run = waits.parked(walk.run, waiting.values(), walk.now)
    if run is None or run.wake_at is None:
        return
    if run.remaining_ms is not None and _ends_at(walk, run, run.wake_at):
        run = replace(run, deadline_at=run.wake_at)
    walk.run = run
    walk.facts.append(waits.parked_fact(run, waiting))


def _ends_at(walk: Walk, run: RunView, instant: datetime) -> bool:
    """Whether the run is over at once when its wait has lasted till then, with nothing left to do."""
    then = Walk(walk.snapshot(run), instant)
    attend(then)
    return then.ending is not None and not undoing.begin_next(then)


_ENDS: Final[Mapping[WaitKind, Callable[[Walk, Step, Waiting], None]]] = {
    WaitKind.UNRESOLVED: _resolve,
    WaitKind.APPROVAL: approving.take,
    WaitKind.REMOTE: _child_ended,
    WaitKind.STOPPED: _unstopped,
}
