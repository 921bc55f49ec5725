"""What the engine wants done: the facts to record, the rows to write, the steps to perform.

A `Move` is the whole answer of `machine` to one input. The store writes it, the worker carries it out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from runs.engine.states import CallState, Outcome, StepState, Verb, WaitState
from runs.engine.values import Failure, Held, Snapshot, Step


@dataclass(frozen=True, slots=True)
class Fact:
    """One ledger entry to be: `facts` stand open, `openings` can be erased."""

    verb: Verb
    subject: str
    agent: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    openings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a run; it happens once and is its last sequenced entry."""

    outcome: Outcome
    result: Held | None = None
    result_digest: str | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """The next snapshot and all that must be written and done to get there."""

    snapshot: Snapshot
    opened: tuple[Step, ...] = ()
    moved: tuple[Step, ...] = ()
    facts: tuple[Fact, ...] = ()
    perform: tuple[str, ...] = ()
    abandon: tuple[str, ...] = ()
    closed: Mapping[str, WaitState] = field(default_factory=dict)
    """What became of the open waits of steps that wait no more, where nobody has answered them."""
    resolved: Mapping[str, CallState] = field(default_factory=dict)
    """Unresolved calls, by key, of which a look-up has said what became."""
    prolonged: frozenset[str] = frozenset()
    """Steps at work whose worker is gone, which have their whole time once more."""
    finish: Finish | None = None
    wake_at: datetime | None = None

    @property
    def changes_nothing(self) -> bool:
        return not (self.opened or self.moved or self.facts or self.finish)

    def at(self, snapshot: Snapshot) -> "Move":
        """The same, with the account that its calls leave."""
        return self if snapshot is self.snapshot else replace(self, snapshot=snapshot)

    @property
    def gets_on(self) -> bool:
        """Whether a step is another one than before; one that only has more time is not."""
        return bool(self.opened) or any(step.key not in self.prolonged or step.state is not StepState.RUNNING for step in self.moved)

    @property
    def now_waiting(self) -> tuple[Step, ...]:
        """Steps that wait since this move, and whose waits have no rows yet."""
        return tuple(step for step in (*self.opened, *self.moved) if step.wait is not None and step.wait.id is None)

    def followed_by(self, later: "Move") -> "Move":
        """Both as one, `later` decided over this one's snapshot: what this one opened is written as the later one left it."""
        opened = dict.fromkeys(step.key for step in (*self.opened, *later.opened))
        changed = dict.fromkeys(step.key for step in (*self.moved, *later.moved) if step.key not in opened)
        snapshot = without_unstarted(later.snapshot, opened)
        steps = snapshot.steps
        return Move(
            snapshot=snapshot,
            opened=tuple(steps[key] for key in opened),
            moved=tuple(steps[key] for key in changed),
            facts=(*self.facts, *later.facts),
            perform=(*(key for key in self.perform if key not in later.abandon), *later.perform),
            abandon=(*self.abandon, *later.abandon),
            closed={**self.closed, **later.closed},
            resolved={**self.resolved, **later.resolved},
            prolonged=self.prolonged | later.prolonged,
            finish=later.finish,
            wake_at=later.wake_at,
        )


def without_unstarted(snapshot: Snapshot, opened: Iterable[str]) -> Snapshot:
    """Of the steps that are opened in one move, those that it ends again start no run: what was put aside for that is given back."""
    ended = [step for key in opened if (step := snapshot.steps[key]).start is not None and step.wait is None]
    if not ended:
        return snapshot
    starts = [step.start for step in ended if step.start is not None]
    held, calls = sum(start.held_nano for start in starts), sum(start.held_calls for start in starts)
    run = replace(snapshot.run, reserved=snapshot.run.reserved - held, calls=snapshot.run.calls - calls)
    return replace(snapshot, run=run, steps={**snapshot.steps, **{step.key: replace(step, start=None) for step in ended}})
