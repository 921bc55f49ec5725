"""The machine: `begin`, `absorb` and `decide` turn a snapshot and one input into a Move. Pure.

The only module that ends a run. Called by the worker (and by use-cases for what needs no worker); writes nothing itself.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from audit import canonical
from runs.engine import absorbing, approving, undoing, verdicts, waiting
from runs.engine.commands import Fact, Finish, Move, without_unstarted
from runs.engine.limits import failure, seconds
from runs.engine.outcomes import Failed, NeedsApproval, Result, Returned, Stopped, Unresolved
from runs.engine.patterns import waits
from runs.engine.patterns.scope import result_of
from runs.engine.patterns.walk import Walk
from runs.engine.planner import VERIFY
from runs.engine.states import LIVE_RUN, Cause, IllegalMove, Outcome, RunState, StepState, Verb
from runs.engine.values import BlockFrame, Ending, Failure, Held, Snapshot, Step, instant_text

MISSING_NAMED = ACTS_NAMED = 20
"""An entry is at most 32 KiB: it names so many missing parts and their number; the opening holds all of them."""
STEPS_NAMED = 5


def rebuild(snapshot: Snapshot, now: datetime) -> Move:
    """The frames of a run whose rows were read again: the steps that exist are adopted, nothing is recorded."""
    _refuse_finished(snapshot)
    walk = Walk(snapshot, now)
    walk.begin()
    return _move(walk, None)


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
    if snapshot.run.wake_at is not None:
        now = max(now, snapshot.run.wake_at)  # whoever claimed it saw that its time has come; by this clock it may yet have to
    first = snapshot.run.state is RunState.QUEUED
    if _is_over(snapshot, now):
        return decide(snapshot if first else rebuild(snapshot, now).snapshot, now)
    walk = Walk(snapshot, now)
    walk.run = replace(waits.woken(walk.run), started_at=walk.run.started_at or now, resumed=not first)
    facts = {"release": snapshot.plan.release, **({} if first else {"deadlines": _prolonged(walk)})}
    walk.facts.append(Fact(Verb.RUN_STARTED if first else Verb.RUN_RESUMED, f"run:{snapshot.run.id}", facts=facts))
    walk.begin()
    waiting.attend(walk)
    walk.perform = dict.fromkeys(sorted(key for key in walk.open if walk.steps[key].state is StepState.RUNNING))
    if not first:
        _judge_again(walk)
    return _conclude(walk)


def _prolonged(walk: Walk) -> dict[str, str | None]:
    """The steps that another worker left at work have their time once more: until when, by key."""
    left = sorted(key for key in walk.open if walk.steps[key].state is StepState.RUNNING)
    for key in left:
        absorbing.prolong(walk, walk.steps[key])
    return {key: instant_text(walk.steps[key].deadline_at) for key in left}


def _judge_again(walk: Walk) -> None:
    """A resumed run consumes its data anew (R2). Only verify steps: an act in flight has consumed its own, and only its call knows its fate."""
    for step in [walk.steps[key] for key in walk.perform if walk.steps[key].node.judges]:
        stale = walk.refused_again(step)
        if stale is None or walk.is_over or step.key not in walk.perform:
            continue  # fit, or gone with a part that another one took down
        walk.perform.pop(step.key)
        walk.abandon.append(step.key)
        absorbing.fail_step(walk, step, stale)


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
        outcome = absorbing.too_late(walk, step)
    if isinstance(outcome, Returned):
        outcome = absorbing.absorb_value(walk, step, outcome) or outcome
        waiting.hear(walk, walk.steps[step.key])
    _take_no_value(walk, step, outcome)
    return _conclude(walk)


def _take_no_value(walk: Walk, step: Step, outcome: Result) -> None:
    match outcome:
        case Failed():
            absorbing.absorb_failure(walk, step, outcome)
        case Unresolved() | Stopped():
            waiting.hold(walk, step, outcome)
        case NeedsApproval():
            approving.ask(walk, step, outcome)


def decide(snapshot: Snapshot, now: datetime) -> Move:
    """What time alone brings: cancels, deadlines, retries that are due. Without any of them, an empty move."""
    _refuse_finished(snapshot)
    if _is_over(snapshot, now):
        return _over(snapshot, now)
    walk = Walk(snapshot, now)
    if snapshot.run.state is RunState.WAITING and any(waits.is_due(walk.steps[key], now) for key in walk.open):
        walk.run = waits.woken(walk.run)
    waiting.attend(walk)
    for key in sorted(walk.open):
        if walk.ending is not snapshot.ending:
            break
        step = walk.steps[key]
        if step.state is StepState.RUNNING and now >= step.deadline_at:
            walk.abandon.append(key)
            absorbing.absorb_failure(walk, step, absorbing.too_late(walk, step))
        elif step.state is StepState.RETRYING and step.not_before is not None and now >= step.not_before:
            absorbing.start_again(walk, step, step.attempt)
    return _conclude(walk)


def _over(snapshot: Snapshot, now: datetime) -> Move:
    """The end of a run that nothing more is opened for: as it was decided before, as a wait whose end came before the cancel decided, or cut short.

    What its end leaves to be undone stays so: for that there is no time any more.
    """
    walk = Walk(snapshot, now)
    if snapshot.ending is None and snapshot.run.state is RunState.WAITING:
        attended = Walk(snapshot, min(now, snapshot.run.cancel_at or now))
        waiting.attend(attended)
        if attended.ending is not None and attended.ending.outcome is Outcome.FAILED:
            walk = attended
    return _finish(walk, walk.ending or _cut_short(snapshot, now))


def _cut_short(snapshot: Snapshot, now: datetime) -> Ending:
    """Its time is up, or somebody cancelled it: in this order, since everybody has read it as failed since its deadline."""
    if now >= snapshot.run.deadline_at:
        return Ending(Outcome.FAILED, _run_deadline(snapshot))
    return Ending(Outcome.CANCELLED)


def _is_over(snapshot: Snapshot, now: datetime) -> bool:
    """Cancelled or overdue: whatever comes in, nothing more is opened."""
    return snapshot.run.cancel_by is not None or now >= snapshot.run.deadline_at


def failed_run(snapshot: Snapshot, cause: Cause, message: str, now: datetime) -> Move:
    """End a run for a reason of the platform's: too many claims, a changed record, another engine's release."""
    _refuse_finished(snapshot)
    return _finish(Walk(snapshot, now), Ending(Outcome.FAILED, failure(snapshot.plan, cause=cause, message=message)))


def _refuse_finished(snapshot: Snapshot) -> None:
    if snapshot.run.state not in LIVE_RUN:
        raise IllegalMove(f"run {snapshot.run.id} is {snapshot.run.state}; finished is final")


def _run_deadline(snapshot: Snapshot) -> Failure:
    running = sorted(key for key in snapshot.open if not (snapshot.steps[key].agent and snapshot.steps[key].state is StepState.WAITING))
    run, plan = snapshot.run, snapshot.plan
    lived = run.lifetime_until is not None and run.deadline_at >= run.lifetime_until and plan.max_lifetime_ms > plan.timeout_ms
    limit = f"{seconds(plan.max_lifetime_ms)} (limits.max_lifetime)" if lived else f"{seconds(plan.timeout_ms)} (limits.timeout)"
    if run.parent is not None:
        limit = f"until {instant_text(run.deadline_at)}, which is what its own limit, its node's or the run above it gave it"
    more = f" and {len(running) - STEPS_NAMED} more" if len(running) > STEPS_NAMED else ""
    where = f" while {', '.join(running[:STEPS_NAMED])}{more} was at work" if running else _not_gone_on(snapshot)
    message = f"the run had {limit} and was not finished{where}"
    agent = snapshot.steps[running[0]].agent if running else None
    return failure(snapshot.plan, cause=Cause.DEADLINE, message=message, agent=agent, step=running[0] if running else None)


def _not_gone_on(snapshot: Snapshot) -> str:
    """Of a run that nobody took up again, or for the first time: whose fault that is no step's."""
    answered = [key for key in sorted(snapshot.open) if (wait := snapshot.steps[key].wait) is not None and wait.answer is not None]
    if answered:
        return f": '{answered[0]}' had the answer that it waited for, and no worker went on with it"
    return "" if snapshot.open or snapshot.run.started_at is not None else ": no worker began it"


# --- the end of a turn, and of a run -------------------------------------------------------------------------------


def _conclude(walk: Walk) -> Move:
    if walk.ending is not None and not undoing.begin_next(walk):
        return _finish(walk, walk.ending)
    waiting.park(walk)
    return _move(walk, None)


def _finish(walk: Walk, ending: Ending) -> Move:
    """The one finishing event, last in sequence. What is still at work is cancelled first."""
    outcome, failed = ending.outcome, ending.failure
    walk.cancel_open()
    result = result_of(replace(walk.before, frames=walk.frames))
    digest = canonical.digest(result.value) if result is not None else None
    verdict = walk.before.verdict
    missing = sorted(walk.missing, key=lambda part: part.step or "")
    acts = undoing.account(walk.plan, walk.steps, outcome)
    facts: dict[str, Any] = {
        "outcome": str(outcome),
        "result": digest,
        "as_of": instant_text(walk.run.as_of),
        "verdict": verdicts.digest(verdict) if verdict is not None else None,
        "missing": [part.facts() for part in missing[:MISSING_NAMED]],
        "missing_parts": len(missing),
        "failure": failed.facts() if failed is not None else None,
        **undoing.named(acts, ACTS_NAMED),
    }
    openings: dict[str, Any] = {} if result is None else {"result": result.value}
    if acts:
        openings["acts"] = acts
    if missing:
        openings["missing"] = [part.as_record() for part in missing]
    if failed is not None:
        openings["failure"] = failed.as_record()
    walk.facts.append(Fact(Verb.RUN_FINISHED, f"run:{walk.run.id}", facts=facts, openings=openings))
    walk.run = replace(waits.woken(walk.run), state=RunState.FINISHED, finished_at=walk.now)
    return _move(walk, Finish(outcome, result, digest, failed))


def _move(walk: Walk, finish: Finish | None) -> Move:
    snapshot = without_unstarted(walk.snapshot(walk.run), walk.opened)
    return Move(
        snapshot=snapshot,
        opened=tuple(snapshot.steps[key] for key in walk.opened),
        moved=tuple(snapshot.steps[key] for key in walk.moved),
        facts=tuple(walk.facts),
        perform=tuple(walk.perform),
        abandon=tuple(walk.abandon),
        closed=dict(walk.closed),
        resolved=dict(walk.resolved),
        prolonged=frozenset(walk.prolonged),
        finish=finish,
        wake_at=None if finish else wake_at(snapshot),
    )


def wake_at(snapshot: Snapshot) -> datetime:
    """When time alone will change something: the nearest deadline, retry or end of a wait."""
    return min([snapshot.run.deadline_at, *(_due_at(snapshot.steps[key]) for key in snapshot.open)])


def _due_at(step: Step) -> datetime:
    if step.wait is not None:
        return waits.ends_at(step.wait)
    return step.not_before if step.not_before is not None else step.deadline_at
