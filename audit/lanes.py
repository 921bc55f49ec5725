"""Lists of several teams' rows in one order: read team by team along an index, then merged.

Knows no table: it is given sets of rows that have a team. Called by the long lists of the admin and of REST.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from django.db.models import Model, Q, QuerySet

from audit.actors import Actor

Row = TypeVar("Row", bound=Model)

MOST_LANES: Final = 20


def teams_apart(actor: Actor) -> list[str]:
    """The teams to read one by one: an index has each team's rows in order, none has several teams' rows in order.

    None where one index serves anyway (all rows, or one team's), or where there are so many teams that it would cost more.
    """
    few = not actor.sees_everything and 1 < len(actor.sees) <= MOST_LANES
    return sorted(actor.sees) if few else []


def lanes_of(actor: Actor) -> list[Q]:
    """Conditions that part rows with a column `team` into lists of their own; one that always holds, where that is not needed."""
    return [Q(team=team) for team in teams_apart(actor)] or [Q()]


def first_of(rows: QuerySet[Row], lanes: Sequence[Q], *, order: Sequence[str], most: int) -> list[Row]:
    """The first rows of all lanes together. `order` is as for order_by, its columns all rising or all falling."""
    found = [row for lane in lanes for row in rows.filter(lane).order_by(*order)[:most]]
    if len(lanes) == 1:
        return found
    names = [name.removeprefix("-") for name in order]

    def place(row: Row) -> list[Any]:
        return [getattr(row, name) for name in names]

    return sorted(found, key=place, reverse=order[0].startswith("-"))[:most]
