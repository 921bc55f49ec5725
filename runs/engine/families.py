"""A node that runs another pipeline, what a release pins of such pipelines, and what a run of one of them may take.

Frozen values; knows no run. Read by the planner, the walk and the store.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from agents.contracts import Contract


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
class Start:
    """The child run that a step starts: until when, and what it may take. `held` is put aside for it in the account of the run above."""

    child: Child
    deadline_at: datetime
    lifetime_until: datetime
    cost_limit: int | None
    calls_limit: int | None
    held_nano: int = 0
    held_calls: int = 0
