"""Look-ups: an agent that reads the world says whether a call whose fate nobody knows was done. Pure.

Its turn stands beside the plan, like a compensation's: governed and recorded, and nothing follows from it but the answer to the wait.
A look-up that fails, or can't tell, leaves the wait to people. Used by `waiting`, `planner` and the walk.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from runs.engine.commands import Fact
from runs.engine.limits import step_deadline
from runs.engine.patterns.walk import Walk
from runs.engine.states import CallState, Resolution, StepState, Verb, WaitKind
from runs.engine.values import Step, StepNode, Waiting, instant_text

LOOK: Final = "look:"
ZOMBIE: Final = timedelta(seconds=5)
"""A call that was out may still be carried out until its time is up, and a little longer by a worker that was stopped meanwhile."""
LONGEST_KEY: Final = 195
"""The ledger names a step `step:KEY`, in at most 200 characters."""
RETRIES: Final = 2
BACKOFF_MS: Final = 30_000
RESOLVED: Final = {Resolution.DONE: CallState.RESOLVED_DONE, Resolution.NOT_DONE: CallState.RESOLVED_NOT_DONE}


def key_of(step: Step) -> str:
    return f"{LOOK}{step.attempt}:{step.key}"


def looked_at(key: str) -> str | None:
    """The key of the step that a look-up is for; None where `key` is no look-up's."""
    return key.removeprefix(LOOK).partition(":")[2] if key.startswith(LOOK) else None


def node_of(node: StepNode) -> StepNode:
    assert node.lookup is not None
    return StepNode(f"{LOOK}{node.id}", node.lookup.agent, {}, node.lookup.timeout_ms, retries=RETRIES, backoff_ms=BACKOFF_MS)


def look_at(step: Step, not_after: datetime) -> datetime | None:
    """When it can be looked at: not before the call can't be carried out any more. Publishing refuses a name that is too long for it; of
    releases of before, such a call is left to people."""
    return not_after + ZOMBIE if step.work.lookup is not None and len(key_of(step)) <= LONGEST_KEY else None


def is_due(walk: Walk, step: Step) -> bool:
    wait = step.wait
    return wait is not None and wait.look_at is not None and walk.now >= wait.look_at and key_of(step) not in walk.steps


def begin(walk: Walk, step: Step, wait: Waiting) -> None:
    node, key = node_of(step.work), key_of(step)
    deadline = step_deadline(node.timeout_ms, walk.run, walk.now)
    given = {"key": wait.subject, "input": dict(step.arguments)}
    look = Step(key, node, node.agent, StepState.RUNNING, attempt=1, started_at=walk.now, deadline_at=deadline, arguments=given)
    facts = {"step": key, "attempt": 1, "deadline_at": instant_text(deadline), "looks_at": step.key}
    walk.add(look, Fact(Verb.STEP_STARTED, f"step:{key}", node.agent, facts, {"input": given}))
    walk.perform[key] = None


def said(walk: Walk, look: Step) -> tuple[Step, dict[str, Any]] | None:
    """The step whose wait this look-up answers, and the answer; None where there is none (any more), or it can't tell."""
    step = walk.steps.get(looked_at(look.key) or "")
    if look.state is not StepState.RETURNED or look.held is None or step is None or step.wait is None:
        return None
    if step.wait.kind is not WaitKind.UNRESOLVED or step.wait.answer is not None or key_of(step) != look.key:
        return None
    value = look.held.value
    if value["found"] and "result" not in value:
        return None
    decision = Resolution.DONE if value["found"] else Resolution.NOT_DONE
    return step, {"decision": decision, "result": value.get("result")}


def resolved(step: Step, wait: Waiting, answer: dict[str, Any], look: Step) -> Fact:
    facts = {"step": step.key, "attempt": step.attempt, "decision": str(answer["decision"]), "by": look.key}
    openings = {"response": answer["result"], "reason": f"'{look.agent}' looked it up"}
    return Fact(Verb.CALL_RESOLVED, f"call:{wait.subject}", step.agent, facts, openings)
