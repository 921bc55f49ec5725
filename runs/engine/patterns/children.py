"""Child runs: how a node's wait for one begins, what an ended one tells the run above it, and what that run makes of it.

Pure. The walk opens them, `waiting` ends them; knows nothing of rows, and of runs only what their snapshots say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from agents import contracts
from runs.engine.commands import Fact, Finish
from runs.engine.families import Child, Start
from runs.engine.limits import combined, failure
from runs.engine.states import Cause, Outcome, StepState, Verb, WaitKind
from runs.engine.values import BestBefore, Failure, Held, Plan, RunView, Snapshot, Step, Waiting, instant_text

GAVE: Final = frozenset({Outcome.VERIFIED, Outcome.DEGRADED})
PARTS_NAMED: Final = 20
_CAUSES: Final = {Outcome.REJECTED: Cause.REJECTED, Outcome.CANCELLED: Cause.STOPPED}


def opened(step: Step, start: Start, arguments: Mapping[str, Any], inherited: Held, run: RunView) -> tuple[Step, Waiting]:
    """A step, waiting for the run that it starts. Time ends that run, and only with this run's lifetime this wait."""
    until = run.lifetime_until or run.deadline_at
    wait = Waiting(WaitKind.REMOTE, step.started_at, until, subject=start.child.name, works=True)
    waiting = replace(step, state=StepState.WAITING, wait=wait, deadline_at=start.deadline_at, arguments=dict(arguments), inherited=inherited)
    return replace(waiting, start=start), wait


def with_held(run: RunView, step: Step) -> RunView:
    """The account of a run that has put aside what its new child may take."""
    start = step.start
    return run if start is None else replace(run, reserved=run.reserved + start.held_nano, calls=run.calls + start.held_calls)


def started_fact(step: Step, child: Child) -> Fact:
    facts = {
        "step": step.key,
        "attempt": step.attempt,
        "deadline_at": instant_text(step.deadline_at),
        "pipeline": child.name,
        "release": child.release,
    }
    return Fact(Verb.STEP_STARTED, f"step:{step.key}", None, facts, {"input": step.arguments})


# --- what an ended run says to the one above it ----------------------------------------------------------------------


def answer_of(snapshot: Snapshot, finish: Finish) -> dict[str, Any]:
    """JSON: the result with its provenance where the run came to one, else why not, and whose that is."""
    given = finish.result if _came_to_something(snapshot, finish) else None
    fresh = None if given is None else given.best_before
    failed = None if given is not None else finish.failure or _why(snapshot, finish.outcome)
    return {
        "run": snapshot.run.id,
        "outcome": str(finish.outcome),
        "gave": given is not None,
        "result": None if given is None else given.value,
        "as_of": None if given is None else instant_text(given.as_of),
        "best_before": None if fresh is None else instant_text(fresh.at),
        "missing": [part.as_record() for part in _named(snapshot)] if given is not None else [],
        "failure": None if failed is None else failed.as_record(),
    }


def _named(snapshot: Snapshot) -> Sequence[Failure]:
    """Of a share of a loop's items each that failed."""
    return snapshot.missing if snapshot.run.share is not None else snapshot.missing[:PARTS_NAMED]


def _came_to_something(snapshot: Snapshot, finish: Finish) -> bool:
    """A draft that passes reads unverified, and is what the draft above it goes on with. So does a share of a loop, which nobody judges alone."""
    passed = snapshot.run.draft and finish.outcome is Outcome.UNVERIFIED and (snapshot.verdict or {}).get("verdict") == "pass"
    done = snapshot.run.share is not None and finish.outcome is Outcome.UNVERIFIED
    return finish.result is not None and (finish.outcome in GAVE or passed or done)


def _why(snapshot: Snapshot, outcome: Outcome) -> Failure:
    """An end without a failure: the verifier said no, or could not say, or somebody cancelled the run."""
    if outcome is Outcome.CANCELLED:
        said = f"the run was cancelled by {snapshot.run.cancel_by or 'somebody'}"
        return failure(snapshot.plan, cause=Cause.STOPPED, message=said)
    wanted = "fail" if outcome is Outcome.REJECTED else "inconclusive"
    checks = (snapshot.verdict or {}).get("checks", [])
    check = next((check for check in checks if check["verdict"] == wanted), {"criterion": "-", "why": "it gave no verdict"})
    blamed = check.get("blames")
    step = next((step for step in snapshot.steps.values() if step.node.id == blamed), None)
    message = f"its verification {'failed' if wanted == 'fail' else 'was inconclusive'}: {check['criterion']}: {check['why']}"
    cause = _CAUSES.get(outcome, Cause.UNVERIFIED)
    return failure(snapshot.plan, cause=cause, message=message, agent=step.agent if step else None, step=step.key if step else None)


# --- what the run above makes of it ----------------------------------------------------------------------------------


def held_of(step: Step, said: Mapping[str, Any]) -> Held:
    """The node's value: as old as the oldest of what the child read and of what it was given."""
    as_of = contracts.observed_at(said, "as_of") if said["as_of"] else None
    fresh = contracts.observed_at(said, "best_before") if said["best_before"] else None
    own = Held(said["result"], as_of, None if fresh is None else BestBefore(fresh, step.key))
    return combined((own, step.inherited), said["result"])


def lacking(step: Step, said: Mapping[str, Any]) -> Failure | None:
    """What a degraded child goes without, as one missing part of the run above it."""
    parts = tuple(Failure.from_record(part) for part in said["missing"])
    if not parts:
        return None
    message = f"run {said['run']} came to its result without '{parts[0].step}': {parts[0].message}"
    return replace(parts[0], message=message, step=step.key, details={"run": said["run"]}, branches=parts)


def failed_as(step: Step, said: Mapping[str, Any]) -> Failure:
    """The child's own failure, with its cause and owner, as a branch of the node's."""
    inner = Failure.from_record(said["failure"])
    message = f"run {said['run']} is {said['outcome']}: {inner.message}"
    return Failure(inner.cause, message, inner.owner, inner.team, step.key, {"run": said["run"], "outcome": said["outcome"]}, (inner,))


def timed_out(plan: Plan, step: Step) -> Failure:
    message = f"the run of '{step.wait.subject if step.wait else ''}' did not end within this run's lifetime (limits.max_lifetime)"
    return failure(plan, cause=Cause.DEADLINE, message=message, step=step.key)
