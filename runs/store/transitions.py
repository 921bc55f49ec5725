"""The values that go into and come out of a commit.

A Transition is everything one run changes at once. Knows no database.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from agents import uses
from agents.stops import Stops
from agents.uses import Full
from audit.actors import Actor
from audit.ledger import ChargeDraft, Head
from runs.engine.commands import Fact, Move
from runs.engine.states import CallKind, CallState, Mode, Verb


@dataclass(frozen=True, slots=True)
class Seen:
    """The row that a decision was made over: its condition when it is written."""

    revision: int
    fence: int
    head: Head


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call as its row says. Money in nano-USD."""

    key: str
    id: UUID
    step: str
    attempt: int
    ordinal: int
    agent: str
    kind: CallKind
    name: str
    mode: Mode
    request_digest: str
    not_after: datetime
    reserved_nano: int
    state: CallState = CallState.DISPATCHED
    cause: str = ""
    approval: UUID | None = None
    """The wait whose answer let it out."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A yes that a call consumes: the wait that it answered, what it is bound to, and the versions of the policies that were judged by."""

    wait: UUID
    binding: str
    policies: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Granted:
    """What an admitted call makes use of: permissions whose use is written with it, and what would have refused it if it were enforced."""

    rules: tuple[uses.Used, ...] = ()
    observed: tuple[str, ...] = ()
    approval: Approval | None = None

    @property
    def is_counted(self) -> bool:
        """Whether one of them has a rate."""
        return any(uses.is_counted(rule) for _, rule in self.rules)


@dataclass(frozen=True, slots=True)
class CallOpened:
    """A call's intent: the row stands, dispatched, before anything goes out. `grants`: permissions whose use is written with it."""

    call: CallRecord
    fact: Fact
    grants: tuple[uses.Used, ...] = ()
    approval: Approval | None = None

    @property
    def facts(self) -> tuple[Fact, ...]:
        """In their order: what it consumes, then what goes out."""
        if self.approval is None:
            return (self.fact,)
        consumed = {"step": self.call.step, "attempt": self.call.attempt, "call": self.call.key, "binding": self.approval.binding}
        return (Fact(Verb.APPROVAL_CONSUMED, f"wait:{self.approval.wait}", self.call.agent, consumed), self.fact)


@dataclass(frozen=True, slots=True)
class CallSettled:
    """A call's end: what became of it and what it cost. Conditional on the row still being dispatched."""

    call: CallRecord
    contained: bool | None
    cost_nano: int
    fact: Fact
    charge: ChargeDraft | None = None
    late: Mapping[str, Any] | None = None
    """What the call was answered, kept where its step's result can't be written: whoever drives the run now takes it from here."""

    @property
    def costs_nothing(self) -> bool:
        """Whether that is known: it never went out, or whoever was asked says that nothing was done."""
        return self.cost_nano == 0 and (self.charge is None or not self.charge.estimated)


@dataclass(frozen=True, slots=True)
class Transition:
    """One run's step from one revision to the next, with every row that belongs to it. `attempt`: claims since there was progress.

    `deadline_at`: the run's deadline as it stood when this was decided; a wait moves it.
    """

    run: UUID
    team: str
    seen: Seen
    move: Move
    actor: Actor
    attempt: int = 0
    opened: tuple[CallOpened, ...] = ()
    settled: tuple[CallSettled, ...] = ()
    resent: tuple[CallRecord, ...] = ()
    """Calls whose worker died, as they are sent again: with the same key, and until another instant."""
    deadline_at: datetime | None = None
    generation: int = 0
    """That of the stops which it was decided under."""

    @property
    def sends(self) -> bool:
        """Whether a call goes out once this is written, for the first time or again."""
        return bool(self.opened or self.resent)

    @property
    def sent(self) -> tuple[CallRecord, ...]:
        return (*(each.call for each in self.opened), *self.resent)

    @property
    def is_progress(self) -> bool:
        """Whether the run gets further. Taking it up or sending a call again does not, or a crash loop would never be seen as one."""
        return bool(self.opened or self.settled or self.move.gets_on or self.move.finish)

    @property
    def holds_until(self) -> datetime | None:
        """From this instant on it would be decided otherwise: everybody reads the run as failed, or a call of it has no time left."""
        run = self.move.snapshot.run
        if run.finished_at is not None and run.finished_at >= run.deadline_at:
            return None  # decided since, and for ever
        return min([run.deadline_at, self.deadline_at or run.deadline_at, *(each.not_after for each in self.sent)])


@dataclass(frozen=True, slots=True)
class Committed:
    """Written. `entries` gives the ledger entry of each fact that opened something, by (verb, subject).

    `ready` are the other runs that may go on because of it: the children that it started, or the one above it where it has ended.
    """

    seen: Seen
    now: datetime
    entries: dict[tuple[str, str], UUID]
    ready: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Stale:
    """Not written: the run moved on. `lost` says that the fence moved too, so somebody else holds it.

    It is decided anew for another reason where a permission of a call that it would open has no room in its rate (`full`), and where a stop
    has been set or lifted before it would be sent (`stops`, as they are now).
    """

    lost: bool
    full: tuple[Full, ...] = ()
    stops: Stops | None = None
    outdated: bool = False
    """It is decided anew for a third: what its agents may do has changed since that was read."""


Written = Committed | Stale
