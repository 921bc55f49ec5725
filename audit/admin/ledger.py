"""The audit log in the admin: entries with their openings, and charges; the tables behind them for whoever sees everything.

For looking only. Search goes by what has an index: the id of a run or of an entry, or an agent's name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from audit import clock, reports, sums
from audit.admin.base import Choice, as_json, shown
from audit.admin.paging import LongListAdmin, a_lane_for_each_team
from audit.models import Charge, Entry, Message, Opening, Pending
from audit.models.entry import EntryQuerySet
from audit.requests import actor_of
from audit.stored import whole
from audit.templatetags.showing import badge, pretty
from audit.visible import visible
from audit.wording import instant, money

DAYS: Final = (1, 7, 30, 90, 365)
MOST_OF_A_SUM: Final = 31
SHORTEST: Final = 12
"""Digits that begin a run's id: those of the millisecond in which it was made."""
FULL: Final = 32


class Recent(Choice):
    """By age, along the index."""

    title = "time"
    parameter_name = "since"
    values: ClassVar[Any] = {"1": "last hour", "24": "last 24 hours", "168": "last 7 days", "720": "last 30 days"}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's signature
        hours = self.value()
        return queryset.filter(at__gte=clock.now() - timedelta(hours=int(hours))) if hours and hours in self.values else queryset


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _days(text: str | None) -> int:
    """One of those that are offered; a month where nothing sensible was said."""
    return next((days for days in DAYS if str(days) == text), sums.PERIOD.days)


def _person(words: str) -> str | None:
    """What stands behind `person:`; what they did themselves, and what was done for them."""
    return words.strip().removeprefix("person:") or None if words.strip().startswith("person:") else None


@admin.register(Entry)
class EntryAdmin(LongListAdmin):
    list_display = ("when", shown("verb"), shown("subject"), shown("actor"), shown("team"), shown("agent"), "seq")
    list_display_links = ("when",)
    list_filter = (Recent,)
    search_fields = ("agent",)
    search_help_text = "a run's or an entry's id, the beginning of a run's, an agent's name, or person:NAME"
    keyset = ("at", "id")
    page_template = "admin/audit/entry.html"
    heading = "Audit log"

    @admin.display(description="time (UTC)")
    def when(self, entry: Entry) -> str:
        return instant(entry.at)

    def lanes(self, request: HttpRequest) -> list[Q]:
        person = _person(request.GET.get("q", ""))
        return EntryQuerySet.ways_of_person(person) if person else a_lane_for_each_team(request)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:  # noqa: ARG002
        words = search_term.strip()
        person, found = _person(words), _uuid(words.removeprefix("run:"))
        if person:
            return queryset.of_person(person), False  # type: ignore[attr-defined]
        if found is not None:
            return queryset.filter(Q(run=found) | Q(id=found)), False
        run = _run_beginning(words, queryset)
        if run is not None:
            return queryset.filter(run=run), False
        return (queryset.filter(agent=words.removeprefix("agent:")), False) if words else (queryset, False)

    def page_context(self, request: HttpRequest, row: Entry) -> dict[str, Any]:  # noqa: ARG002 - as above
        envelope = row.trusted_envelope()
        opened = reports.openings_of([row.id])[row.id]
        committed = sorted((envelope or {}).get("commitments", {}))
        return {
            "intact": envelope is not None,
            "record": _readable(whole(row.body)),
            "openings": [(path, pretty(opened[path]) if path in opened else None) for path in committed],
        }


def _run_beginning(words: str, rows: QuerySet[Any]) -> UUID | None:
    """The one run whose id begins so, as lists show it; None where none does among these, or several do."""
    digits = words.removeprefix("run:").replace("-", "").lower()
    if not SHORTEST <= len(digits) < FULL or set(digits) - set("0123456789abcdef"):
        return None
    first, last = UUID(digits.ljust(FULL, "0")), UUID(digits.ljust(FULL, "f"))
    found = rows.order_by().filter(run__gte=first, run__lte=last).values_list("run", flat=True).distinct()[:2]
    return found[0] if len(found) == 1 else None


def _readable(body: bytes) -> str:
    """The stored bytes for reading, whatever they hold."""
    try:
        return pretty(json.loads(body))
    except ValueError:
        return visible(body.decode(errors="replace"), 2_000)


@admin.register(Charge)
class ChargeAdmin(LongListAdmin):
    nothing = "Each question to a model that has a price is charged, with the run, step and agent that it was for."
    list_display = ("when", shown("agent"), shown("pipeline"), shown("team"), shown("model"), "amount", "guessed", "of_run")
    list_display_links = ("when",)
    list_filter = (Recent,)
    search_fields = ("run",)
    search_help_text = "a run's id, or its beginning"
    keyset = ("at", "id")
    list_before_template = "admin/audit/to_sums.html"
    fields: ClassVar[Any] = (
        *("when", "amount", "guessed", "of_run", shown("step"), "call", shown("agent"), "version", shown("pipeline"), shown("team")),
        *(shown("provider"), shown("model"), "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", shown("price_version")),
        *(shown("cost_centre"), as_json("tags"), "corrects", "id"),
    )
    """As the list says them, in place of an amount in nano-USD and a run that leads nowhere."""

    def own_urls(self) -> Iterable[tuple[str, Callable[..., HttpResponse], str]]:
        return [("sums/", self.sums, "sums")]

    def sums(self, request: HttpRequest) -> HttpResponse:
        """What the charges of a period come to, by everything that one asks of them."""
        days, now = _days(request.GET.get("days")), clock.now()
        period = sums.Period(sums.Wanted(now - timedelta(days=days), now), actor=actor_of(request))
        tables = [(name, *period.by(name, MOST_OF_A_SUM)) for name in sums.DIMENSIONS]
        said = {"days": days, "choices": DAYS, "period": period, "total": period.total(), "tables": tables}
        title = f"Charges of the last {days} days" if days > 1 else "Charges of the last day"
        return self.page(request, "admin/audit/sums.html", title=title, **said)

    @admin.display(description="time (UTC)")
    def when(self, charge: Charge) -> str:
        return instant(charge.at)

    @admin.display(description="amount")
    def amount(self, charge: Charge) -> str:
        return money(charge.amount_nano)

    @admin.display(description="of that", empty_value="")
    def guessed(self, charge: Charge) -> str | None:
        """Of an amount that nobody reported; one that was reported needs no sign."""
        return render_to_string("admin/audit/badge.html", badge("unverified", "estimated")) if charge.estimated else None

    @admin.display(description="run", empty_value="-")
    def of_run(self, charge: Charge) -> str | None:
        return None if charge.run is None else render_to_string("admin/audit/of_run.html", {"run": charge.run})

    def lanes(self, request: HttpRequest) -> list[Q]:
        return a_lane_for_each_team(request)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:  # noqa: ARG002
        words = search_term.strip()
        if not words:
            return queryset, False
        run = _uuid(words.removeprefix("run:")) or _run_beginning(words, queryset)
        return (queryset.none() if run is None else queryset.filter(run=run)), False


@admin.register(Opening)
class OpeningAdmin(LongListAdmin):
    list_select_related = ("blob",)
    heading = "Opened values"
    nothing = "What an entry commits to by its digest alone, and what can be erased, is kept here."
    list_display = ("entry", shown("path"), "preview")
    fields: ClassVar[Any] = ("entry", shown("path"), "opened", "commitment")

    @admin.display(description="value")
    def preview(self, opening: Opening) -> str:
        return visible(opening.held[:400].decode(errors="replace"), 80)

    @admin.display(description="value")
    def opened(self, opening: Opening) -> str:
        return _readable(opening.held)


@admin.register(Pending)
class PendingAdmin(LongListAdmin):
    heading = "Entries not sealed yet"
    nothing = "Every entry is sealed."
    list_display = ("entry",)
    keyset = ("entry",)


@admin.register(Message)
class MessageAdmin(LongListAdmin):
    heading = "Outbox"
    nothing = "What somebody must be told stands here, from the change that it tells of until it is told."
    list_display = ("created_at", shown("topic"), shown("dedupe_key"), "attempts", "due_at", "done_at", "given_up_at")
    list_display_links = ("created_at",)
