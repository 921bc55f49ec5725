"""The lists of what runs wait for and of calls whose fate nobody knows, those that press most first, and the way to each one's page.

Only what can still be answered is listed. Counts nothing.
"""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string

from agents.models import Team
from audit import clock
from audit.admin import LongListAdmin, choice
from audit.admin.paging import Pages
from audit.errors import NotFound
from audit.lanes import teams_apart
from audit.requests import actor_of
from audit.visible import visible
from audit.wording import ago, instant
from runs import services
from runs.admin import answering
from runs.admin.lists import PipelineFilter
from runs.models import Call, Wait, WaitKind
from runs.services import WantedWaits

MOST_BESIDE = 20


class Soonest(Pages):
    """As the lists of what happened, the other way round: the least of the keys first, and `older` leads on."""

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:  # noqa: ARG002 - Django's signature
        return list(self.model_admin.keyset)

    def _taken(self, request: HttpRequest, place: list[Any] | None, most: int, *, newer: bool) -> list[Any]:
        return super()._taken(request, place, most, newer=not newer)


class OfPipeline(PipelineFilter):
    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - as above
        return queryset.filter(run__pipeline__name=self.value()) if self.value() else queryset


class PressingAdmin(LongListAdmin):
    """A list in the order of its keys; rows are of the teams of their runs."""

    change_list_template = "admin/runs/pressing.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Pages]:  # noqa: ARG002 - as above
        return Soonest

    def lanes(self, request: HttpRequest) -> list[Q]:
        apart = teams_apart(actor_of(request))
        return [Q(run__team=key) for key in Team.objects.filter(name__in=apart).values_list("pk", flat=True)] or [Q()]

    @admin.display(description="run")
    def short_id(self, row: Any) -> str:
        return render_to_string("admin/runs/of_wait.html", row.said)

    @admin.display(description="step")
    def place(self, row: Any) -> str:
        return visible(row.said["step"] or "the whole run", 80)

    @admin.display(description="who can answer")
    def who(self, row: Any) -> str:
        return visible(row.said["who"], 200)


@admin.register(Wait)
class WaitAdmin(PressingAdmin):
    nothing = "Runs that wait for a time, a signal or somebody's word are listed here while they do."
    heading = "Waiting"
    list_display = ("what_for", "short_id", "place", "until", "silence", "who")
    list_display_links = ("what_for",)
    list_filter = (choice("kind", [str(kind) for kind in WaitKind], title="waits for"), OfPipeline)
    keyset = ("expires_at", "id")
    list_after_template = "admin/runs/unresolved.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Wait]:
        return services.waits_wanted(WantedWaits(), actor=actor_of(request), now=clock.now())

    def listed(self, request: HttpRequest, rows: list[Any]) -> list[Any]:  # noqa: ARG002 - as above
        for row, said in zip(rows, services.listed_waits(rows), strict=True):
            row.said = said
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        calls = list(services.unresolved_calls(actor=actor_of(request)).order_by("settled_at", "id")[: MOST_BESIDE + 1])
        beside = {"unresolved": services.call_records(calls[:MOST_BESIDE]), "more_unresolved": len(calls) > MOST_BESIDE}
        context = {"title": self.heading, **beside, **(extra_context or {})}
        return super().changelist_view(request, context)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ARG002 - as above
        return answering.wait_page(self, request, self.found(request, object_id))

    def found(self, request: HttpRequest, object_id: str) -> Wait:
        """Also one that has ended: whoever follows an old link learns how."""
        try:
            return services.find_wait(unquote(object_id), actor=actor_of(request))
        except NotFound:
            raise Http404 from None

    @admin.display(description="waits for")
    def what_for(self, row: Any) -> str:
        subject = row.said["subject"] or ""
        return services.awaited(row.kind, subject, agent=subject)

    @admin.display(description="until (UTC)")
    def until(self, row: Any) -> str:
        return f"{instant(row.expires_at)} ({ago(row.expires_at, clock.now())})"

    @admin.display(description="after that")
    def silence(self, row: Any) -> str:
        return str(row.said["silence"])


@admin.register(Call)
class CallAdmin(PressingAdmin):
    """Only those whose fate nobody knows; every other stands on the page of its run."""

    heading = "Calls whose fate nobody knows"
    nothing = "A call that acts, and whose answer never came, stands here until somebody says what became of it."
    list_display = ("agent_of", "short_id", "place", "since", "its_run", "who")
    list_display_links = ("agent_of",)
    keyset = ("settled_at", "id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Call]:
        return services.unresolved_calls(actor=actor_of(request))

    def listed(self, request: HttpRequest, rows: list[Any]) -> list[Any]:  # noqa: ARG002 - as above
        for row, said in zip(rows, services.call_records(rows), strict=True):
            row.said = said
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": self.heading, **(extra_context or {})})

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ARG002 - as above
        return answering.call_page(self, request, self.found(request, object_id))

    def found(self, request: HttpRequest, object_id: str) -> Call:
        try:
            return services.find_call(unquote(object_id), actor=actor_of(request))
        except NotFound:
            raise Http404 from None

    @admin.display(description="call of")
    def agent_of(self, row: Any) -> str:
        return visible(row.agent, 80)

    @admin.display(description="since (UTC)")
    def since(self, row: Any) -> str:
        return f"{instant(row.settled_at)} ({ago(row.settled_at, clock.now())})"

    @admin.display(description="its run")
    def its_run(self, row: Any) -> str:
        return "has ended" if row.said["wait"] is None else "waits for a word on it"
