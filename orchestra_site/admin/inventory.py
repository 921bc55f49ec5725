"""The inventory: which agents there are, whose, for what, allowed what, when they last ran and were last verified; and their pages with runs.

Reads agents and runs together, which neither of those apps may. A page costs the same number of statements however many agents or runs exist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
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
from runs.admin import Listed, listed, with_waits
from runs.admin.doing import address_of_start
from runs.admin.lately import failures_of, lately
from runs.models import Outcome, Run
from runs.services import is_uncontained

MOST_RUNS: Final = 10
STRIP: Final = 60
GOOD: Final = frozenset({Outcome.VERIFIED, Outcome.DEGRADED})


@dataclass(frozen=True, slots=True)
class Lately:
    """When an agent last took part in a run that the person may see, and in one that is verified."""

    last: Listed | None
    verified_at: datetime | None
    now: datetime


def lately_of(agents: Sequence[Agent], actor: Actor) -> dict[UUID, Lately]:
    """For a page of agents; as many statements for one agent as for fifty."""
    runs, now = lately([agent.name for agent in agents], actor), clock.now()
    newest = {name: found[0] for name, found in runs.items() if found}
    reads = dict(zip(newest, listed(newest.values(), now), strict=True))
    verified = _verified_at(runs, now)
    return {agent.pk: Lately(reads.get(agent.name), verified.get(agent.name), now) for agent in agents}


def _verified_at(runs: Mapping[str, Sequence[Run]], now: datetime) -> dict[str, datetime]:
    """When each agent last took part in a run that is verified, and that the ledger says is.

    The newest claim of every agent is checked at once; whoever's is broken is looked at again, with the one before.
    """
    found: dict[str, datetime] = {}
    left = {name: _claims(each) for name, each in runs.items()}
    while left := {name: claims for name, claims in left.items() if claims and name not in found}:
        reads = listed([claims[0] for claims in left.values()], now)
        found |= {name: one.run.finished_at for name, one in zip(left, reads, strict=True) if one.word in GOOD and one.run.finished_at}
        left = {name: claims[1:] for name, claims in left.items()}
    return found


def _claims(runs: Sequence[Run]) -> list[Run]:
    claims = [(run.finished_at, run) for run in runs if run.outcome in GOOD and run.finished_at is not None]
    return [run for _, run in sorted(claims, key=lambda claim: claim[0], reverse=True)]


class _Inventory(Listing):
    """A page of agents with what they did lately."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        agents: list[Any] = list(self.result_list)
        found = lately_of(agents, actor_of(request))
        for agent in agents:
            agent.lately = found[agent.pk]
        self.result_list = agents  # a list is all that the template needs


@admin.register(Agent)
class AgentAdmin(AgentPage):
    nothing = "manage.py new pipeline NAME writes a folder with agents, manage.py apply -f NAME --publish brings them here."
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
        return render_to_string("admin/agents/allowed.html", {"permissions": in_words(agent.in_force)})

    @admin.display(description="last run")
    def last_run(self, agent: Any) -> str:
        return render_to_string("admin/agents/last_run.html", {"one": agent.lately.last, "now": agent.lately.now})

    @admin.display(description="last verified (UTC)", empty_value="not lately")
    def last_verified(self, agent: Any) -> str | None:
        at = agent.lately.verified_at
        return None if at is None else instant(at)

    def page_context(self, request: HttpRequest, row: Agent) -> dict[str, Any]:
        actor = actor_of(request)
        runs = lately([row.name], actor)[row.name]
        newest = Run.objects.filter(id__in=[run.id for run in runs[:MOST_RUNS]]).select_related("pipeline").order_by("-created_at")
        failures = failures_of(row.name, runs, MOST_RUNS)
        more = {"runs": with_waits(listed(newest, clock.now())), "failures": failures, "uncontained": is_uncontained(row.name)}
        return {**super().page_context(request, row), **more}


@admin.register(Pipeline)
class PipelineAdmin(PipelinePage):
    nothing = "manage.py new pipeline NAME writes one, manage.py apply -f NAME --publish brings it here."
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
        newest = Run.objects.visible_to(actor).whole().filter(pipeline=row).select_related("pipeline").order_by("-created_at")[:STRIP]
        found = with_waits(listed(newest, clock.now()))
        starts = actor.may_start(row.team.name) and row.state != "retired"
        return {
            **super().page_context(request, row),
            "strip": found,
            "runs": found[:MOST_RUNS],
            "start_url": address_of_start(row) if starts else None,
        }
