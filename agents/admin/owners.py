"""The pages of agents and pipelines: what they are, their versions as differences, who uses them, their history, and what can be done.

The site registers them, completed with the runs that this app must not know. Knows no rule: the registry decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from agents import registry
from agents.admin import keys, permitting, publishing
from agents.admin.histories import history_of
from agents.admin.picture import picture
from agents.admin.running import running
from agents.admin.words import in_words
from agents.errors import UnknownPipeline
from agents.models import Agent, AgentNotice, ModelAlias, Pipeline, Release, Role, Scope, Standing, Team, Version, VersionState
from agents.registry import composing
from agents.registry.changes import compare
from agents.registry.differences import differences
from audit import clock
from audit.actors import Actor
from audit.admin import ReadOnlyAdmin, choice, text_field
from audit.errors import Conflict, Invalid, NotFound
from audit.requests import actor_of
from audit.visible import visible

MOST_VERSIONS = 30
MOST_TEAMS = 200


class TeamFilter(admin.SimpleListFilter):
    """By team; only those that the person may see are named."""

    title = "team"
    parameter_name = "team"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        names = Team.objects.visible_to(actor_of(request)).values_list("name", flat=True)[:MOST_TEAMS]
        return [(name, visible(name, 40)) for name in names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        return queryset.filter(team__name=self.value()) if self.value() else queryset


class ReviewFilter(admin.SimpleListFilter):
    """Agents whose review is overdue, and those that will be suspended."""

    title = "review"
    parameter_name = "review"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - as above
        return [("overdue", "overdue"), ("noticed", "will be suspended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        if self.value() == "noticed":
            return queryset.filter(Exists(AgentNotice.objects.filter(agent=OuterRef("pk"))))
        return queryset.filter(review_by__lt=clock.now().date()) if self.value() == "overdue" else queryset


class OwnerAdmin(ReadOnlyAdmin):
    """What agents and pipelines share. Subclasses say which of the registry's changes they offer."""

    deeds: ClassVar[Sequence[str]] = ()
    list_select_related = ("team",)
    search_fields = ("name", "purpose")
    search_help_text = "name or purpose"

    def own_urls(self) -> Iterable[tuple[str, Callable[..., HttpResponse], str]]:
        return [(f"<uuid:owner_id>/{name}/", partial(self.do, what=name), name) for name in self.deeds]

    def do(self, request: HttpRequest, owner_id: UUID, what: str) -> HttpResponse:
        owner = self.found(request, str(owner_id))
        if what == "publish":
            return publishing.publish(self, request, owner)
        return publishing.rollback(self, request, owner) if what == "rollback" else publishing.move(self, request, owner, what)

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        actor = actor_of(request)
        versions = list(Version.objects.of(row).order_by("-number")[: MOST_VERSIONS + 1])
        buttons = publishing.possible(row, versions, actor)
        return {
            "stopped": registry.stops_on([row.subject, row.team.subject], actor=actor),
            "buttons": [(self.url(name, row.pk), words, looks) for name, words, looks in buttons],
            "versions": _with_differences(versions)[:MOST_VERSIONS],
            "proposed": publishing.proposed(row, actor),
            "history": history_of(row, actor),
            "entries_url": f"{reverse('admin:audit_entry_changelist')}?q=agent:{row.name}" if isinstance(row, Agent) else None,
        }


def _with_differences(versions: Sequence[Version]) -> list[tuple[Version, Any]]:
    """Each with the fields in which it differs from the one before; newest first."""
    older = [*versions[1:], None]
    return [(one, None if before is None else differences(compare(before.spec, one.spec))) for one, before in zip(versions, older, strict=True)]


class AgentPage(OwnerAdmin):
    deeds = ("publish", "rollback", "suspend", "resume", "retire", "reinstate")
    page_template = "admin/agents/agent.html"
    list_filter = (TeamFilter, choice("role", Role.values), choice("state", Standing.values), ReviewFilter)

    def own_urls(self) -> Iterable[tuple[str, Callable[..., HttpResponse], str]]:
        own: list[tuple[str, Callable[..., HttpResponse], str]] = [
            ("<uuid:owner_id>/key/", self.make_key, "key"),
            ("<uuid:owner_id>/revoke/<str:key_id>/", self.revoke_key, "revoke"),
            ("<uuid:owner_id>/grant/", self.grant, "grant"),
            ("<uuid:owner_id>/withdraw/", self.withdraw, "withdraw"),
        ]
        return [*super().own_urls(), *own]

    def make_key(self, request: HttpRequest, owner_id: UUID) -> HttpResponse:
        return keys.make(self, request, self.found(request, str(owner_id)))

    def revoke_key(self, request: HttpRequest, owner_id: UUID, key_id: str) -> HttpResponse:
        agent = self.found(request, str(owner_id))
        if not registry.keys_visible_to(actor_of(request)).filter(agent=agent, pk=key_id).exists():
            raise Http404
        return keys.revoke(self, request, agent, key_id)

    def grant(self, request: HttpRequest, owner_id: UUID) -> HttpResponse:
        return permitting.grant(self, request, self.found(request, str(owner_id)))

    def withdraw(self, request: HttpRequest, owner_id: UUID) -> HttpResponse:
        return permitting.withdraw(self, request, self.found(request, str(owner_id)))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("notices")

    def page_context(self, request: HttpRequest, row: Agent) -> dict[str, Any]:
        actor = actor_of(request)
        runs = registry.versions_run([row.name], actor=actor).get(row.name, [])
        return {
            **super().page_context(request, row),
            **_rights(row, actor),
            **_asked(request, row),
            **_running(row, runs, actor),
            "observing": [row.team.name] if row.team.observe else [],
            **keys.rows_of(row, actor),
            "may_permit": actor.may_change(row.team.name) and row.state != Standing.RETIRED,
            "permit_urls": {name: self.url(name, row.pk) for name in ("grant", "withdraw")},
            "overdue": row.review_by is not None and row.review_by < clock.now().date(),
            "notices": row.ahead,
            "kept": _kept(row),
            "used_by": [(one, reverse("admin:agents_pipeline_change", args=[one.id])) for one in runs],
            "used_elsewhere": composing.many_use(row.name) - len(runs),
        }


def _kept(agent: Agent) -> str | None:
    """What keeps a suspended agent from being resumed."""
    if agent.state != Standing.SUSPENDED:
        return None
    try:
        registry.refuse_lapsed(agent, clock.now())
    except Conflict as error:
        return error.message
    return None


def _rights(agent: Agent, actor: Actor) -> dict[str, Any]:
    """Each permission in words, beside what it says now and when it was used."""
    found = registry.rights(agent.name, actor=actor)
    words = in_words(found.agent.in_force)
    return {"rights": [(*both, registry.last_used(both[1])) for both in zip(words, found.every, strict=True)], "known_since": found.known_since}


def _running(agent: Agent, runs: Sequence[registry.Runs], actor: Actor) -> dict[str, Any]:
    """The published version; where pipelines run only others (they were rolled back), the newest of these; where nothing is published, the draft."""
    versions, numbers = Version.objects.of(agent).order_by("-number"), {one.number for one in runs}
    published = versions.filter(state=VersionState.PUBLISHED).first()
    instead = None if published is None or not numbers or published.number in numbers else versions.filter(number=max(numbers)).first()
    version = instead or published or versions.first()
    if version is None:
        return {}
    return {"published": published, "others": [one for one in runs if one.number != version.number], **_said_of(version, agent, actor)}


def _said_of(version: Version, agent: Agent, actor: Actor) -> dict[str, Any]:
    said = running(version.spec, agent.in_force, now=clock.now())
    alias = None if said.alias is None else ModelAlias.objects.visible_to(actor).filter(name=said.alias).first()
    return {"running": said, "runs_version": version, "alias_row": alias}


class MayForm(forms.Form):
    """What somebody wants to know of an agent."""

    verb = text_field("May it", longest=63, such_as="a verb: read, write, call, connect")
    resource = text_field("this", longest=1_000, such_as="kind and name: feed:metrics")
    args = text_field("given", longest=8_000, required=False, such_as="its arguments, as JSON, or nothing")
    pipeline = text_field("in a run of", longest=63, required=False, such_as="a pipeline, or nothing")
    person = text_field("started by", longest=150, required=False, such_as="a person, or nothing")

    def clean_args(self) -> dict[str, Any] | None:
        try:
            return registry.arguments_of(self.cleaned_data["args"]) if self.cleaned_data["args"] else None
        except Invalid as error:
            raise forms.ValidationError(visible(error.message, 300)) from None


def _asked(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    form = MayForm(request.GET if "verb" in request.GET else None)
    if not form.is_valid():
        return {"may_form": form, "may": None}
    said = {**form.cleaned_data, **{name: form.cleaned_data[name] or None for name in ("pipeline", "person")}}
    try:
        return {"may_form": form, "may": registry.may(agent.name, **said, actor=actor_of(request))}
    except NotFound as error:
        form.add_error("pipeline" if isinstance(error, UnknownPipeline) else "person", visible(error.message, 300))
        return {"may_form": form, "may": None}


class PipelinePage(OwnerAdmin):
    deeds = ("publish", "rollback", "retire", "reinstate")
    list_filter = (TeamFilter, choice("state", Standing.values))
    page_template = "admin/agents/pipeline.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Without what is long; the page of one pipeline reads it when it comes to it."""
        rows = super().get_queryset(request).select_related("team", "current_release__version")
        return rows.defer("current_release__manifest", "current_release__version__spec")

    def page_context(self, request: HttpRequest, row: Pipeline) -> dict[str, Any]:
        actor = actor_of(request)
        spec = _spec(row)
        names = [] if row.current_release is None else list(row.current_release.manifest["agents"])
        agents = Agent.objects.visible_to(actor).filter(name__in=names) if names else Agent.objects.none()
        return {
            **super().page_context(request, row),
            "stop_url": _stop_url(row) if actor.may_suspend(row.team.name) and row.state != Standing.RETIRED else None,
            "spec": spec,
            "bounds": None if row.permissions is None else in_words(row.permissions),
            "observing": sorted(set(Team.objects.filter(observe=True, agents__name__in=names).values_list("name", flat=True))),
            "boxes": [] if spec is None else picture(spec),
            "agents": dict(agents.values_list("name", "pk")),
            "releases": list(Release.objects.filter(pipeline=row).select_related("version").defer("manifest")[:MOST_VERSIONS]),
        }


def _stop_url(pipeline: Pipeline) -> str:
    """The form that stops something, filled in as far as this page knows."""
    return f"{reverse('admin:agents_stop_set')}?{urlencode({'scope': Scope.PIPELINE, 'name': pipeline.name})}"


def _spec(pipeline: Pipeline) -> Any:
    """What runs now; where nothing is published, the newest draft."""
    if pipeline.current_release is not None:
        return pipeline.current_release.manifest["pipeline"]["spec"]
    newest = Version.objects.of(pipeline).order_by("-number").first()
    return None if newest is None else newest.spec
