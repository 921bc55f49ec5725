"""Pages by cursor: no count and no offset, so a page costs the same wherever it lies and however long the list is.

A cursor is where the page before ended: an instant and an id, or a name or number. Knows sets of rows, not what they mean.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, Q, QuerySet

from audit import clock
from audit.api.asking import Asked
from audit.api.errors import BadCursor
from audit.api.shapes import MOST_PER_PAGE, PER_PAGE, Shape, text, whole
from audit.lanes import first_of
from audit.places import place_read

Row = TypeVar("Row", bound=Model)

PAGING: Mapping[str, Shape] = {
    "limit": whole(f"how many at most; by default {PER_PAGE}", least=1, most=MOST_PER_PAGE),
    "cursor": text("where the page before ended, as its `next` says it", pattern="^[A-Za-z0-9_=-]{4,300}$"),
}


@dataclass(frozen=True, slots=True)
class Order:
    """By an instant and then an id, which must be an index of the table, or by a unique name or number (`tie` empty)."""

    by: str
    tie: str = ""
    newest_first: bool = False

    def fields(self) -> list[str]:
        return [f"-{name}" if self.newest_first else name for name in (self.by, self.tie) if name]

    def after(self, place: Sequence[Any]) -> Q:
        """What lies behind a place. The first condition alone lets the index be used."""
        beyond = "lt" if self.newest_first else "gt"
        if not self.tie:
            return Q(**{f"{self.by}__{beyond}": place[0]})
        same = Q(**{self.by: place[0], f"{self.tie}__{beyond}": place[1]})
        return Q(**{f"{self.by}__{beyond}e": place[0]}) & (Q(**{f"{self.by}__{beyond}": place[0]}) | same)

    def place_of(self, row: Model) -> list[str]:
        first = getattr(row, self.by)
        said = clock.to_text(first) if isinstance(first, datetime) else str(first)
        return [said, str(getattr(row, self.tie))] if self.tie else [said]


BY_NAME = Order("name")


def page(
    rows: QuerySet[Row],
    order: Order,
    asked: Asked,
    render: Callable[[Row], Any],
    *,
    keep: Callable[[Row], bool] | None = None,
    lanes: Sequence[Q] = (Q(),),
) -> dict[str, Any]:
    """One page. Rows that `keep` turns away are left out, so a page may hold fewer than asked while `next` still leads on."""
    found, following = cut(rows, order, asked, lanes=lanes)
    return {"items": [render(row) for row in found if keep is None or keep(row)], "next": following}


def cut(rows: QuerySet[Row], order: Order, asked: Asked, *, lanes: Sequence[Q] = (Q(),)) -> tuple[list[Row], str | None]:
    """The rows of one page, and the path of the next. `lanes` part a list that no index has in this order into some that one has."""
    limit = asked.query.get("limit", PER_PAGE)
    if "cursor" in asked.query:
        rows = rows.filter(order.after(_read(asked.query["cursor"], order, rows.model)))
    found = first_of(rows, lanes, order=order.fields(), most=limit + 1)
    if len(found) <= limit:
        return found, None
    return found[:limit], _path(asked, _written(order.place_of(found[limit - 1])))


def _path(asked: Asked, cursor: str) -> str:
    filters = {name: clock.to_text(value) if isinstance(value, datetime) else value for name, value in asked.query.items()}
    said = {name: str(value).lower() if isinstance(value, bool) else value for name, value in {**filters, "cursor": cursor}.items()}
    return f"{asked.path}?{urlencode(said)}"


def _written(place: list[str]) -> str:
    return urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode()


def _read(cursor: str, order: Order, model: type[Model]) -> list[Any]:
    """The place, each part as its column has it; whatever no row of the model could have was never given out."""
    try:
        said = json.loads(urlsafe_b64decode(cursor.encode()))
    except (ValueError, RecursionError):
        raise BadCursor from None
    place = place_read(model, [name for name in (order.by, order.tie) if name], said) if isinstance(said, list) else None
    if place is None:
        raise BadCursor
    return place
