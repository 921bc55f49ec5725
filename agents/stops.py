"""The stops in force, as whoever sends calls knows them: what each covers, and the generation in which they are all.

Must not know what a run or a call is beyond its names. Read by the boundary and by use-cases of runs; the store holds the generation against what a
call was decided by, in the transaction that writes its intent. A stop is written under the other side of the same lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection

from agents.models import Scope, Stop
from agents.models.stop import WORDS, what
from audit import bulk
from audit.instants import recorded

_KEY: Final = int.from_bytes(b"stopping")
_GENERATION: Final = "SELECT COALESCE(MAX(id), 0) FROM agents_stopchange"

__all__ = ["WORDS", "Hand", "InForce", "Place", "Stops", "generation", "hold", "hold_off", "in_force", "news", "what"]


@dataclass(frozen=True, slots=True)
class Place:
    """A run, as far as a stop may be of it; also each of the runs above one."""

    run: UUID
    pipeline: str
    version: int
    team: str


@dataclass(frozen=True, slots=True)
class Hand:
    """Who makes a call and through what: an agent, its version and team, and the model alias or the tool that is asked."""

    agent: str
    version: int
    team: str
    alias: str = ""
    tool: str = ""


@dataclass(frozen=True, slots=True)
class InForce:
    """A stop in force."""

    id: UUID
    scope: str
    name: str
    since: datetime

    @property
    def subject(self) -> str:
        """As `Stop.subject`."""
        return f"{self.scope}:{self.name}" if self.name else self.scope

    @property
    def owner(self) -> str | None:
        """Whose failure it is that somebody waited for its end in vain; None where that goes without saying."""
        if self.scope in (Scope.AGENT, Scope.VERSION):
            return None
        return self.subject if self.scope in (Scope.ALIAS, Scope.TOOL) else "platform"

    @property
    def said(self) -> str:
        return f"{what(self.subject)} has been stopped since {recorded(self.since)}"

    def covers_run(self, line: Iterable[Place]) -> bool:
        """Whether it is of a run, or of one above it. `line` is the run with all above it."""
        if self.scope == Scope.EVERYTHING:
            return True
        return any(self.name == named for place in line for named in _names(place, self.scope))

    def covers_call(self, hand: Hand) -> bool:
        """Whether it is of who makes a call, or of what is asked."""
        match self.scope:
            case Scope.AGENT:
                return self.name == hand.agent
            case Scope.VERSION:
                return self.name == f"{hand.agent}@{hand.version}"
            case Scope.TEAM:
                return self.name == hand.team
            case Scope.ALIAS:
                return self.name == hand.alias
            case Scope.TOOL:
                return self.name == hand.tool
        return False


def _names(place: Place, scope: str) -> tuple[str, ...]:
    match scope:
        case Scope.RUN:
            return (str(place.run),)
        case Scope.PIPELINE:
            return (place.pipeline,)
        case Scope.VERSION:
            return (f"{place.pipeline}@{place.version}",)
        case Scope.TEAM:
            return (place.team,)
    return ()


@dataclass(frozen=True, slots=True)
class Stops:
    """All that are in force in one generation; those that came first are named first."""

    generation: int = 0
    every: tuple[InForce, ...] = ()

    def of_run(self, line: Iterable[Place]) -> InForce | None:
        placed = tuple(line) if self.every else ()
        return next((stop for stop in self.every if stop.covers_run(placed)), None)

    def of_call(self, hand: Hand) -> InForce | None:
        return next((stop for stop in self.every if stop.covers_call(hand)), None)


def generation() -> int:
    """Raised with every stop that is set or lifted, in the same transaction; one look at the end of an index."""
    return asked_generation()()


def asked_generation() -> Callable[[], int]:
    """As `generation`, answered when what this returns is called: what is asked meanwhile travels with it."""
    answer = bulk.send(_GENERATION, ())
    return lambda: int(answer()[0][0])


def in_force() -> Stops:
    """The generation first: what was set since is then looked at once more, and never missed."""
    number = generation()
    return Stops(number, asked_in_force()())


def asked_in_force() -> Callable[[], tuple[InForce, ...]]:
    """Those in force, answered when what this returns is called: what is asked meanwhile travels with it."""
    answer = bulk.send(f"SELECT {bulk.column_list(Stop)} FROM agents_stop WHERE lifted_at IS NULL ORDER BY stopped_at, id", ())  # noqa: S608 - our own names
    return lambda: tuple(InForce(row.id, row.scope, row.name, row.stopped_at) for row in bulk.instances(Stop, answer()))


def news(known: Stops) -> Stops:
    """As they are now; the same ones where nothing has changed, for one read."""
    return known if generation() == known.generation else in_force()


def hold_off() -> None:
    """Until this transaction ends no stop is set or lifted: what it writes as sent was sent before. Nobody waits for this answer."""
    if connection.vendor == "postgresql":
        bulk.statement("SELECT pg_advisory_xact_lock_shared(%s)", [_KEY], answers=False)


def hold() -> None:
    """Wait for whoever is writing that something is sent; who comes later waits, and sees what this transaction has written.

    SQLite has one writer.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_KEY])
