"""What one turn over a snapshot changes: steps, facts, what is to be performed and what to be abandoned.

Mutable inside the turn, values outside. The walk adds where the plan goes on from there; knows no plan's nodes itself.
"""

from dataclasses import replace
from datetime import datetime

from runs.engine.commands import Fact
from runs.engine.states import OPEN_STEP, CallState, StepEvent, Verb, WaitState, moved
from runs.engine.values import Ending, Frame, RunView, Snapshot, Step


class Changes:
    """The state of a turn, begun from a snapshot."""

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
        self.prolonged: set[str] = set()
        self.ending: Ending | None = snapshot.ending

    def snapshot(self, run: RunView) -> Snapshot:
        """Where this turn has come to, as a value, with this `run` in it."""
        return replace(
            self.before,
            run=run,
            steps=self.steps,
            open=frozenset(self.open),
            frames=self.frames,
            missing=tuple(self.missing),
            ending=self.ending,
        )

    @property
    def is_over(self) -> bool:
        return self.ending is not None

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
            gone = replace(
                step, state=moved(step.state, StepEvent.CANCEL), finished_at=self.now, never_sent=step.waits_to_be_sent, wait=None
            )  # fmt: skip
            self.change(gone, Fact(Verb.STEP_CANCELLED, f"step:{key}", step.agent, {"step": key, "attempt": step.attempt}))
            self.abandon.append(key)
            self.perform.pop(key, None)

    def add(self, step: Step, fact: Fact) -> None:
        """A step that had no row; its row is written with this turn."""
        self.steps[step.key] = step
        self.opened[step.key] = None
        self.facts.append(fact)
        if step.state in OPEN_STEP:
            self.open.add(step.key)
