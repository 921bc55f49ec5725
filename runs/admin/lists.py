"""The lists of runs and engines, and the way from a run to its page and to what can be done to it.

What a run reads as comes from `effective` and its integrity, never from the raw columns. Counts nothing: there may be millions.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from agents.models import Pipeline
from audit import clock
from audit.admin import LongListAdmin, choice, shown
from audit.requests import actor_of
from audit.templatetags.showing import who
from audit.visible import visible
from audit.wording import instant, lasting
from runs import services
from runs.admin import doing, page
from runs.admin.badges import listed, with_reasons, with_waits
from runs.admin.outline import asked_of
from runs.models import Cause, Engine, Kind, Outcome, Run
from runs.services import Wanted

MOST_PIPELINES = 200
SILENT_FOR = timedelta(days=1)


class OutcomeFilter(admin.SimpleListFilter):
    """By what a run reads as now: an overdue one has failed, though no worker has written that."""

    title = "outcome"
    parameter_name = "reads_as"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        return [("live", "not finished"), *((outcome.value, outcome.value) for outcome in Outcome), ("broken", "broken")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - as above
        now, wanted = clock.now(), self.value()
        if wanted == "live":
            return queryset.live().filter(deadline_at__gt=now)
        if wanted == "broken":
            return queryset.broken()  # as the last check found it; the rows of a page are checked anew
        return queryset.ended_as(Outcome(wanted), now) if wanted in set(Outcome) else queryset


class CauseFilter(admin.SimpleListFilter):
    """By what they failed for. Those that are overdue are among them until their page is read: only then it is known what they waited for."""

    title = "cause of failure"
    parameter_name = "cause"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        return [(cause.value, cause.value) for cause in Cause]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - as above
        return queryset.failed_for(self.value(), clock.now()) if self.value() in set(Cause) else queryset


class ChildrenFilter(admin.SimpleListFilter):
    """Runs that somebody started; on demand also those that a step of another run has started, and always where one is looked for."""

    title = "children"
    parameter_name = "children"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        return [("true", "with child runs")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset if self.value() or request.GET.get("q") else queryset.roots()


class PipelineFilter(admin.SimpleListFilter):
    """By pipeline; only those that the person may see are named."""

    title = "pipeline"
    parameter_name = "of"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - as above
        names = Pipeline.objects.visible_to(actor_of(request)).order_by("name").values_list("name", flat=True)[:MOST_PIPELINES]
        return [(name, visible(name, 40)) for name in names]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - as above
        return queryset.filter(pipeline__name=self.value()) if self.value() else queryset


@admin.register(Run)
class RunAdmin(LongListAdmin):
    nothing = "A run is started from the page of its pipeline, over REST, or with manage.py runpipeline NAME."
    list_display = ("short_id", shown("pipeline"), "outcome_badge", "begun", "took", "failed_for", shown("team"))
    list_display_links = ("short_id",)
    list_filter = (OutcomeFilter, CauseFilter, PipelineFilter, ChildrenFilter)
    list_select_related = ("pipeline", "team")
    search_fields = ("id",)
    search_help_text = "the beginning of a run's id, or a pipeline's name"
    keyset = ("created_at", "id")
    page_template = "admin/runs/run.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        """Without releases: their manifests are long, and only the page of one run wants one."""
        return services.runs_visible_to(actor_of(request))

    def lanes(self, request: HttpRequest) -> list[Q]:
        if request.GET.get("q"):
            return [Q()]
        said = {name: request.GET.get(name) for name in ("of", "reads_as", "cause")}
        cause = said["cause"] if said["cause"] in set(Cause) else None
        wanted = Wanted(pipeline=said["of"] or None, outcome=said["reads_as"], cause=cause)
        return services.lanes_of_runs(wanted, actor=actor_of(request), now=clock.now())

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:  # noqa: ARG002 - as above
        words = search_term.strip().lower()
        if not words:
            return queryset, False
        digits = words.removeprefix("run:").replace("-", "")
        if services.SHORTEST_PREFIX <= len(digits) <= 32 and set(digits) <= set("0123456789abcdef"):
            return queryset.filter(id__gte=UUID(digits.ljust(32, "0")), id__lte=UUID(digits.ljust(32, "f"))), False
        return queryset.filter(pipeline__name=words), False

    def listed(self, request: HttpRequest, rows: list[Any]) -> list[Any]:
        for one in with_waits(with_reasons(listed(rows, clock.now()))):
            one.run.reads = one  # type: ignore[attr-defined]
        cause = request.GET.get("cause")
        return [run for run in rows if run.reads.cause == cause] if cause in set(Cause) else rows

    @admin.display(description="run")
    def short_id(self, run: Run) -> str:
        return render_to_string("admin/audit/short.html", {"id": run.id})

    @admin.display(description="outcome")
    def outcome_badge(self, run: Run) -> str:
        reads = run.reads  # type: ignore[attr-defined]
        return render_to_string("admin/runs/outcome.html", {"one": reads})

    @admin.display(description="created (UTC)")
    def begun(self, run: Run) -> str:
        return instant(run.created_at)

    @admin.display(description="took", empty_value="-")
    def took(self, run: Run) -> str | None:
        seconds = run.reads.seconds  # type: ignore[attr-defined]
        return None if seconds is None else lasting(seconds)

    @admin.display(description="failure", empty_value="-")
    def failed_for(self, run: Run) -> str | None:
        reads = run.reads  # type: ignore[attr-defined]
        return visible(", ".join(filter(None, (reads.cause, who(reads.owner) if reads.owner else ""))) or reads.why, 120) or None

    # The page, and what can be done ------------------------------------------------------------------------------------------------

    def page_context(self, request: HttpRequest, row: Run) -> dict[str, Any]:
        said = page.context(row, actor_of(request), asked_of(request.GET.dict()))
        row.headed = said["title"]  # type: ignore[attr-defined]  # the frame's heading shows it before the row's own name
        return said

    def own_urls(self) -> Iterable[tuple[str, Callable[..., HttpResponse], str]]:
        return [
            ("start/<uuid:pipeline_id>/", self.start, "start"),
            ("<uuid:run_id>/cancel/", self.cancel, "cancel"),
            ("<uuid:run_id>/reverify/", self.reverify, "reverify"),
        ]

    def start(self, request: HttpRequest, pipeline_id: UUID) -> HttpResponse:
        return doing.start(self, request, pipeline_id)

    def cancel(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        return doing.cancel(self, request, self.found(request, str(run_id)))

    def reverify(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        return doing.reverify(self, request, self.found(request, str(run_id)))


class PresenceFilter(admin.SimpleListFilter):
    """Those that are here, or fell silent within the last day, unless others are asked for: most of all that ever were have left."""

    title = "presence"
    parameter_name = "presence"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        return [("left", "those that left"), ("all", "all")]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "here"}, *others]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - as above
        if self.value() == "all":
            return queryset
        if self.value() == "left":
            return queryset.filter(stopped_at__isnull=False)
        return queryset.filter(stopped_at__isnull=True, beat_at__gte=clock.now() - SILENT_FOR)


@admin.register(Engine)
class EngineAdmin(LongListAdmin):
    """Engines and queues. Names of hosts are the installation's own: for those who see everything."""

    nothing = "manage.py worker starts one. Runs that are started here wait until then."
    heading = "Workers"
    list_display = ("stands", "kind", shown("host"), "pid", "serves", "driving", "began", "heard", "left")
    fields: ClassVar[Any] = ("stands", "kind", shown("host"), "pid", "serves", "driving", "began", "heard", "left")
    list_filter: ClassVar[Any] = (
        PresenceFilter,
        choice("kind", [kind.value for kind in Kind], title="kind"),
        choice("serves_all", ["True", "False"], title="serves all runs"),
    )
    keyset = ("started_at", "id")

    @admin.display(description="is")
    def stands(self, engine: Engine) -> str:
        return engine.stands(clock.now())

    @admin.display(description="serves")
    def serves(self, engine: Engine) -> str:
        if engine.kind == Kind.QUEUE:
            return "chores"
        return "all runs" if engine.serves_all else "its own run"

    @admin.display(description="started (UTC)")
    def began(self, engine: Engine) -> str:
        return instant(engine.started_at)

    @admin.display(description="last heard of (UTC)")
    def heard(self, engine: Engine) -> str:
        return instant(engine.beat_at)

    @admin.display(description="stopped (UTC)", empty_value="-")
    def left(self, engine: Engine) -> str | None:
        return None if engine.stopped_at is None else instant(engine.stopped_at)
