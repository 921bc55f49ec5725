"""Runs, their steps and calls, and the engines, in the admin: for looking only.

What a run reads as comes from `effective` and its integrity, never from the raw columns; what it was given and gave comes from
the ledger's openings, made visible and escaped.
"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from agents.prices import usd
from audit import clock
from audit.admin import ReadOnlyAdmin, shown
from audit.visible import visible
from runs import services
from runs.models import Call, Engine, Outcome, Run, Step
from runs.models.run import integrity_of

_LONG = 40_000
_FAILURE = (shown("failure_cause"), shown("failure_owner"))


def _shaped(text: str) -> str:
    """Lines as they are, escaped."""
    return format_html('<pre style="white-space: pre-wrap; margin: 0">{}</pre>', text[:_LONG])


def _indented(value: Any) -> str:
    lines = json.dumps(value, ensure_ascii=False, indent=2).split("\n")
    return _shaped("\n".join(visible(line, 2000) for line in lines))


def _said_of(document: Mapping[str, Any]) -> str:
    """The verdict's checks and the failure, a line each: what a person opens the page for."""
    verdict, failure = document["verdict"], document["failure"]
    lines = [f"{check['verdict']}  {check['criterion']}: {check['why']}  (by {check['by']})" for check in (verdict or {}).get("checks", [])]
    if failure is not None:
        lines.append(f"{failure['cause']}: {failure['message']}  (owner {failure['owner']}, team {failure['team'] or '-'})")
    return _shaped("\n".join(visible(line, 500) for line in lines) or "nothing yet")


class _Runs(ChangeList):
    """A page of runs, compared with their finishing entries in a few statements for all of them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        runs: list[Run] = list(self.result_list)
        found = integrity_of(runs)
        for run in runs:
            run.integrity = found[run.id]
        self.result_list = runs  # a list is all that the template needs


class OutcomeFilter(admin.SimpleListFilter):
    """By what a run reads as now: an overdue one has failed, though no worker has written that."""

    title = "outcome"
    parameter_name = "reads_as"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        return [("live", "not finished"), *((outcome.value, outcome.value) for outcome in Outcome)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - as above
        now, wanted = clock.now(), self.value()
        if wanted == "live":
            return queryset.live().filter(deadline_at__gt=now)
        return queryset.ended_as(Outcome(wanted), now) if wanted in set(Outcome) else queryset


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = (
        "short_id",
        shown("pipeline"),
        "reads_as",
        "created_at",
        "duration",
        shown("failure_cause"),
        shown("failure_owner"),
        shown("started_by"),
    )
    list_display_links = ("short_id",)
    list_filter = (OutcomeFilter, "draft", "trigger")
    list_select_related = ("pipeline",)
    search_fields = ("pipeline__name", "failure_cause", "failure_owner")
    ordering = ("-created_at",)
    fields: ClassVar[Any] = (
        *("id", "pipeline", "team", "release", "reads_as", "as_of", "draft", "trigger", "started_by", "reverifies"),
        *("created_at", "started_at", "finished_at", "deadline_at", "cost", "said", "steps_taken", "document"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        queryset: QuerySet[Run] = super().get_queryset(request)
        return queryset.select_related("pipeline", "team", "release", "reverifies")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002 - as above
        return _Runs

    @admin.display(description="run", ordering="id")
    def short_id(self, run: Run) -> str:
        return str(run.id)

    @admin.display(description="outcome", ordering="outcome")
    def reads_as(self, run: Run) -> str:
        return run.effective(clock.now()).label

    @admin.display(description="took")
    def duration(self, run: Run) -> str | None:
        if run.started_at is None or run.finished_at is None:
            return None
        return f"{(run.finished_at - run.started_at).total_seconds():.2f} s"

    @admin.display(description="cost")
    def cost(self, run: Run) -> str:
        return usd(run.spent_nano)

    @admin.display(description="steps")
    def steps_taken(self, run: Run) -> str:
        said = [f"{step.key}  {step.agent} {step.version}  {step.state}  {step.failure_cause}" for step in Step.objects.filter(run=run)]
        return _shaped("\n".join(visible(line.rstrip()) for line in said) or "none yet")

    @admin.display(description="verdict and failure")
    def said(self, run: Run) -> str:
        return _said_of(services.run_document(run))

    @admin.display(description="everything")
    def document(self, run: Run) -> str:
        return _indented(services.run_document(run))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        run = super().get_object(request, object_id, from_field)
        if run is not None:
            run.integrity = integrity_of([run])[run.id]
        return run


@admin.register(Step)
class StepAdmin(ReadOnlyAdmin):
    list_display = (
        shown("key"),
        "run",
        shown("agent"),
        "state",
        "attempt",
        "started_at",
        "finished_at",
        shown("failure_cause"),
        shown("failure_owner"),
    )
    list_filter = ("state", "judges")
    search_fields = ("key", "agent")
    ordering = ("-id",)


@admin.register(Call)
class CallAdmin(ReadOnlyAdmin):
    list_display = (shown("name"), "run", shown("step"), "kind", "mode", "state", "attempt", "dispatched_at", "settled_at", "cost", "contained")
    list_filter = ("state", "kind", "mode")
    search_fields = ("step", "agent", "name")
    ordering = ("-dispatched_at",)

    @admin.display(description="cost", ordering="cost_nano")
    def cost(self, call: Call) -> str:
        return usd(call.cost_nano)


@admin.register(Engine)
class EngineAdmin(ReadOnlyAdmin):
    list_display = (shown("host"), "pid", "serves_all", "started_at", "beat_at", "stopped_at")
