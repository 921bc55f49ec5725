"""The walk: opens what comes next, starting from the node that changed and never from the top.

Mutable inside one turn, values outside. `machine` starts it, hands it ended steps, and turns it into a `Move`.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, assert_never

from agents import expressions
from audit import canonical
from runs.engine import verdicts
from runs.engine.commands import Fact
from runs.engine.limits import failure, spoiled, step_deadline
from runs.engine.patterns import fan, waits
from runs.engine.patterns.scope import provenance, scope_at
from runs.engine.states import OPEN_STEP, CallState, Cause, Outcome, StepEvent, StepState, Verb, WaitState, moved
from runs.engine.values import (
    BlockFrame,
    Compensation,
    Ending,
    Failure,
    FanFrame,
    ForEachNode,
    Frame,
    Held,
    Node,
    ParallelNode,
    RunView,
    Snapshot,
    Step,
    StepNode,
    SwitchNode,
    Turn,
    WaitNode,
    instant_text,
)


class _Wiring(Exception):
    """What a step was to be given can't be made: the pipeline's fault, unless `cause` says otherwise."""

    def __init__(self, message: str, cause: Cause = Cause.INPUT, agent: str | None = None) -> None:
        super().__init__(message)
        self.cause, self.agent = cause, agent


class Walk:
    """One turn over a snapshot. `existing` are the steps that rows already hold (a resumed run); they are adopted, not opened."""

    def __init__(self, snapshot: Snapshot, now: datetime) -> None:
        self.before = snapshot
        self.plan, self.run, self.now = snapshot.plan, snapshot.run, now
        self.steps: dict[str, Step] = dict(snapshot.steps)
        self.frames: dict[str, Frame] = dict(snapshot.frames)
        self.open = set(snapshot.open)
        self.missing = list(snapshot.missing)
        self.opened: dict[str, None] = {}
        self.moved: dict[str, None] = {}
        self.facts: list[Fact] = []
        self.perform: dict[str, None] = {}
        self.abandon: list[str] = []
        self.closed: dict[str, WaitState] = {}
        self.resolved: dict[str, CallState] = {}
        self.ending: Ending | None = snapshot.ending
        self._agenda: deque[Callable[[], None]] = deque()

    def snapshot(self, run: RunView) -> Snapshot:
        """Where this turn has come to, as a value, with this `run` in it."""
        now = replace(self.before, run=run, steps=self.steps, open=frozenset(self.open), frames=self.frames)
        return replace(now, missing=tuple(self.missing), ending=self.ending)

    # --- entrances ---

    def begin(self) -> None:
        """From the top, over the steps that exist; whatever frames the snapshot had are made anew."""
        self.frames.clear()
        self.missing[:] = self.run.given_missing
        self.frames[""] = BlockFrame("", self.plan.root, None, held=dict(self.run.given))
        self._agenda.append(lambda: self._enter(""))
        self.settle()

    def step_done(self, step: Step, held: Held) -> None:
        """What follows from it; nothing does once the run's end is decided."""
        if not step.is_aside:
            self._agenda.append(lambda: self._node_done(_prefix(step), held))
            self.settle()

    def step_failed(self, step: Step, failed: Failure) -> None:
        if not step.is_aside:
            self._agenda.append(lambda: self._node_failed(_prefix(step), failed))
            self.settle()

    def no_verdict(self, failed: Failure) -> None:
        """A verifier that gave no verdict leaves the run unverified, wherever the verify node stands."""
        self.ending = Ending(Outcome.UNVERIFIED, failed)

    def rejected(self, verdict: Mapping[str, Any]) -> None:
        """A verdict that says no ends the run wherever it stands."""
        self.ending, self.before = Ending(Outcome.REJECTED), replace(self.before, verdict=verdict)

    @property
    def is_over(self) -> bool:
        return self.ending is not None

    def settle(self) -> None:
        while self._agenda and not self.is_over:
            self._agenda.popleft()()

    def change(self, step: Step, fact: Fact | None = None) -> None:
        """Put a step's new value in place; its row is written with this turn."""
        former = self.steps.get(step.key)
        if former is not None and former.wait is not None and step.wait is None and former.wait.answer is None:
            self.closed[step.key] = WaitState.EXPIRED if self.now >= former.wait.until else WaitState.CANCELLED
        self.steps[step.key] = step
        if step.key not in self.opened:
            self.moved[step.key] = None
        if step.state not in OPEN_STEP:
            self.open.discard(step.key)
        if fact is not None:
            self.facts.append(fact)

    def cancel_open(self, prefix: str = "", *, but: str | None = None) -> None:
        """Cancel every open step below `prefix`, except those below `but`; what they are doing is abandoned."""
        for key in sorted(key for key in self.open if key.startswith(prefix) and (but is None or not key.startswith(but))):
            step = self.steps[key]
            gone = replace(step, state=moved(step.state, StepEvent.CANCEL), finished_at=self.now, wait=None)
            self.change(gone, Fact(Verb.STEP_CANCELLED, f"step:{key}", step.agent, {"step": key, "attempt": step.attempt}))
            self.abandon.append(key)
            self.perform.pop(key, None)

    # --- sequences ---

    def _enter(self, prefix: str) -> None:
        frame = self.frames.get(prefix)
        if not isinstance(frame, BlockFrame):
            return  # its composite has ended meanwhile
        if frame.position == len(frame.block.nodes):
            if frame.parent is not None:
                self._block_done(frame)
            return
        node = frame.block.nodes[frame.position]
        try:
            if self._is_skipped(frame, node):
                self._skip(frame, node)
            else:
                self._open_node(frame, node)
        except _Wiring as wiring:
            self._node_failed(prefix, self._wiring_failure(wiring, prefix + node.id))

    def _node_done(self, prefix: str, held: Held) -> None:
        frame = self.frames.get(prefix)
        if not isinstance(frame, BlockFrame):
            return
        node = frame.block.nodes[frame.position]
        self.frames[prefix] = replace(frame, position=frame.position + 1, held={**frame.held, node.id: held})
        self._agenda.append(lambda: self._enter(prefix))

    def _node_failed(self, prefix: str, failed: Failure) -> None:
        frame = self.frames.get(prefix)
        if not isinstance(frame, BlockFrame):
            return
        if frame.block.nodes[frame.position].degrades:
            self.missing.append(failed)
            self._node_done(prefix, Held(None))
        elif frame.parent is None:
            self.ending = Ending(Outcome.FAILED, failed)
        else:
            self._forget_missing(frame.prefix)
            self._part_ended(frame, lambda fanned: fan.part_failed(fanned, frame.slot, failed))

    def _block_done(self, frame: BlockFrame) -> None:
        held = frame.held.get(frame.block.nodes[-1].id, Held(None))
        self._part_ended(frame, lambda fanned: fan.part_done(fanned, frame.slot, held))

    # --- composites ---

    def _part_ended(self, frame: BlockFrame, react: Callable[[FanFrame], fan.Reaction]) -> None:
        del self.frames[frame.prefix]
        fanned = self.frames.get(frame.parent or "")
        if isinstance(fanned, FanFrame):
            self._carry_out(react(fanned))

    def _carry_out(self, reaction: fan.Reaction) -> None:
        frame = reaction.frame
        self.frames[frame.key] = frame
        for slot in reaction.start:
            self._open_part(frame, slot)
        if reaction.failure is not None:
            self._close(frame)
            self._forget_missing(f"{frame.key}/")
            failed = reaction.failure
            self._agenda.append(lambda: self._node_failed(frame.parent, failed))
        elif reaction.done is not None:
            self._close(frame)
            self.missing.extend(fan.failures_of(frame))
            held = reaction.done
            self._agenda.append(lambda: self._node_done(frame.parent, held))

    def _close(self, frame: FanFrame) -> None:
        below = f"{frame.key}/"
        self.cancel_open(below)
        if frame.pending:
            for key in [key for key in self.frames if key.startswith(below)]:
                del self.frames[key]
        del self.frames[frame.key]

    def _forget_missing(self, below: str) -> None:
        """What was missing inside a part that failed as a whole is no longer missing by itself."""
        self.missing = [part for part in self.missing if not (part.step or "").startswith(below)]

    def _open_part(self, frame: FanFrame, slot: int) -> None:
        name, block, local = fan.part_at(frame, slot)
        prefix = f"{frame.key}/{name}/"
        self.frames[prefix] = BlockFrame(prefix, block, frame.key, slot=slot, local=local)
        self._agenda.append(lambda: self._enter(prefix))

    # --- nodes ---

    def _is_skipped(self, frame: BlockFrame, node: Node) -> bool:
        if node.when is None or frame.prefix + node.id in self.steps:
            return False
        return not self._holds(node.when, frame.prefix)

    def _skip(self, frame: BlockFrame, node: Node) -> None:
        if isinstance(node, Turn):
            key = frame.prefix + node.id
            step = self._new_step(node, key, StepState.SKIPPED)
            self.add(step, Fact(Verb.STEP_SKIPPED, f"step:{key}", node.agent, {"step": key, "when": node.when}))
        self._node_done(frame.prefix, Held(None))

    def _open_node(self, frame: BlockFrame, node: Node) -> None:
        key = frame.prefix + node.id
        match node:
            case StepNode() | WaitNode() if key in self.steps:
                self._adopt(frame, self.steps[key])
            case StepNode():
                self._open_step(frame, node, key)
            case WaitNode():
                self._open_wait(frame, node, key)
            case ParallelNode():
                self._carry_out(fan.open_parallel(node, key, frame.prefix))
            case ForEachNode():
                source = provenance(self.frames, frame.prefix, node.reads)
                self._carry_out(fan.open_for_each(node, key, frame.prefix, self._items(frame, node), source))
            case SwitchNode():
                self._carry_out(fan.open_switch(node, key, frame.prefix, self._case(frame, node)))
            case _:
                assert_never(node)

    def _items(self, frame: BlockFrame, node: ForEachNode) -> list[Any]:
        items = self._resolved(node.items, frame.prefix)
        if not isinstance(items, list):
            raise _Wiring(f"for_each '{node.id}': {node.items} is {type(items).__name__}, not a list")
        return items

    def _case(self, frame: BlockFrame, node: SwitchNode) -> int | None:
        for index, (when, _) in enumerate(node.cases):
            if when is None or self._holds(when, frame.prefix):
                return index
        return None

    # --- steps ---

    def _adopt(self, frame: BlockFrame, step: Step) -> None:
        """A step whose row exists goes on from its state; nothing is recorded again."""
        match step.state:
            case StepState.RETURNED if step.node.judges and step.held is not None and step.held.value["verdict"] == verdicts.FAIL:
                self.rejected(step.held.value)  # the run has yet to be finished
            case StepState.RETURNED:
                self._node_done(frame.prefix, step.held or Held(None))
            case StepState.SKIPPED:
                self._node_done(frame.prefix, Held(None))
            case StepState.FAILED if step.failure is not None:
                self._node_failed(frame.prefix, step.failure)
            case StepState.RUNNING | StepState.RETRYING | StepState.WAITING:
                inherited = provenance(self.frames, frame.prefix, step.node.reads)
                self.steps[step.key] = replace(step, inherited=inherited)

    def _open_step(self, frame: BlockFrame, node: StepNode, key: str) -> None:
        step = self._new_step(node, key, StepState.RUNNING)
        try:
            step = replace(step, arguments=self._arguments(frame, node), inherited=provenance(self.frames, frame.prefix, node.reads))
            self._refuse_unfit(step)
        except _Wiring as wiring:
            failed = self._wiring_failure(wiring, key)
            step = replace(step, state=moved(step.state, StepEvent.FAIL), failure=failed, finished_at=self.now)
            self.add(step, Fact(Verb.STEP_FAILED, f"step:{key}", node.agent, failed.facts() | {"attempt": 1}, {"failure": failed.as_record()}))
            if node.judges and wiring.cause is not Cause.STALE:
                self.no_verdict(failed)
            else:
                self._node_failed(frame.prefix, failed)
            return
        facts = {"step": key, "attempt": 1, "deadline_at": instant_text(step.deadline_at)}
        self.add(step, Fact(Verb.STEP_STARTED, f"step:{key}", node.agent, facts, {"input": step.arguments}))
        self.perform[key] = None

    def _open_wait(self, frame: BlockFrame, node: WaitNode, key: str) -> None:
        try:
            wait = waits.opened(node, self._resolved(node.until, frame.prefix), self.run, self.now)
        except waits.NoInstant as error:
            raise _Wiring(str(error)) from None
        step = replace(self._new_step(node, key, StepState.WAITING), wait=wait, deadline_at=wait.until)
        self.add(step, waits.fact(step, wait))

    def _new_step(self, node: Turn, key: str, state: StepState) -> Step:
        deadline = step_deadline(node.timeout_ms, self.run, self.now)
        finished = self.now if state is StepState.SKIPPED else None
        return Step(key, node, node.agent, state, attempt=1, started_at=self.now, deadline_at=deadline, finished_at=finished)

    def add(self, step: Step, fact: Fact) -> None:
        """A step that had no row; its row is written with this turn."""
        self.steps[step.key] = step
        self.opened[step.key] = None
        self.facts.append(fact)
        if step.state in OPEN_STEP:
            self.open.add(step.key)

    def _arguments(self, frame: BlockFrame, node: StepNode) -> dict[str, Any]:
        arguments = self._resolved(node.arguments, frame.prefix)
        schema = self.plan.agents[node.agent].spec["input"]
        if node.judges and "criteria" in (schema.get("properties") or {}):
            arguments = {"criteria": [criterion.as_record() for criterion in self.plan.criteria], **arguments}
        try:
            canonical.canonical_bytes(arguments, depth=canonical.MAX_DEPTH)
        except canonical.NotCanonical as error:
            raise _Wiring(f"the input of '{node.id}' can't be written as JSON: {error}") from None
        self._refuse_misfit(node.id, node.agent, arguments)
        return dict(arguments)

    def arguments_after(self, step: Step, turn: Compensation, value: Any) -> dict[str, Any] | None:
        """The input of a step's compensation, `value` being what the step has returned; None where it can't be made."""
        scope = scope_at(self.run, self.frames, _prefix(step), self.plan.last)
        scope["steps"] = {**scope["steps"], step.node.id: value}
        try:
            arguments = dict(expressions.resolve(turn.arguments, scope))
            canonical.canonical_bytes(arguments, depth=canonical.MAX_DEPTH)
            self._refuse_misfit(f"undo:{step.node.id}", turn.agent, arguments)
        except (expressions.ExpressionError, canonical.NotCanonical, _Wiring):
            return None
        return arguments

    def refused_again(self, step: Step) -> Failure | None:
        """Why a step that is to be performed once more must not be: time has passed, and its agent may be the fallback by now."""
        try:
            self._refuse_misfit(step.node.id, step.agent, step.arguments)
            self._refuse_unfit(step)
        except _Wiring as wiring:
            return self._wiring_failure(wiring, step.key)
        return None

    def _refuse_misfit(self, place: str, agent: str, arguments: Mapping[str, Any]) -> None:
        wrong = self.plan.agents[agent].takes.violations(arguments)
        if wrong:
            raise _Wiring(f"the input of '{place}' breaks the contract of '{agent}': {'; '.join(wrong)}")

    def _refuse_unfit(self, step: Step) -> None:
        """What an `act` or `verify` step may not consume: stale data, or history where the act can't be replayed."""
        agent = self.plan.agents[step.agent]
        if agent.role == "act" and self.run.as_of is not None and not self.plan.replayable:
            raise _Wiring(f"'{agent.name}' acts, and this run judges the past; a pipeline that may repeat acts says 'replayable: true'")
        if agent.role != "act" and not step.node.judges and not self.run.resumed:
            return
        spoilt = spoiled(step.inherited, self.run, self.now)
        if spoilt is not None:
            owner = self.steps[spoilt.step].agent if spoilt.step in self.steps else None
            message = f"the data of step '{spoilt.step}' was fresh until {instant_text(spoilt.at)} and is too old to be consumed by '{step.key}'"
            raise _Wiring(message, Cause.STALE, owner)

    # --- expressions ---

    def _resolved(self, value: Any, prefix: str) -> Any:
        try:
            return expressions.resolve(value, scope_at(self.run, self.frames, prefix, self.plan.last))
        except expressions.ExpressionError as error:
            raise _Wiring(str(error)) from None

    def _holds(self, source: str, prefix: str) -> bool:
        try:
            return expressions.holds(source, scope_at(self.run, self.frames, prefix, self.plan.last))
        except expressions.ExpressionError as error:
            raise _Wiring(f"{source}: {error}") from None

    def _wiring_failure(self, wiring: _Wiring, key: str) -> Failure:
        return failure(self.plan, cause=wiring.cause, message=str(wiring), agent=wiring.agent, step=key)


def _prefix(step: Step) -> str:
    return step.key.removesuffix(step.node.id)
