"""What a watch has seen: rows as they were after the last commit, and counts of what the ledger has told. Every rule stands on it."""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.world import World

Row = Mapping[str, Any]
LIVE, OPEN = ("queued", "running", "waiting"), ("running", "retrying", "waiting")
FINISHED = "runs.run.finished"
WRITES_FAIL = frozenset({"ambiguous", "full", "locked"})
UNDO, LOOK = "undo:", "look:"


class Broken(BaseException):
    """An invariant does not hold. No Exception: what it passes on its way must not handle it."""

    def __init__(self, seed: int, invariant: str, what: str, trace: list[str]) -> None:
        super().__init__(f"seed {seed}: {invariant}: {what}")
        self.seed, self.invariant, self.what, self.trace = seed, invariant, what, trace


class Seeing:
    """One world's. `runs`, `steps`, `calls`, `waits`: the rows as they were after the last commit; `said`: what each answer to a wait was."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.runs: dict[str, Row] = {}
        self.steps: dict[tuple[str, str], Row] = {}
        self.calls: dict[str, Row] = {}
        self.waits: dict[str, Row] = {}
        self.live: dict[str, datetime] = {}
        self.heads: dict[str, tuple[int, str | None, str]] = {}
        self.finishes: dict[str, Mapping[str, Any]] = {}
        self.holders: dict[str, int] = {}
        self.claims: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.resent: Counter[str] = Counter()
        self.dispatched: Counter[str] = Counter()
        self.acted: Counter[tuple[str, str, int]] = Counter()
        self.said: dict[str, str] = {}
        self.resolved: dict[str, Mapping[str, Any]] = {}
        self.late: Counter[str] = Counter()
        self.corrected: Counter[str] = Counter()
        self.in_force: dict[str, Row] = {}
        self.stopped_since: dict[str, float] = {}
        self.unwritten: dict[str, Any] = {}
        self.orphaned_since: dict[str, float] = {}
        self.read_from = self.read_to = 0
        self.problem: tuple[str, str] | None = None

    def complain(self, invariant: str, what: str) -> None:
        if self.problem is None:
            self.problem = (invariant, what)

    def raise_if_broken(self) -> None:
        if self.problem is not None:
            self.world.broken(*self.problem)

    def _must(self, holds: bool, invariant: str, what: str) -> None:
        if not holds:
            self.complain(invariant, what)

    def _read(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        cursor = self.world.database.connection.cursor()
        cursor.row_factory = sqlite3.Row
        return cursor.execute(sql, values).fetchall()

    @property
    def _now(self) -> datetime:
        return self.world.now().replace(tzinfo=None)

    @property
    def _clocks_jump(self) -> bool:
        return "jump" in self.world.scenario.faults

    def _steps_of(self, run: str) -> dict[str, Row]:
        return {key: row for (name, key), row in self.steps.items() if name == run}
