"""The walk: opens what comes next, starting from the node that changed and never from the top.

Mutable inside one turn, values outside. `machine` starts it, hands it ended steps, and turns it into a `Move`.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, assert_never

from agents import expressions
from audit import canonical
from runs.engine import verdicts
from runs.engine.asides import Asking
from runs.engine.commands import Fact
from runs.engine.families import PipelineNode, ShareNode
from runs.engine.limits import failure, start_of, step_deadline
from runs.engine.patterns import children, fan, fitness, gates, spreading, waits
from runs.engine.patterns.changes import Changes
from runs.engine.patterns.scope import enclosing, provenance, scope_at
from runs.engine.patterns.wiring import Wiring
from runs.engine.states import Cause, IllegalMove, Outcome, StepEvent, StepState, Verb, moved
from runs.engine.values import (
    BlockFrame,
    Ending,
    Failure,
    FanFrame,
    ForEachNode,
    Held,
    Node,
    ParallelNode,
    Snapshot,
    Step,
    StepNode,
    SwitchNode,
    Turn,
    Waiting,
    WaitNode,
    instant_text,
)

NOTHING: Final[Mapping[str, Any]] = {}


class Walk(Changes):
    """One turn over a snapshot. Steps that rows already hold (a resumed run) are adopted, not opened."""

    def __init__(self, snapshot: Snapshot, now: datetime) -> None:
        super().__init__(snapshot, now)
        self._agenda: deque[Callable[[], None]] = deque()

    # --- entrances ---

    def begin(self) -> None:
        """From the top, over the steps that exist; whatever frames the snapshot had are made anew."""
        self.frames.clear()
        self.missing[:] = self.run.given_missing
        around = {} if self.run.share is None else self.run.share.names
        self.frames[""] = BlockFrame("", self.plan.root, None, held=dict(self.run.given), local=around)
        self._agenda.append(lambda: self._enter(""))
        self.settle()

    def step_done(self, step: Step, held: Held) -> None:
        """What follows from it; nothing does once the run's end is decided."""
        if not step.is_aside:
            self._agenda.append(lambda: self._turn_done(_prefix(step), step, held))
            self.settle()

    def step_failed(self, step: Step, failed: Failure) -> None:
        if not step.is_aside:
            self._agenda.append(lambda: self._turn_failed(_prefix(step), step, failed))
            self.settle()

    def no_verdict(self, failed: Failure) -> None:
        """A verifier that gave no verdict leaves the run unverified, wherever the verify node stands."""
        self.ending = Ending(Outcome.UNVERIFIED, failed)

    def rejected(self, verdict: Mapping[str, Any]) -> None:
        """A verdict that says no ends the run wherever it stands."""
        self.ending, self.before = Ending(Outcome.REJECTED), replace(self.before, verdict=verdict)

    def settle(self) -> None:
        while self._agenda and not self.is_over:
            self._agenda.popleft()()

    # --- sequences ---

    def _enter(self, prefix: str) -> None:
        frame = self.frames.get(prefix)
        if not isinstance(frame, BlockFrame):
            return  # its composite has ended meanwhile
        if frame.position == len(frame.block.nodes):
            if frame.parent is not None:
                self._block_done(frame)
            elif self.run.share is not None:
                self.ending = Ending(Outcome.UNVERIFIED)  # nobody judges some items alone: the run above has all of them judged
            return
        node = frame.block.nodes[frame.position]
        try:
            if self._is_skipped(frame, node):
                self._skip(frame, node)
            else:
                self._open_node(frame, node)
        except Wiring as wiring:
            self._node_failed(prefix, self._wiring_failure(wiring, prefix + node.id))

    def _node_done(self, prefix: str, held: Held) -> None:
        frame = self.frames.get(prefix)
        if not isinstance(frame, BlockFrame):
            return
        node = frame.block.nodes[frame.position]
        given = {node.id: held, node.names: held} if isinstance(node, StepNode) and node.names else {node.id: held}
        self.frames[prefix] = replace(frame, position=frame.position + 1, held={**frame.held, **given})
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

    def _turn_done(self, prefix: str, step: Step, held: Held) -> None:
        if not isinstance(step.node, ShareNode):
            self._node_done(prefix, held)
            return
        values, failures, lacking = spreading.ended(step, held)
        if spreading.loop_of(step) in self.frames:
            self.missing += lacking
        self._share_ended(step, values, failures)

    def _turn_failed(self, prefix: str, step: Step, failed: Failure) -> None:
        if isinstance(step.node, ShareNode):
            self._share_ended(step, *spreading.lost(step, failed))
        elif gates.is_sent_back(step, failed):
            self._send_back(prefix)
        else:
            self._node_failed(prefix, failed)

    def _send_back(self, prefix: str) -> None:
        """People want it made anew: by another turn of the same agent, which they look at again."""
        frame = self.frames.get(prefix)
        if isinstance(frame, BlockFrame):
            self.frames[prefix] = gates.with_next_round(frame)
            self._agenda.append(lambda: self._enter(prefix))

    def _share_ended(self, step: Step, values: Sequence[Held | None], failures: Sequence[tuple[int, Failure]]) -> None:
        fanned = self.frames.get(spreading.loop_of(step))
        if isinstance(fanned, FanFrame):
            self._carry_out(fan.share_ended(fanned, spreading.part_of(step).start, values, failures))

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
        if frame.prefix + node.id in self.steps:
            return False
        if isinstance(node, StepNode) and node.asking is not None and node.asking.of:
            return not self._is_looked_at(frame, node.asking)
        return node.when is not None and not self._holds(node.when, frame.prefix)

    def _is_looked_at(self, frame: BlockFrame, asking: Asking) -> bool:
        condition = gates.condition(frame, asking, self.steps)
        return condition if isinstance(condition, bool) else self._holds(condition, frame.prefix, output=frame.held[asking.of].value)

    def _skip(self, frame: BlockFrame, node: Node) -> None:
        if gates.is_gate(node):
            assert isinstance(node, StepNode)
            self._node_done(frame.prefix, frame.held[node.names])
            return
        if isinstance(node, Turn):
            key = frame.prefix + node.id
            step = self._new_step(node, key, StepState.SKIPPED)
            self.add(step, Fact(Verb.STEP_SKIPPED, f"step:{key}", node.agent, {"step": key, "when": node.when}))
        self._node_done(frame.prefix, Held(None))

    def _open_node(self, frame: BlockFrame, node: Node) -> None:
        key = frame.prefix + node.id
        match node:
            case ParallelNode():
                self._carry_out(fan.open_parallel(node, key, frame.prefix))
            case ForEachNode():
                self._open_loop(frame, node, key)
            case SwitchNode():
                self._carry_out(fan.open_switch(node, key, frame.prefix, self._case(frame, node)))
            case _:
                self._open_turn(frame, node, key)

    def _open_turn(self, frame: BlockFrame, node: Turn, key: str) -> None:
        if key in self.steps:
            self._adopt(frame, self.steps[key])
            return
        match node:
            case StepNode():
                self._open_step(frame, node, key)
            case WaitNode():
                self._open_wait(frame, node, key)
            case PipelineNode():
                self._open_child(frame, node, key)
            case ShareNode():
                raise IllegalMove(f"'{key}' is some items of a loop and stands in no plan by itself")
            case _:
                assert_never(node)

    def _open_loop(self, frame: BlockFrame, node: ForEachNode, key: str) -> None:
        if self.run.share is not None and frame.parent is None:
            self._carry_out(fan.open_share(node, key, frame.prefix, self.run.share))
            return
        items, source = self._items(frame, node), provenance(self.frames, frame.prefix, node.reads)
        if node.spread is None:
            self._carry_out(fan.open_for_each(node, key, frame.prefix, items, source))
            return
        told = spreading.told(node, items, source, enclosing(self.frames, frame.prefix), self.run)
        for one in told:
            fitness.refuse_unwritable(node.id, one.given, depth=canonical.MAX_WRAPPED)
        self._carry_out(fan.open_spread(node, key, frame.prefix, items, source))
        for one in told:
            place = f"{key}/{one.node.id}"
            if place in self.steps:
                self._adopt(frame, self.steps[place])
            else:
                self._open_share(one, place, len(items))

    def _items(self, frame: BlockFrame, node: ForEachNode) -> list[Any]:
        items = self._resolved(node.items, frame.prefix)
        if not isinstance(items, list):
            raise Wiring(f"for_each '{node.id}': {node.items} is {type(items).__name__}, not a list")
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
                self.missing += step.lacking
                self._turn_done(frame.prefix, step, step.held or Held(None))
            case StepState.SKIPPED:
                self._node_done(frame.prefix, Held(None))
            case StepState.FAILED if step.failure is not None:
                self._turn_failed(frame.prefix, step, step.failure)
            case StepState.RUNNING | StepState.RETRYING | StepState.WAITING:
                inherited = provenance(self.frames, frame.prefix, step.node.reads)
                self.steps[step.key] = replace(step, inherited=inherited)

    def _open_step(self, frame: BlockFrame, node: StepNode, key: str) -> None:
        step = self._new_step(node, key, StepState.RUNNING)
        try:
            step = replace(step, arguments=self._arguments(frame, node), inherited=provenance(self.frames, frame.prefix, node.reads))
            fitness.refuse_unfit(self.plan, step, self.run, self.steps, self.now)
        except Wiring as wiring:
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
            raise Wiring(str(error)) from None
        step = replace(self._new_step(node, key, StepState.WAITING), wait=wait, deadline_at=wait.until)
        self.add(step, waits.fact(step, wait))

    def _open_child(self, frame: BlockFrame, node: PipelineNode, key: str) -> None:
        child = self.plan.pipelines[node.pipeline]
        arguments = self._written(node, frame.prefix)
        fitness.refuse_violations(node.id, child.takes.violations(arguments), f"pipeline '{child.name}'")
        inherited = provenance(self.frames, frame.prefix, node.reads)
        step = self._new_step(node, key, StepState.RUNNING)
        step, wait = children.opened(step, start_of(child, node.timeout_ms, self.run, self.now), arguments, inherited, self.run)
        fitness.refuse_spoilt(step, self.run, self.steps, self.now)  # its verifier will consume it, and perhaps an act
        self._start_run(step, wait, children.started_fact(step, child))

    def _open_share(self, one: spreading.Told, key: str, of: int) -> None:
        step = self._new_step(one.node, key, StepState.RUNNING)
        step, wait = children.opened(step, spreading.start(step, one, self.run, self.plan), one.given, Held(None), self.run)
        self._start_run(step, wait, spreading.started_fact(step, self.plan, of))

    def _start_run(self, step: Step, wait: Waiting, fact: Fact) -> None:
        self.run = children.with_held(self.run, step)
        self.add(step, fact)
        self.facts.append(waits.fact(step, wait))

    def _new_step(self, node: Turn, key: str, state: StepState) -> Step:
        deadline = step_deadline(node.timeout_ms, self.run, self.now)
        finished = self.now if state is StepState.SKIPPED else None
        return Step(key, node, node.agent, state, attempt=1, started_at=self.now, deadline_at=deadline, finished_at=finished)

    def _arguments(self, frame: BlockFrame, node: StepNode) -> dict[str, Any]:
        schema = self.plan.agents[node.agent].spec["input"]
        asked = node.judges and "criteria" in (schema.get("properties") or {})
        also: dict[str, Any] = {"criteria": [criterion.as_record() for criterion in self.plan.criteria]} if asked else {}
        after = {gates.CHANGES: gates.told(frame, node, self.steps)} if gates.is_later_round(node) else {}
        arguments = self._written(node, frame.prefix, also) | after
        fitness.refuse_misfit(self.plan, node.id, node.agent, arguments)
        fitness.refuse_violations(node.id, gates.wrong_with(node, arguments), "what people are to say yes to")
        return arguments

    def _written(self, node: StepNode | PipelineNode, prefix: str, also: Mapping[str, Any] = NOTHING) -> dict[str, Any]:
        arguments = {**also, **self._resolved(node.arguments, prefix)}
        fitness.refuse_unwritable(node.id, arguments)
        return arguments

    def refused_again(self, step: Step) -> Failure | None:
        """Why a step that is to be performed once more must not be: time has passed, and its agent may be the fallback by now."""
        try:
            fitness.refuse_misfit(self.plan, step.node.id, step.agent, step.arguments)
            fitness.refuse_unfit(self.plan, step, self.run, self.steps, self.now)
        except Wiring as wiring:
            return self._wiring_failure(wiring, step.key)
        return None

    # --- expressions ---

    def _resolved(self, value: Any, prefix: str) -> Any:
        try:
            return expressions.resolve(value, scope_at(self.run, self.frames, prefix, self.plan.last))
        except expressions.ExpressionError as error:
            raise Wiring(str(error)) from None

    def _holds(self, source: str, prefix: str, **more: Any) -> bool:
        try:
            return expressions.holds(source, scope_at(self.run, self.frames, prefix, self.plan.last) | more)
        except expressions.ExpressionError as error:
            raise Wiring(f"{source}: {error}") from None

    def _wiring_failure(self, wiring: Wiring, key: str) -> Failure:
        return failure(self.plan, cause=wiring.cause, message=str(wiring), agent=wiring.agent, step=key)


def _prefix(step: Step) -> str:
    return step.key.removesuffix(step.node.id)
