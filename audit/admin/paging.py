"""Lists of any length: a page is found by where the one before it ended, never by counting or skipping rows.

Used by every list that may hold millions of rows; each names the columns that an index has in this order.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest

from audit.admin.base import ReadOnlyAdmin
from audit.lanes import first_of, lanes_of
from audit.places import place_read
from audit.requests import actor_of

BEFORE, AFTER = "before", "after"
_SEPARATOR = "~"


class Pages(ChangeList):
    """Newest first. `older` and `newer` are the addresses of the neighbouring pages, None where there is none."""

    model_admin: Any  # a LongListAdmin
    older: str | None = None
    newer: str | None = None
    sees_everything = False

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        return {name: value for name, value in super().get_filters_params(params).items() if name not in (BEFORE, AFTER)}

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:  # noqa: ARG002 - Django's signature
        return [f"-{name}" for name in self.model_admin.keyset]

    def get_results(self, request: HttpRequest) -> None:
        """One page and whether there is more on either side; no count."""
        self.sees_everything = actor_of(request).sees_everything
        before, after = self._place(request, BEFORE), self._place(request, AFTER)
        size = self.list_per_page
        if after is not None:
            rows = self._taken(request, after, size + 1, newer=True)
            has_newer, has_older = len(rows) > size, True
            rows = rows[:size][::-1]
        else:
            rows = self._taken(request, before, size + 1, newer=False)
            has_newer, has_older = before is not None, len(rows) > size
            rows = rows[:size]
        self.result_list = self.model_admin.listed(request, rows)
        self.older = self._address(BEFORE, rows[-1], AFTER) if rows and has_older else None
        self.newer = self._address(AFTER, rows[0], BEFORE) if rows and has_newer else None
        self._say_nothing_of_counts(len(rows))

    def _say_nothing_of_counts(self, shown: int) -> None:
        self.result_count = self.full_result_count = shown
        self.show_full_result_count = self.show_admin_actions = self.can_show_all = self.multi_page = False
        self.paginator = Paginator([], self.list_per_page)

    def _taken(self, request: HttpRequest, place: list[Any] | None, most: int, *, newer: bool) -> list[Any]:
        names = self.model_admin.keyset
        order = names if newer else [f"-{name}" for name in names]
        return first_of(self._beyond(place, newer=newer), self.model_admin.lanes(request), order=order, most=most)

    def _beyond(self, place: list[Any] | None, *, newer: bool) -> Any:
        names = self.model_admin.keyset
        rows = self.queryset
        if place is None:
            return rows
        than = "gt" if newer else "lt"
        if len(names) == 1:
            return rows.filter(**{f"{names[0]}__{than}": place[0]})
        # The first column alone bounds the index; the rest only tells apart rows of the same instant.
        same_or_beyond = {f"{names[0]}__{than}e": place[0]}
        return rows.filter(**same_or_beyond).filter(models.Q(**{f"{names[0]}__{than}": place[0]}) | models.Q(**{f"{names[1]}__{than}": place[1]}))

    def _place(self, request: HttpRequest, name: str) -> list[Any] | None:
        """Where to go on; None where nothing sensible was said."""
        return place_read(self.model, self.model_admin.keyset, request.GET.get(name, "").split(_SEPARATOR))

    def _address(self, name: str, row: models.Model, without: str) -> str:
        values = [getattr(row, each) for each in self.model_admin.keyset]
        place = _SEPARATOR.join(value.isoformat() if isinstance(value, datetime) else str(value) for value in values)
        return self.get_query_string({name: place}, [without])


def a_lane_for_each_team(request: HttpRequest) -> list[models.Q]:
    """For who sees a few teams; not for a search, which has an index of its own."""
    return [models.Q()] if request.GET.get("q") else lanes_of(actor_of(request))


class LongListAdmin(ReadOnlyAdmin):
    """A list of any length, newest first by `keyset`: an instant and the key, or the key alone."""

    keyset: ClassVar[tuple[str, ...]] = ("id",)
    sortable_by = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's signature
        return Pages

    def lanes(self, request: HttpRequest) -> list[models.Q]:  # noqa: ARG002
        """Conditions that part the list into lists of their own; one that holds for all, where that is not needed."""
        return [models.Q()]

    def listed(self, request: HttpRequest, rows: list[Any]) -> list[Any]:  # noqa: ARG002
        """The rows of one page, with whatever else the columns need, read for all of them at once."""
        return rows
