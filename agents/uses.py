"""Counts the uses of permissions: which were used when, and whether one that has a rate has room for another.

Must not know what a call is. Called by the store, in the transaction that writes a call's intent: a use counts if that is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection

from agents.grants import Rate, parse_rule, readable
from agents.models import GrantUse
from audit import bulk, clock
from audit.instants import to_the_second

Used = tuple[str, str]
"""An agent's name, or pipeline:NAME, and the text of a permission."""

NOTED_FOR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NEVER: Final = datetime.min.replace(tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Full:
    """There is no room in a permission's rate at `now`, as the database's clock says; `fits_at` is when the next use fits, by the same."""

    agent: str
    rule: str
    fits_at: datetime
    now: datetime


def is_counted(rule: str) -> bool:
    """Whether each use of it counts, and not only the last one is kept."""
    return parse_rule(rule).rate is not None


def lock(wanted: Iterable[Used], now: datetime) -> dict[Used, GrantUse]:
    """The rows of these permissions, locked in one order until the transaction ends; those that were never used are made.

    Whoever counts them in another process waits here, so that no two take the same room.
    """
    keys = {digest_of(*used): used for used in wanted}
    ordered = sorted(keys)
    bulk.insert_missing(GrantUse, ["digest", "agent", "rule", "used_at", "recent"], [[key, *keys[key], now, []] for key in ordered])
    if connection.vendor == "postgresql":
        bulk.statement("SELECT digest FROM agents_grantuse WHERE digest = ANY(%s) ORDER BY digest FOR NO KEY UPDATE", [ordered], answers=False)
    return {keys[row.digest]: row for row in bulk.read(GrantUse, match=["digest"], rows=[[key] for key in ordered])}


def take(rows: Mapping[Used, GrantUse], wanted: Sequence[Used], now: datetime) -> list[Full]:
    """Count one use of each of these, all or none; returns those that have no room. Changes the rows, and writes none."""
    full = [found for used in wanted if (found := _room(rows[used], now)) is not None]
    if not full:
        for used in wanted:
            _count(rows[used], now)
    return full


def write(rows: Mapping[Used, GrantUse]) -> None:
    """The rows as they are now."""
    changed = [[row.digest, row.used_at, row.recent] for row in sorted(rows.values(), key=lambda row: row.digest)]
    bulk.update_where(GrantUse, match=["digest"], change=["used_at", "recent"], rows=changed, answers=False)


@dataclass(frozen=True, slots=True)
class Room:
    """`used` of the `of` uses that a rate has; `fits_at` is when the next one fits, where none fits now."""

    used: int
    of: int
    fits_at: datetime | None = None

    def __str__(self) -> str:
        """A clause for people."""
        full = "" if self.fits_at is None else f", the next fits at {to_the_second(self.fits_at)}"
        return f"{self.used} of {self.of} used{full}"

    def as_record(self) -> dict[str, Any]:
        """As JSON says it."""
        return {"used": self.used, "of": self.of, "fits_at": None if self.fits_at is None else clock.to_text(self.fits_at)}


def rooms(agent: str, rules: Iterable[str], now: datetime) -> dict[str, Room]:
    """Of those of an agent's permissions that have a rate; one statement. It is as the rows stand: the next call may find it otherwise."""
    rated = {text: rule.rate for text in rules if (rule := readable(text)) is not None and rule.rate is not None}
    rows = {row.rule: row for row in GrantUse.objects.filter(digest__in=[digest_of(agent, text) for text in rated])} if rated else {}
    return {text: _room_in(rows.get(text), rate, now) for text, rate in rated.items()}


def _room_in(row: GrantUse | None, rate: Rate, now: datetime) -> Room:
    full = None if row is None else _room(row, now)
    return Room(0 if row is None else len(_within(row, rate, now)), rate.uses, None if full is None else full.fits_at)


def digest_of(agent: str, rule: str) -> str:
    return hashlib.sha256(f"{agent}\x1f{rule}".encode()).hexdigest()


def _room(row: GrantUse, now: datetime) -> Full | None:
    rate = parse_rule(row.rule).rate
    recent = [] if rate is None else _within(row, rate, now)
    if rate is None or len(recent) < rate.uses:
        return None
    return Full(row.agent, row.rule, _EPOCH + recent[-rate.uses] * _MICROSECOND + timedelta(milliseconds=rate.window_ms), now)


def _count(row: GrantUse, now: datetime) -> None:
    row.used_at = max(row.used_at, now)
    rate = parse_rule(row.rule).rate
    row.recent = [] if rate is None else [*_within(row, rate, now), (now - _EPOCH) // _MICROSECOND][-rate.uses :]


def _within(row: GrantUse, rate: Rate, now: datetime) -> list[int]:
    """A use in the future (a clock was set back) counts: it is no reason to let more through."""
    since = (now - _EPOCH) // _MICROSECOND - rate.window_ms * 1_000
    return [at for at in row.recent if at > since]
