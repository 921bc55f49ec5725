"""What the engine wants done: the facts to record, the rows to write, the steps to perform.

A `Move` is the whole answer of `machine` to one input. The store writes it, the worker carries it out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runs.engine.states import Outcome, Verb
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
    finish: Finish | None = None
    wake_at: datetime | None = None

    @property
    def changes_nothing(self) -> bool:
        return not (self.opened or self.moved or self.facts or self.finish)
