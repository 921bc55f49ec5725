"""Approval policies in the admin, for looking only: who decides, within what time, what silence means, and what asks under each."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest

from agents import registry
from agents.admin.owners import TeamFilter
from agents.admin.words import span
from agents.models import Agent, Policy, PolicyVersion, VersionState
from agents.spec.policies import Policy as PolicyValue
from audit.admin import ReadOnlyAdmin, shown
from audit.requests import actor_of
from audit.visible import visible

MOST_VERSIONS: Final = 50
MOST_AGENTS: Final = 100
LONGEST: Final = 300
_HELD: Final = [VersionState.PUBLISHED, VersionState.DRAFT]


def _of(policy: Policy, state: str) -> PolicyVersion | None:
    """Of the rows that came with the policy."""
    return next((version for version in policy.versions.all() if version.state == state), None)


def _value(version: PolicyVersion) -> PolicyValue:
    return PolicyValue.from_spec(version.spec, version.number)


def _in_words(version: PolicyVersion | None) -> dict[str, Any] | None:
    """With its stages one after the other: who is asked, and for how long."""
    if version is None:
        return None
    said = _value(version)
    return {"row": version, "said": said, "stages": [(stage.said, span(stage.within_ms)) for stage in said.stages]}


@admin.register(Policy)
class PolicyAdmin(ReadOnlyAdmin):
    heading = "Approval policies"
    nothing = (
        "A policy is a file of kind policy in a folder that is applied: manage.py apply -f FOLDER --publish. "
        "Without one, whatever requires an approval asks one other member of the agent's team, within 24 hours."
    )
    list_display = (shown("name"), "team", "in_force", "asks", "within", "silence")
    list_filter = (TeamFilter,)
    list_select_related = ("team",)
    search_fields = ("name",)
    search_help_text = "a part of its name"
    page_template = "admin/agents/policy.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).select_related("team")
        return rows.prefetch_related(Prefetch("versions", PolicyVersion.objects.filter(state__in=_HELD)))

    @admin.display(description="in force")
    def in_force(self, policy: Policy) -> str:
        live = _of(policy, VersionState.PUBLISHED)
        return "not published yet" if live is None else f"version {live.number}"

    @admin.display(description="asks")
    def asks(self, policy: Policy) -> str:
        live = _of(policy, VersionState.PUBLISHED)
        return "–" if live is None else visible(_value(live).stages[0].said, LONGEST)

    @admin.display(description="within")
    def within(self, policy: Policy) -> str:
        live = _of(policy, VersionState.PUBLISHED)
        return "–" if live is None else span(_value(live).stages[0].within_ms)

    @admin.display(description="then")
    def silence(self, policy: Policy) -> str:
        live = _of(policy, VersionState.PUBLISHED)
        later = [] if live is None else _value(live).stages[1:]
        return "–" if live is None else visible(f"asks {later[0].said}", LONGEST) if later else "denied"

    def page_context(self, request: HttpRequest, row: Policy) -> dict[str, Any]:
        return {
            "live": _in_words(_of(row, VersionState.PUBLISHED)),
            "draft": _in_words(_of(row, VersionState.DRAFT)),
            "agents": _agents_under(row, request),
            "versions": PolicyVersion.objects.filter(policy=row).order_by("-number")[:MOST_VERSIONS],
        }


def _agents_under(policy: Policy, request: HttpRequest) -> list[Agent]:
    """Whose permissions name it, or their team's: of those that the reader sees."""
    rows = Agent.objects.visible_to(actor_of(request)).select_related("team").order_by("name")
    return [agent for agent in rows if policy.name in registry.policies_named(agent.in_force)][:MOST_AGENTS]
