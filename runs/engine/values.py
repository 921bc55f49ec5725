"""The frozen values that the engine decides over: plan, snapshot and their parts.

Knows no rows and no clock. The store makes a `Snapshot` from rows; `machine` makes the next one from an outcome.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Self

from agents.contracts import Contract
from audit.instants import recorded
from runs.engine.answers import Answer, Approved
from runs.engine.asides import Asking, Compensation, Lookup
from runs.engine.families import Child, PipelineNode, Share, ShareNode, Spread, Start
from runs.engine.states import Cause, Mode, Outcome, RunState, StepState, WaitKind

FUTURE_TOLERANCE: Final = timedelta(minutes=1)  # how far clocks may differ before a stamp lies in the future


def instant_text(instant: datetime | None) -> str | None:
    """RFC 3339 in UTC, as everywhere in records; the clock's own module is not pure."""
    return None if instant is None else recorded(instant)


# --- the plan: what a release says, compiled once ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent version as the release froze it."""

    name: str
    team: str
    version: int
    digest: str
    role: str
    spec: Mapping[str, Any]
    takes: Contract
    gives: Contract
    alias: Mapping[str, Any] | None = None
    """The model alias that it asks, as the release holds it; with its `name`."""

    @property
    def mode(self) -> Mode:
        mode = self.spec["mode"]
        return Mode.IDEMPOTENT if isinstance(mode, Mapping) else Mode(mode)

    @property
    def through(self) -> tuple[str, str]:
        """The names of the model alias and of the tool that its own call goes through; each empty where it is none of these."""
        return "" if self.alias is None else self.alias["name"], self.spec["run"].get("tool", "")

    @property
    def max_age_ms(self) -> int | None:
        freshness = self.spec.get("freshness")
        return freshness["max_age_ms"] if freshness else None


@dataclass(frozen=True, slots=True)
class StepNode:
    """One agent's turn; `judges` marks a verify node, `final` the one that ends the run. `reads`: `steps.<id>` and loop names."""

    id: str
    agent: str
    arguments: Mapping[str, Any]
    timeout_ms: int
    progress_timeout_ms: int | None = None
    retries: int = 0
    backoff_ms: int = 0
    fallback: str | None = None
    degrades: bool = False
    when: str | None = None
    judges: bool = False
    final: bool = False
    compensate: Compensation | None = None
    lookup: Lookup | None = None
    reads: frozenset[str] = frozenset()
    asking: Asking | None = None
    """Of a turn that is people's."""
    names: str = ""
    """Under which id what follows reads the result, where that is not its own: a later round of a step, or what people made of it."""


@dataclass(frozen=True, slots=True)
class WaitNode:
    """A pause: a span (`for_ms`), an instant (`until`, a value or an expression), or a signal that somebody sends within `timeout_ms`.

    Nobody's turn, so it has no agent and never judges. `goes_on`: where no signal has come, the result is null and no failure.
    """

    id: str
    for_ms: int | None = None
    until: Any = None
    signal: str | None = None
    timeout_ms: int = 0
    goes_on: bool = False
    gives: Contract | None = None
    degrades: bool = False
    when: str | None = None
    reads: frozenset[str] = frozenset()
    agent: Literal[""] = ""
    judges: Literal[False] = False


@dataclass(frozen=True, slots=True)
class ParallelNode:
    id: str
    branches: tuple[tuple[str, "Block"], ...]
    need: int
    degrades: bool = False
    when: str | None = None


@dataclass(frozen=True, slots=True)
class ForEachNode:
    id: str
    items: str
    name: str
    max_concurrency: int
    body: "Block"
    min_success: str | int
    degrades: bool = False
    when: str | None = None
    reads: frozenset[str] = frozenset()
    spread: Spread | None = None


@dataclass(frozen=True, slots=True)
class SwitchNode:
    id: str
    cases: tuple[tuple[str | None, "Block"], ...]
    degrades: bool = False
    when: str | None = None


Turn = StepNode | WaitNode | PipelineNode | ShareNode  # what has a row of its own in a run
Node = Turn | ParallelNode | ForEachNode | SwitchNode


@dataclass(frozen=True, slots=True)
class Block:
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Criterion:
    """A condition fixed before the work starts: an expression the engine checks, or a sentence the verifier judges."""

    name: str
    expression: str | None = None
    judged: str | None = None

    def as_record(self) -> dict[str, str]:
        if self.expression is not None:
            return {"name": self.name, "expression": self.expression}
        return {"name": self.name, "judged": self.judged or ""}


@dataclass(frozen=True, slots=True)
class Plan:
    """A release, compiled. `root` ends with the final verify node; `last` is the id whose result is the run's."""

    release: str
    pipeline: str
    team: str
    root: Block
    last: str
    agents: Mapping[str, Agent]
    criteria: tuple[Criterion, ...]
    timeout_ms: int
    replayable: bool
    max_lifetime_ms: int = 0
    pipelines: Mapping[str, Child] = field(default_factory=dict)
    starts_runs: bool = False
    version: int = 0


# --- what is happening ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failure:
    """A cause and whose it is. `branches` are the failures of a composite's parts."""

    cause: Cause
    message: str
    owner: str
    team: str | None
    step: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    branches: tuple["Failure", ...] = ()

    def facts(self) -> dict[str, Any]:
        """The part without free text: what an entry says openly."""
        return {"cause": str(self.cause), "owner": self.owner, "team": self.team, "step": self.step}

    def as_record(self) -> dict[str, Any]:
        return {
            **self.facts(),
            "message": self.message,
            "details": dict(self.details),
            "branches": [branch.as_record() for branch in self.branches],
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """What `as_record` made."""
        told = {name: record[name] for name in ("message", "owner", "team", "step", "details")}
        return cls(cause=Cause(record["cause"]), branches=tuple(map(cls.from_record, record["branches"])), **told)


@dataclass(frozen=True, slots=True)
class BestBefore:
    """Until when a value may be consumed by an `act` or `verify` step, and which step's contract says so."""

    at: datetime
    step: str


@dataclass(frozen=True, slots=True)
class Held:
    """A value with its provenance: the oldest observation behind it and how long that stays fresh."""

    value: Any
    as_of: datetime | None = None
    best_before: BestBefore | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What an open step waits for. Time alone ends it at `until`; `goes_on` says whether that is no failure.

    `subject` is a signal's name, an unresolved call's key, an approval's binding or a child's pipeline; `look_at`: when its look-up may
    begin; `id` that of its row, once it has one. `works`: a child run is at work meanwhile, so the clock runs on.
    """

    kind: WaitKind
    opened_at: datetime
    until: datetime
    goes_on: bool = False
    subject: str = ""
    failure: Failure | None = None
    look_at: datetime | None = None
    answer: Answer | None = None
    id: str | None = None
    works: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One node's turn. `key` is the node's place in the run (`scan/a/find`, `each/3/look`)."""

    key: str
    node: Turn
    agent: str
    state: StepState
    attempt: int
    started_at: datetime
    deadline_at: datetime
    arguments: Mapping[str, Any] = field(default_factory=dict)
    not_before: datetime | None = None
    finished_at: datetime | None = None
    held: Held | None = None
    inherited: Held = Held(None)
    failure: Failure | None = None
    fell_back: bool = False
    wait: Waiting | None = None
    never_sent: bool = False
    """It was cancelled while it waited for leave to be sent, and had not been before: surely it has done nothing."""
    approved: Approved | None = None
    """What its call goes out with, where that takes a yes. Of this attempt: another one asks again."""
    undo: Mapping[str, Any] | None = None
    """The input of its compensation, fixed when it returned."""
    start: Start | None = None
    """Of a pipeline node, in the turn that opens it: the store makes the child run with it."""
    lacks: Failure | None = None
    """What the result of a child run goes without."""

    @property
    def lacking(self) -> list[Failure]:
        return [] if self.lacks is None or isinstance(self.node, ShareNode) else [self.lacks]

    @property
    def waits_to_be_sent(self) -> bool:
        """For people's yes or for the end of a stop, and nothing of it has gone out yet."""
        return self.attempt == 1 and self.wait is not None and self.wait.kind in (WaitKind.APPROVAL, WaitKind.STOPPED)

    @property
    def is_aside(self) -> bool:
        """It undoes or looks up what another step did: no node of the plan follows from it. An id holds no colon."""
        return ":" in self.key

    @property
    def unapproved(self) -> "Step":
        """The same, as it was before anybody was asked."""
        asked = None if self.approved is None else self.approved.asked
        return replace(self, approved=None, arguments=self.arguments if asked is None else asked)

    @property
    def work(self) -> StepNode:
        """The node of a step that an agent performs; a wait's is nobody's turn."""
        assert isinstance(self.node, StepNode)
        return self.node


@dataclass(frozen=True, slots=True)
class RunView:
    """The run's row as the engine sees it. Money in nano-USD."""

    id: str
    state: RunState
    input: Mapping[str, Any]
    created_at: datetime
    deadline_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    lifetime_until: datetime | None = None
    remaining_ms: int | None = None
    """Of its work time, while it waits: the clock stands still."""
    wake_at: datetime | None = None
    """While it waits: when time alone brings it back."""
    as_of: datetime | None = None
    draft: bool = False
    resumed: bool = False
    cancel_by: str | None = None
    cancel_at: datetime | None = None
    parent: str | None = None
    """The run whose step this one is; its limits are then what that one had left for it, too."""
    calls: int = 0
    calls_limit: int | None = None
    spent: int = 0
    reserved: int = 0
    cost_limit: int | None = None
    given: Mapping[str, Held] = field(default_factory=dict)
    given_missing: tuple[Failure, ...] = ()
    share: Share | None = None
    """Of a run that does some items of a loop of the run above."""

    def reference(self, now: datetime) -> datetime:
        """The instant against which freshness is judged."""
        return self.as_of or now


@dataclass(frozen=True, slots=True)
class BlockFrame:
    """An open sequence: where it stands and what its finished nodes hold."""

    prefix: str
    block: Block
    parent: str | None
    slot: int = 0
    position: int = 0
    held: Mapping[str, Held] = field(default_factory=dict)
    local: Mapping[str, Held] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FanFrame:
    """An open parallel, for_each or switch: what its parts gave, and how many may still fail.

    `source` is where a for_each has its items from; `failures` come with the slots they belong to; `share`: which of a loop's items these are.
    """

    key: str
    node: ParallelNode | ForEachNode | SwitchNode
    parent: str
    slots: tuple[Held | None, ...]
    need: int
    items: tuple[Held, ...] = ()
    source: Held | None = None
    next_item: int = 0
    pending: int = 0
    failures: tuple[tuple[int, Failure], ...] = ()
    share: Share | None = None


Frame = BlockFrame | FanFrame


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends, decided; it has not finished while what has acted is being undone."""

    outcome: Outcome
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one revision: everything that `machine` needs and nothing else. `verdict` is the one that ended it."""

    plan: Plan
    run: RunView
    steps: Mapping[str, Step] = field(default_factory=dict)
    open: frozenset[str] = frozenset()
    frames: Mapping[str, Frame] = field(default_factory=dict)
    missing: tuple[Failure, ...] = ()
    verdict: Mapping[str, Any] | None = None
    ending: "Ending | None" = None
