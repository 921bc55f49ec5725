"""Nodes whose work is done in runs of their own (another pipeline's, or some items of a loop that spreads), and what such a run may take.

Frozen values; knows no run. Read by the planner, the walk and the store.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from agents.contracts import Contract

if TYPE_CHECKING:  # values are made of these
    from runs.engine.values import ForEachNode, Held


@dataclass(frozen=True, slots=True)
class Worker:
    """Who had a part in a child's work, as R4 looks at it: code and lineage."""

    name: str
    executable: Any
    lineage: frozenset[str]


@dataclass(frozen=True, slots=True)
class Child:
    """A pipeline that a node runs, as the release pins it: one release of it, with the limits that it has by itself."""

    name: str
    release: str
    takes: Contract
    timeout_ms: int
    lifetime_ms: int
    cost_limit: int | None = None
    calls_limit: int | None = None
    acts: bool = False
    workers: tuple[Worker, ...] = ()


@dataclass(frozen=True, slots=True)
class PipelineNode:
    """Another pipeline, run as a child run of its own: its result is the node's. Nobody's turn here, so it has no agent and never judges."""

    id: str
    pipeline: str
    arguments: Mapping[str, Any]
    timeout_ms: int
    degrades: bool = False
    when: str | None = None
    reads: frozenset[str] = frozenset()
    agent: Literal[""] = ""
    judges: Literal[False] = False


@dataclass(frozen=True, slots=True)
class Spread:
    """A for_each whose items are shared among `runs` child runs. `needs`: the names from outside that its body uses; `acts`: whether it does."""

    runs: int
    needs: frozenset[str]
    acts: bool
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class ShareNode:
    """Some items of a loop that spreads, done in a child run of the same release; `id` says which: `25-49`. Nobody's turn here."""

    id: str
    loop: "ForEachNode"
    timeout_ms: int
    reads: frozenset[str] = frozenset()
    degrades: Literal[False] = False
    when: None = None
    agent: Literal[""] = ""
    judges: Literal[False] = False


@dataclass(frozen=True, slots=True)
class Share:
    """What a child run of a loop does: its items, of which the first is number `first` of all, `need` of them at least, `at_once` at most.

    `names` are the loop names around, `source` where the list of all items is from.
    """

    first: int
    need: int
    at_once: int
    items: tuple[Any, ...]
    source: "Held"
    names: Mapping[str, "Held"]


@dataclass(frozen=True, slots=True)
class Start:
    """The child run that a step starts: until when, and what it may take. `held` is put aside for it in the account of the run above."""

    child: Child
    deadline_at: datetime
    lifetime_until: datetime
    cost_limit: int | None
    calls_limit: int | None
    held_nano: int = 0
    held_calls: int = 0
