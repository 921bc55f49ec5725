"""What was spent: charges summed over a period, as far as somebody may see them, in all and by team, agent, pipeline, model or day.

Looks at no more than so many of the newest charges of a period, and says from when on where that was not all. Reads only; called by the doors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncDate

from audit.actors import Actor
from audit.models import Charge
from audit.models.charge import ChargeQuerySet

PERIOD: Final = timedelta(days=30)
MOST_CHARGES: Final = 100_000
LEAST_OF_A_TEAM: Final = 1_000
MOST_GROUPS: Final = 200
DIMENSIONS: Final = ("team", "agent", "pipeline", "model", "day")
_COUNTED: Final = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which charges, from `since` on and before `until`; all that are given must hold."""

    since: datetime
    until: datetime
    run: UUID | None = None
    agent: str | None = None
    pipeline: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """What some charges come to, corrections included. `name`: the team, agent, pipeline, provider/model or day that they share; empty for all."""

    name: str
    amount_nano: int
    estimated_nano: int
    charges: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Summary:
    """`groups` by amount, the largest first, or by day, the newest first; `more`: there are others.

    `since` is later than asked where there were too many.
    """

    since: datetime
    until: datetime
    complete: bool
    total: Group
    groups: Sequence[Group]
    more: bool


class Period:
    """The charges that are looked at, found once for however many sums are made of them."""

    def __init__(self, wanted: Wanted, *, actor: Actor) -> None:
        self.until = wanted.until
        rows = Charge.objects.visible_to(actor).filter(at__gte=wanted.since, at__lt=wanted.until)
        lanes = [rows] if actor.sees_everything or wanted.run is not None else [rows.filter(team=team) for team in sorted(actor.sees)]
        beyond = None if wanted.run is not None else _beyond(lanes)
        self.complete = beyond is None
        self.since = wanted.since if beyond is None else beyond
        given = {"run": wanted.run, "agent": wanted.agent, "pipeline": wanted.pipeline}
        asked = {name: value for name, value in given.items() if value is not None}
        self._rows = rows.filter(**asked) if beyond is None else rows.filter(at__gt=beyond, **asked)

    def total(self) -> Group:
        return _group("", self._rows.aggregate(**_SUMS))

    def by(self, dimension: str, most: int = MOST_GROUPS) -> tuple[Sequence[Group], bool]:
        """The groups, and whether there are more."""
        found = self._rows.annotate(**_NAMES[dimension]).values(*_NAMES[dimension]).annotate(**_SUMS)
        order = ["-named"] if dimension == "day" else ["-of_amount_nano", *_NAMES[dimension]]
        rows = list(found.order_by(*order)[: most + 1])
        return [_group(_name(dimension, row), row) for row in rows[:most]], len(rows) > most


def summary(wanted: Wanted, by: str, *, actor: Actor) -> Summary:
    """In three statements and one for each team, however many charges there are."""
    period = Period(wanted, actor=actor)
    groups, more = period.by(by)
    return Summary(period.since, period.until, period.complete, period.total(), groups, more)


def _beyond(lanes: Iterable[ChargeQuerySet]) -> datetime | None:
    """The instant after which there are no more than may be looked at: each lane is read backwards along its index, so far and no farther."""
    every = list(lanes)
    most = max(MOST_CHARGES // max(len(every), 1), LEAST_OF_A_TEAM)
    found = [at for lane in every for at in lane.order_by("-at").values_list("at", flat=True)[most : most + 1]]
    return max(found, default=None)


_SUMS: Final[dict[str, Any]] = {
    "of_amount_nano": Sum("amount_nano", default=0),
    "of_estimated_nano": Sum("amount_nano", default=0, filter=Q(estimated=True)),
    "of_charges": Count("id"),
    **{f"of_{name}": Sum(name, default=0) for name in _COUNTED},
}
_NAMES: Final[dict[str, dict[str, Any]]] = {
    **{name: {"named": F(name)} for name in ("team", "agent", "pipeline")},
    "model": {"named": F("provider"), "of_model": F("model")},
    "day": {"named": TruncDate("at", tzinfo=UTC)},
}


def _name(dimension: str, row: dict[str, Any]) -> str:
    if dimension == "model":
        return "/".join(part for part in (row["named"], row["of_model"]) if part)
    return row["named"].isoformat() if dimension == "day" else str(row["named"])


def _group(name: str, row: dict[str, Any]) -> Group:
    return Group(name, **{each.removeprefix("of_"): int(row[each]) for each in _SUMS})
