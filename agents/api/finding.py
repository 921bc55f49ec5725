"""Finds what an address names, as far as somebody may see it; a foreign thing is no thing. Changes nothing."""

from __future__ import annotations

from agents.errors import NoSuchRelease, NoSuchVersion, UnknownAgent, UnknownAlias, UnknownPipeline, UnknownTeam
from agents.models import Agent, ModelAlias, Pipeline, Release, Team, Version, VersionState
from agents.registry import nearest
from audit.actors import Actor


def team(name: str, actor: Actor) -> Team:
    found = Team.objects.visible_to(actor).filter(name=name).first()
    if found is None:
        raise UnknownTeam(f"there is no team '{name}' that you may see")
    return found


def agent(name: str, actor: Actor) -> Agent:
    rows = Agent.objects.visible_to(actor)
    found = rows.select_related("team").filter(name=name).first()
    if found is None:
        raise UnknownAgent(f"there is no agent '{name}'{nearest(name, rows.values_list('name', flat=True))}")
    return found


def pipeline(name: str, actor: Actor) -> Pipeline:
    rows = Pipeline.objects.visible_to(actor)
    found = rows.select_related("team", "current_release").filter(name=name).first()
    if found is None:
        raise UnknownPipeline(f"there is no pipeline '{name}'{nearest(name, rows.values_list('name', flat=True))}")
    return found


def version(owner: Agent | Pipeline, number: int) -> Version:
    found = Version.objects.of(owner).select_related("agent", "pipeline").filter(number=number).first()
    if found is None:
        raise NoSuchVersion(f"'{owner.name}' has no version {number}")
    return found


def release(digest: str, actor: Actor) -> Release:
    rows = Release.objects.visible_to(actor).select_related("pipeline")
    found = list(rows.filter(digest__startswith=digest).order_by("digest")[:2])
    if len(found) == 1:
        return found[0]
    raise NoSuchRelease(f"{'several releases begin' if found else 'no release that you may see begins'} with {digest}")


def alias(name: str, actor: Actor) -> ModelAlias:
    found = ModelAlias.objects.visible_to(actor).select_related("team").filter(name=name).first()
    if found is None:
        raise UnknownAlias(f"there is no model alias '{name}' that you may see")
    return found


def stands(owner: Agent | Pipeline) -> dict[str, int | None]:
    """The numbers of the published version and of the draft."""
    rows = Version.objects.of(owner).filter(state__in=[VersionState.PUBLISHED, VersionState.DRAFT])
    numbers = dict(rows.values_list("state", "number"))
    return {"published": numbers.get(VersionState.PUBLISHED), "draft": numbers.get(VersionState.DRAFT)}
