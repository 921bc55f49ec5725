"""Publishing, rolling back, retiring, suspending, from the admin: each a page that shows what will happen, and one use-case of the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.widgets import UnfoldAdminSelectWidget

from agents import registry
from agents.models import Agent, Pipeline, Proposal, Release, Standing, Team, Version, VersionState
from agents.registry.differences import differences
from audit import clock
from audit.actors import Actor
from audit.admin import Deed, ReasonForm, act, link_to
from audit.admin.acting import MOST_PROBLEMS
from audit.admin.base import ReadOnlyAdmin
from audit.errors import OrchestraError
from audit.requests import actor_of
from audit.visible import visible
from audit.wording import instant

MOST: Final = 100
MOST_PROPOSED: Final = 5
MOST_PINS: Final = 20
MOST_RELEASES: Final = 20
Owner = Agent | Pipeline


def possible(owner: Owner, versions: list[Version], actor: Actor) -> list[tuple[str, str, str]]:
    """(name of the view, words on the button, how it looks): what this actor may do to it now; what ends its work stands apart."""
    team = owner.team.name
    retired, suspended = owner.state == Standing.RETIRED, owner.state == Standing.SUSPENDED
    draft = any(version.state == VersionState.DRAFT for version in versions)
    published = sum(version.published_at is not None for version in versions) > 1
    able = {
        "publish": (draft or isinstance(owner, Pipeline)) and not retired,
        "rollback": (published or (isinstance(owner, Pipeline) and owner.current_release_id is not None)) and not retired,
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
    looks = {"publish": "main" if draft else "", "suspend": "apart", "retire": "apart"}
    return [(name, words[name], looks.get(name, "")) for name, able_now in able.items() if able_now and _may(name, actor, team)]


def _may(what: str, actor: Actor, team: str) -> bool:
    return actor.may_suspend(team) if what == "suspend" else actor.may_change(team)


def publish(page: ReadOnlyAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    actor, number = actor_of(request), _number(request.POST.get("version") or request.GET.get("version"))
    try:
        seen = registry.preview(owner.name, actor=actor, version=number)
    except OrchestraError as refusal:
        messages.error(request, visible(refusal.message, 1_000))
        return HttpResponseRedirect(link_to(owner))

    def perform(_: Mapping[str, Any]) -> str:
        done = registry.publish(owner.name, actor=actor, version=seen.to_version, seen=request.POST.get("seen", ""))
        agents = f", with {', '.join(f'{name} {version}' for name, version in done.agents)}" if done.agents else ""
        return f"Version {done.to_version} of '{done.name}' is published{agents}.{_staying(done)}{_denied(done)}"

    old = f"in the place of version {seen.from_version}" if seen.from_version is not None else "for the first time"
    says = [f"Publish version {seen.to_version} of '{owner.name}' {old}. {_effect(owner)}"]
    says += [f"{seen.asks[:1].upper()}{seen.asks[1:]}: this proposes it to them, and it is done when they have."] if seen.asks else []
    pins = [(pin, differences(pin.fields)) for pin in seen.pins[:MOST_PINS]]
    nothing = f"New runs of '{owner.name}' use exactly this already: there is nothing to publish." if seen.unchanged else None
    deed = Deed(
        f"Publish {owner.name}", "Propose" if seen.asks else "Publish", link_to(owner), perform, says, template="admin/agents/publish.html",
        forbidden=forbidden_to(owner, actor, "publish") or nothing, about=owner,
        context={
            "seen": seen, "fields": differences(seen.fields), "pins": pins, "further": seen.pins[MOST_PINS:],
            "forbids": seen.problems[:MOST_PROBLEMS], "more_forbids": max(len(seen.problems) - MOST_PROBLEMS, 0),
        },
    )  # fmt: skip
    return act(page, request, deed)


def _effect(owner: Owner) -> str:
    """When it holds for which runs."""
    said = "New runs use it at once; runs at work keep what they started with."
    if isinstance(owner, Pipeline):
        return said
    return f"{said} But its team, permissions, rate and breaker hold for runs at work too, within half a second."


def proposing(team: Team | None, rule: Literal["publishing", "resuming"]) -> str | None:
    """The sentence of a page whose button proposes; None where what it says is done at once."""
    policy = "" if team is None else getattr(team, rule)
    return f"People say yes to it first, under policy '{policy}': this proposes it to them, and it is done when they have." if policy else None


def proposed(row: Owner | Team, actor: Actor) -> list[Proposal]:
    """What is open that would change it, the first of them."""
    return list(Proposal.objects.visible_to(actor).open(clock.now()).about([row.subject]).defer("shown", "deeds", "policy")[:MOST_PROPOSED])


def rollback(page: ReadOnlyAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    actor = actor_of(request)
    older, newer = _releases(owner) if isinstance(owner, Pipeline) else _versions(owner)

    def perform(said: Mapping[str, Any]) -> str:
        release, to = (said["to"], None) if isinstance(owner, Pipeline) else (None, int(said["to"]))
        done = registry.rollback(owner.name, actor=actor, to=to, release=release)
        keep = f" Permissions in force that differ from that version's: {', '.join(done.keep)}." if done.keep else ""
        at = [f"release {digest[:12]} (version {number})" if digest else f"version {number}" for number, digest in _places(done)]
        return f"'{done.name}' went from {at[0]} to {at[1]}, code included.{_touched(done)}{keep}"

    class RollbackForm(forms.Form):
        to = forms.ChoiceField(label="Go to", choices=_grouped(older, newer), widget=UnfoldAdminSelectWidget())

    what = "release" if isinstance(owner, Pipeline) else "version"
    says = [
        f"An earlier {what} is published again, code included. {_effect(owner)}",
        "Nothing is lost: the present one stays and can be gone back to in the same way.",
    ]
    if not older:
        says = [f"What runs now is the first {what} that was published, so there is nothing older to go back to."]
        says += ["There are newer ones. To go forward to one, choose it by name: nothing is chosen for you."] if newer else []
    nothing = None if older or newer else says[0]
    if owner.state == Standing.RETIRED:
        nothing = f"'{owner.name}' is retired: reinstate it first, then it can be rolled back."
    first = proposing(owner.team, "publishing")
    says += [first] if first else []
    deed = Deed(
        f"Roll back {owner.name}", "Propose" if first else "Go there", link_to(owner), perform, says, RollbackForm,
        forbidden=forbidden_to(owner, actor, "rollback") or nothing, about=owner,
    )  # fmt: skip
    return act(page, request, deed)


def _staying(done: registry.Published) -> str:
    """The pipelines that a published agent left as they are; those of teams that this person doesn't see as a number."""
    named = [*done.stay, *([f"{done.stay_elsewhere} of other teams"] if done.stay_elsewhere else [])]
    return f" Pipelines that stay as they are until they are published: {', '.join(named)}." if named else ""


def _denied(done: registry.Published) -> str:
    """What ran already and is refused now."""
    return f" What ran already and is refused now: {'; '.join(visible(each, 500) for each in done.denied)}." if done.denied else ""


def _touched(done: registry.RolledBack) -> str:
    """The pipelines into which an agent's rollback went, likewise."""
    if done.kind != "agent":
        return ""
    named = [*(release.pipeline for release in done.releases), *([f"{done.elsewhere} of other teams"] if done.elsewhere else [])]
    return f" Pipelines that run it from now on: {', '.join(named)}." if named else " No pipeline ran it, so none changes."


def _places(done: registry.RolledBack) -> list[tuple[int, str | None]]:
    return [(done.from_version, done.from_release), (done.to_version, done.to_release)]


def _grouped(older: list[tuple[str, str]], newer: list[tuple[str, str]]) -> list[tuple[str, Any]]:
    """What lies before comes first, the nearest preselected; what is newer is named as such and never chosen by itself."""
    first: list[tuple[str, Any]] = [] if older else [("", "choose one…")]
    return [*first, *([("older", older)] if older else []), *([("newer", newer)] if newer else [])]


_PLAIN: Final[Mapping[str, tuple[str, str, bool]]] = {
    "suspend": ("From now on no call of this agent is sent, in any run, old or new. Steps that need it wait.", "is suspended", True),
    "resume": ("The agent may work again, in every run.", "may work again", False),
    "retire": ("Out of use from now on: no new run starts with it. What it did, and its versions, stay for ever.", "is retired", True),
    "reinstate": ("Back in use: a pipeline starts runs again, an agent is suspended until it is resumed.", "is back", False),
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
    first = proposing(owner.team, "resuming") if what in ("resume", "reinstate") else None
    deed = Deed(
        f"{word} {owner.name}", "Propose" if first else word, link_to(owner), perform, [sentence, *([first] if first else [])], form,
        danger=needs_reason, forbidden=forbidden_to(owner, actor, what), about=owner,
    )  # fmt: skip
    return act(page, request, deed)


def forbidden_to(owner: Owner, actor: Actor, what: str) -> str | None:
    team = owner.team.name
    why = actor.lacks(team) if team in actor.teams else f"it belongs to team '{team}' and only its people can do this"
    return None if _may(what, actor, team) else f"You may look at this, but {why}."


Choices = list[tuple[str, str]]


def _releases(pipeline: Pipeline) -> tuple[Choices, Choices]:
    """(older, newer) than the current one, each with the agent versions in which it differs from what runs now; first of the older what was in
    force last, where a rollback goes by itself, and of the newer the newest."""
    current = pipeline.current_release
    if current is None:
        return [], []
    now = {name: agent["version"] for name, agent in current.manifest["agents"].items()}
    rows = pipeline.releases.select_related("version").filter(published_at__isnull=False).exclude(pk=current.pk).order_by("-created_at")
    older = pipeline.releases.select_related("version").before(current)[:MOST_RELEASES]
    newer = rows.filter(created_at__gte=current.created_at)[:MOST_RELEASES]
    return [(row.digest, _named(row, now)) for row in older], [(row.digest, _named(row, now)) for row in newer]


def _named(release: Release, now: Mapping[str, int]) -> str:
    agents = {name: agent["version"] for name, agent in sorted(release.manifest["agents"].items())}
    others = [f"{name} {number}" for name, number in agents.items() if now.get(name) != number]
    differs = f" with {', '.join(others[:5])}{' …' if len(others) > 5 else ''}" if others else ""
    return f"version {release.version.number}{differs}, release {release.digest[:12]}, made {instant(release.created_at)} UTC"


def _versions(agent: Agent) -> tuple[Choices, Choices]:
    """(older, newer) than the published one, ordered as the releases are."""
    live = Version.objects.of(agent).filter(state=VersionState.PUBLISHED).first()
    newer = Version.objects.of(agent).filter(published_at__isnull=False, number__gt=0 if live is None else live.number).order_by("-number")
    older = Version.objects.none() if live is None else Version.objects.before(live)
    return [_numbered(row) for row in older[:MOST]], [_numbered(row) for row in newer[:MOST]]


def _numbered(row: Version) -> tuple[str, str]:
    return str(row.number), f"version {row.number}, by {visible(row.author, 60)}, {instant(row.created_at)} UTC"


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 9 else None
