"""The inventory: which agents there are, whose, for what, allowed what, when they last ran and were last verified; and their pages with runs.

Reads agents and runs together, which neither of those apps may. A page costs the same number of statements however many agents or runs exist.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest
from django.template.loader import render_to_string

from agents.admin import AgentPage, PipelinePage, in_words
from agents.models import Agent, Pipeline
from audit import clock
from audit.actors import Actor
from audit.admin import shown
from audit.admin.base import Listing
from audit.requests import actor_of
from audit.templatetags.showing import badge
from audit.visible import visible
from audit.wording import instant
from runs.admin import Listed, listed
from runs.admin.doing import address_of_start
from runs.models import Outcome, Run, RunQuerySet, Step, StepState

NEWEST: Final = 200
"""How many of an agent's newest steps are looked through: this bounds the page, whatever an agent has done."""
MOST_RUNS: Final = 10
STRIP: Final = 60


@dataclass(frozen=True, slots=True)
class Lately:
    """When an agent last took part in a run that the person may see, and in one that is verified."""

    last: Listed | None
    verified_at: datetime | None


def lately(agents: Sequence[Agent], actor: Actor) -> dict[UUID, Lately]:
    """For a page of agents, in five statements."""
    runs = _runs_of(OuterRef(OuterRef("name")), actor)
    good = runs.filter(outcome__in=[Outcome.VERIFIED, Outcome.DEGRADED]).order_by("-finished_at")
    rows = Agent.objects.filter(pk__in=[agent.pk for agent in agents]).annotate(
        last=Subquery(runs.order_by("-created_at").values("id")[:1]), good=Subquery(good.values("finished_at")[:1])
    )
    found = list(rows.order_by().values_list("pk", "last", "good"))
    shown_runs = {one.run.id: one for one in listed(Run.objects.filter(id__in=[last for _, last, _ in found if last]), clock.now())}
    return {pk: Lately(shown_runs.get(last), good) for pk, last, good in found}


def _runs_of(agent: Any, actor: Actor) -> RunQuerySet:
    """The runs among an agent's newest steps that the person may see."""
    steps = Step.objects.filter(agent=agent).order_by("-id").values("run_id")[:NEWEST]
    return Run.objects.visible_to(actor).filter(id__in=Subquery(steps))


class _Inventory(Listing):
    """A page of agents with what they did lately."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        agents: list[Any] = list(self.result_list)
        found = lately(agents, actor_of(request))
        for agent in agents:
            agent.lately = found[agent.pk]
        self.result_list = agents  # a list is all that the template needs


@admin.register(Agent)
class AgentAdmin(AgentPage):
    list_display = ("called", "stands", "whose", "what_for", "risk", "allowed", "last_run", "last_verified")
    list_display_links = ("called",)
    ordering = ("name",)
    sortable_by = ("called",)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's signature
        return _Inventory

    @admin.display(description="agent", ordering="name")
    def called(self, agent: Agent) -> str:
        return visible(agent.name, 63)

    @admin.display(description="state, role")
    def stands(self, agent: Agent) -> str:
        return render_to_string("admin/agents/stands.html", {"agent": agent})

    @admin.display(description="whose")
    def whose(self, agent: Agent) -> str:
        return render_to_string("admin/agents/whose.html", {"agent": agent})

    @admin.display(description="purpose")
    def what_for(self, agent: Agent) -> str:
        return render_to_string("admin/agents/purpose.html", {"purpose": agent.purpose})

    @admin.display(description="risk", empty_value="-")
    def risk(self, agent: Agent) -> str | None:
        return visible(agent.risk_tier, 40) or None

    @admin.display(description="may")
    def allowed(self, agent: Agent) -> str:
        return render_to_string("admin/agents/allowed.html", {"permissions": in_words(agent.permissions)})

    @admin.display(description="last run")
    def last_run(self, agent: Any) -> str:
        return render_to_string("admin/agents/last_run.html", {"one": agent.lately.last})

    @admin.display(description="last verified (UTC)", empty_value="not lately")
    def last_verified(self, agent: Any) -> str | None:
        at = agent.lately.verified_at
        return None if at is None else instant(at)

    def page_context(self, request: HttpRequest, row: Agent) -> dict[str, Any]:
        actor = actor_of(request)
        newest = _runs_of(row.name, actor).select_related("pipeline").order_by("-created_at")[:MOST_RUNS]
        recent = Step.objects.filter(agent=row.name).order_by("-id").values("pk")[:NEWEST]
        failures = Step.objects.visible_to(actor).filter(pk__in=Subquery(recent), state=StepState.FAILED).order_by("-id")[:MOST_RUNS]
        return {**super().page_context(request, row), "runs": listed(newest, clock.now()), "failures": list(failures)}


@admin.register(Pipeline)
class PipelineAdmin(PipelinePage):
    list_display = ("called", "state_badge", shown("team"), "running", shown("accountable"), "what_for")
    list_display_links = ("called",)
    ordering = ("name",)
    sortable_by = ("called",)

    @admin.display(description="pipeline", ordering="name")
    def called(self, pipeline: Pipeline) -> str:
        return visible(pipeline.name, 63)

    @admin.display(description="state")
    def state_badge(self, pipeline: Pipeline) -> str:
        return render_to_string("admin/audit/badge.html", badge(pipeline.state))

    @admin.display(description="runs now", empty_value="never published")
    def running(self, pipeline: Pipeline) -> str | None:
        release = pipeline.current_release
        return None if release is None else f"version {release.version.number}, {release.digest[:12]}"

    @admin.display(description="purpose")
    def what_for(self, pipeline: Pipeline) -> str:
        return render_to_string("admin/agents/purpose.html", {"purpose": pipeline.purpose})

    def page_context(self, request: HttpRequest, row: Pipeline) -> dict[str, Any]:
        actor = actor_of(request)
        newest = Run.objects.visible_to(actor).filter(pipeline=row).select_related("pipeline").order_by("-created_at")[:STRIP]
        found = listed(newest, clock.now())
        starts = actor.may_change(row.team.name) and row.state != "retired"
        return {
            **super().page_context(request, row),
            "strip": found,
            "runs": found[:MOST_RUNS],
            "start_url": address_of_start(row) if starts else None,
        }
