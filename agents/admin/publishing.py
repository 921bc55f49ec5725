"""Publishing, rolling back, retiring, suspending, from the admin: each a page that shows what will happen, and one use-case of the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.widgets import UnfoldAdminSelectWidget

from agents import registry
from agents.admin.differences import differences
from agents.models import Agent, Pipeline, Standing, Version, VersionState
from audit.actors import Actor
from audit.admin import Deed, ReasonForm, act, link_to
from audit.admin.base import ReadOnlyAdmin
from audit.errors import OrchestraError
from audit.requests import actor_of
from audit.visible import visible
from audit.wording import instant

MOST: Final = 100
MOST_DRAFTS: Final = 20
Owner = Agent | Pipeline


def possible(owner: Owner, versions: list[Version], actor: Actor) -> list[tuple[str, str, bool]]:
    """(name of the view, words on the button, whether it is the one to be noticed): what this actor may do to it now."""
    if not actor.may_change(owner.team.name):
        return []
    retired, suspended = owner.state == Standing.RETIRED, owner.state == Standing.SUSPENDED
    draft = any(version.state == VersionState.DRAFT for version in versions)
    published = sum(version.published_at is not None for version in versions) > 1
    able = {
        "publish": (draft or isinstance(owner, Pipeline)) and not retired,
        "rollback": published or (isinstance(owner, Pipeline) and owner.current_release_id is not None),
        "suspend": isinstance(owner, Agent) and not (retired or suspended),
        "resume": suspended,
        "retire": not retired,
        "reinstate": retired,
    }
    words = {
        "publish": "Publish…",
        "rollback": "Roll back…",
        "suspend": "Suspend…",
        "resume": "Resume…",
        "retire": "Retire…",
        "reinstate": "Reinstate…",
    }
    return [(name, words[name], name == "publish" and draft) for name, may in able.items() if may]


def publish(page: ReadOnlyAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    actor, number = actor_of(request), _number(request.POST.get("version") or request.GET.get("version"))
    try:
        seen = registry.preview(owner.name, actor=actor, version=number)
    except OrchestraError as refusal:
        messages.error(request, visible(refusal.message, 1_000))
        return HttpResponseRedirect(link_to(owner))

    def perform(_: Mapping[str, Any]) -> str:
        done = registry.publish(owner.name, actor=actor, version=seen.to_version)
        stay = f" Pipelines that stay as they are until they are published: {', '.join(done.stay)}." if done.stay else ""
        agents = f", with {', '.join(f'{name} {version}' for name, version in done.agents)}" if done.agents else ""
        return f"Version {done.to_version} of '{done.name}' is published{agents}.{stay}"

    old = f"in the place of version {seen.from_version}" if seen.from_version is not None else "for the first time"
    says = [f"Publish version {seen.to_version} of '{owner.name}' {old}. New runs use it at once; runs at work keep what they started with."]
    deed = Deed(
        f"Publish {owner.name}", "Publish", link_to(owner), perform, says, template="admin/agents/publish.html",
        forbidden=_forbidden(owner, actor), context={"seen": seen, "fields": differences(seen.fields), **_drafts(seen, actor)},
    )  # fmt: skip
    return act(page, request, deed)


def _drafts(seen: registry.Preview, actor: Actor) -> dict[str, Any]:
    """What would change in the agents whose drafts go with a pipeline; only the names of those not shown to this person or past the twentieth."""
    shown, unseen = [], []
    for name, number in seen.agents[:MOST_DRAFTS]:
        try:
            draft = registry.preview(name, actor=actor, version=number)
            shown.append((draft, differences(draft.fields)))
        except OrchestraError:
            unseen.append((name, number))
    return {"drafts": shown, "unseen": unseen, "further": seen.agents[MOST_DRAFTS:]}


def rollback(page: ReadOnlyAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    actor = actor_of(request)
    targets = _releases(owner) if isinstance(owner, Pipeline) else _versions(owner)

    def perform(said: Mapping[str, Any]) -> str:
        release, to = (said["to"], None) if isinstance(owner, Pipeline) else (None, int(said["to"]))
        done = registry.rollback(owner.name, actor=actor, to=to, release=release)
        keep = f" Permissions in force that differ from that version's: {', '.join(done.keep)}." if done.keep else ""
        return f"'{done.name}' went from version {done.from_version} to version {done.to_version}, code included.{keep}"

    class RollbackForm(forms.Form):
        to = forms.ChoiceField(label="Go to", choices=targets, widget=UnfoldAdminSelectWidget())

    says = [
        "What was published before is published again, code included: new runs use it at once, runs at work keep what they started with.",
        "Nothing is lost: the present version stays and can be gone back to in the same way." if targets else "There is nothing to go back to.",
    ]
    deed = Deed(f"Roll back {owner.name}", "Roll back", link_to(owner), perform, says, RollbackForm, forbidden=_forbidden(owner, actor))
    return act(page, request, deed)


_PLAIN: Final[Mapping[str, tuple[str, str, bool]]] = {
    "suspend": ("From now on no call of this agent is sent, in any run, old or new. Steps that need it fail as stopped.", "is suspended", True),
    "resume": ("The agent may work again, in every run.", "may work again", False),
    "retire": ("Out of use from now on: no new run starts with it. What it did, and its versions, stay for ever.", "is retired", True),
    "reinstate": ("Back in use, as it was before it was retired.", "is back in use", False),
}


def move(page: ReadOnlyAdmin, request: HttpRequest, owner: Owner, what: str) -> HttpResponse:
    """Suspend, resume, retire or reinstate; the first and the third ask for a reason."""
    actor = actor_of(request)
    sentence, done, needs_reason = _PLAIN[what]
    change = {"suspend": registry.suspend, "resume": registry.resume, "retire": registry.retire, "reinstate": registry.reinstate}[what]

    def perform(said: Mapping[str, Any]) -> str:
        change(owner.name, actor=actor, **({"reason": said["reason"]} if needs_reason else {}))  # type: ignore[operator]
        return f"'{owner.name}' {done}."

    form = ReasonForm if needs_reason else forms.Form
    word = what.capitalize()
    deed = Deed(f"{word} {owner.name}", word, link_to(owner), perform, [sentence], form, danger=needs_reason, forbidden=_forbidden(owner, actor))
    return act(page, request, deed)


def _forbidden(owner: Owner, actor: Actor) -> str | None:
    team = owner.team.name
    return None if actor.may_change(team) else f"You may look at this, but it belongs to team '{team}' and only its people can do this."


def _releases(pipeline: Pipeline) -> list[tuple[str, str]]:
    rows = pipeline.releases.select_related("version").defer("manifest").filter(published_at__isnull=False)
    rows = rows if pipeline.current_release_id is None else rows.exclude(pk=pipeline.current_release_id)
    return [(row.digest, f"version {row.version.number}, release {row.digest[:12]}, made {instant(row.created_at)}") for row in rows[:MOST]]


def _versions(agent: Agent) -> list[tuple[str, str]]:
    rows = Version.objects.of(agent).filter(published_at__isnull=False).exclude(state=VersionState.PUBLISHED).order_by("-number")
    return [(str(row.number), f"version {row.number}, by {visible(row.author, 60)}, {instant(row.created_at)}") for row in rows[:MOST]]


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 9 else None
