"""Compensation: what has acted is undone in reverse order when a later step fails, each by a governed call of its own.

Pure. Used by `machine` once a run's end is decided and before it is written; knows nothing of calls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from agents import expressions
from audit import canonical
from runs.engine.asides import Compensation
from runs.engine.commands import Fact
from runs.engine.families import PipelineNode, ShareNode
from runs.engine.limits import step_deadline
from runs.engine.patterns.scope import scope_at
from runs.engine.patterns.walk import Walk
from runs.engine.states import Cause, Outcome, StepState, Verb
from runs.engine.values import Failure, Plan, Step, StepNode, instant_text

UNDO: Final = "undo:"
"""How the key of a compensation begins; no node's own key can, since an id holds no colon."""
UNDONE_FOR: Final = frozenset({Outcome.FAILED, Outcome.REJECTED})
_NEVER_SENT: Final = frozenset(
    {Cause.INPUT, Cause.DENIED, Cause.DECLINED, Cause.EXPIRED, Cause.RATE, Cause.BREAKER, Cause.BUDGET, Cause.STOPPED},
)
"""Causes of a first attempt that never went out. After any other an agent may have acted, also where it says itself that it failed."""


def node_of(node: StepNode) -> StepNode:
    """The compensation of a step, as a step: it is performed, bounded and recorded like any other."""
    undo = node.compensate
    assert undo is not None
    return StepNode(f"{UNDO}{node.id}", undo.agent, undo.arguments, undo.timeout_ms)


def is_undo(key: str) -> bool:
    return key.startswith(UNDO)


def begin_next(walk: Walk) -> bool:
    """Open the next compensation, if there is one and time for it; True while one is under way."""
    ending = walk.ending
    if ending is None or ending.outcome not in UNDONE_FOR:
        return False
    walk.cancel_open(but=UNDO)
    if any(is_undo(key) for key in walk.open):
        return True
    done = [step for step in walk.steps.values() if _can_be_undone(step) and UNDO + step.key not in walk.steps]
    if not done:
        return False
    _open(walk, max(done, key=lambda step: (step.finished_at, step.key)))
    return True


def _can_be_undone(step: Step) -> bool:
    return step.state is StepState.RETURNED and isinstance(step.node, StepNode) and step.node.compensate is not None and step.undo is not None


def _open(walk: Walk, step: Step) -> None:
    assert step.undo is not None
    node = node_of(step.work)
    key, deadline = UNDO + step.key, step_deadline(node.timeout_ms, walk.run, walk.now)
    undo = Step(key, node, node.agent, StepState.RUNNING, attempt=1, started_at=walk.now, deadline_at=deadline, arguments=step.undo)
    facts = {"step": key, "attempt": 1, "deadline_at": instant_text(deadline), "undoes": step.key}
    walk.add(undo, Fact(Verb.STEP_STARTED, f"step:{key}", node.agent, facts, {"input": step.undo}))
    walk.perform[key] = None


def account(plan: Plan, steps: Mapping[str, Step], outcome: Outcome) -> dict[str, Any]:
    """What a run that came to nothing says of what it did: which acts were undone, and which were not and why. Empty where it did none."""
    if outcome not in UNDONE_FOR | {Outcome.CANCELLED}:
        return {}
    acts = sorted((step for step in steps.values() if _acted(plan, step)), key=lambda step: (step.started_at, step.key))
    undone = [step.key for step in acts if _is_undone(steps, step)]
    left = [{"step": step.key, "why": _why_not(steps, step, outcome)} for step in acts if not _is_undone(steps, step)]
    return {"undone": undone, "not_undone": left} if acts else {}


def named(acts: Mapping[str, Sequence[Any]], most: int) -> dict[str, Any]:
    """An account as an entry says it openly, which is bounded: the first of each, and how many there are."""
    return {name: list(each[:most]) for name, each in acts.items()} | {f"{name}_acts": len(each) for name, each in acts.items()}


def _acted(plan: Plan, step: Step) -> bool:
    if isinstance(step.node, ShareNode):
        return step.node.loop.spread is not None and step.node.loop.spread.acts
    if isinstance(step.node, PipelineNode):
        return plan.pipelines[step.node.pipeline].acts and step.state is not StepState.SKIPPED
    if not step.agent or is_undo(step.key) or plan.agents[step.agent].role != "act":
        return False
    if step.state is StepState.FAILED:
        return step.attempt > 1 or step.failure is None or _was_sent(step.failure)
    return step.state is StepState.RETURNED or (step.state is StepState.CANCELLED and not step.never_sent)


def _was_sent(failed: Failure) -> bool:
    """A refusal may be that of a call which the agent made on its way: then it was at work itself. Or of one that went out before a crash."""
    return failed.cause not in _NEVER_SENT or bool(failed.details.get("from_call") or failed.details.get("sent"))


def _is_undone(steps: Mapping[str, Step], step: Step) -> bool:
    undo = steps.get(UNDO + step.key)
    return undo is not None and undo.state is StepState.RETURNED


def _why_not_below(step: Step) -> str:
    if step.state is not StepState.RETURNED:
        return "its own run says what it has undone"
    if isinstance(step.node, ShareNode):
        return "irreversible: it has no compensation"
    return "irreversible: what a child run has done is not undone once it has ended well"


def _why_not(steps: Mapping[str, Step], step: Step, outcome: Outcome) -> str:
    undo = steps.get(UNDO + step.key)
    if isinstance(step.node, PipelineNode | ShareNode):
        return _why_not_below(step)
    if undo is not None:
        return f"its compensation {undo.state}"
    if step.state is not StepState.RETURNED:
        return "it may have acted, and nobody knows with what result"
    if not isinstance(step.node, StepNode) or step.node.compensate is None:
        return "irreversible: it has no compensation"
    if step.undo is None:
        return "the input of its compensation could not be made"
    return "the run was cancelled" if outcome is Outcome.CANCELLED else "no time was left"


def with_input(walk: Walk, step: Step, value: Any) -> Step:
    """A step that has returned `value`, with the input of its compensation fixed while everything it names is there."""
    node = step.node
    if not isinstance(node, StepNode) or node.compensate is None:
        return step
    return replace(step, undo=_arguments_after(walk, step, node.compensate, value))


def _arguments_after(walk: Walk, step: Step, turn: Compensation, value: Any) -> dict[str, Any] | None:
    """The input of a step's compensation, `value` being what the step has returned; None where it can't be made."""
    scope = scope_at(walk.run, walk.frames, step.key.removesuffix(step.node.id), walk.plan.last)
    scope["steps"] = {**scope["steps"], step.node.id: value}
    try:
        arguments = dict(expressions.resolve(turn.arguments, scope))
        canonical.canonical_bytes(arguments, depth=canonical.MAX_DEPTH)
    except (expressions.ExpressionError, canonical.NotCanonical):
        return None
    return None if walk.plan.agents[turn.agent].takes.violations(arguments) else arguments
