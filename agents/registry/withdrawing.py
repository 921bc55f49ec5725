"""What a publication of permissions takes from what runs already: uses of agents that were allowed and would be refused from then on.

Reads rows and refuses nothing: whoever takes a permission back must be able to, and must know what that breaks. Called by applying and publishing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import Q

from agents import validation
from agents.grants import readable
from agents.models import Agent, Pipeline, Standing, Team, Version, VersionState
from agents.spec import Document
from agents.spec.permissions import instant_said
from audit.actors import Actor

from . import composing
from .preparing import Prepared

MOST_NAMED: Final = 10
Held = Mapping[str, tuple[Sequence[str], bool]]
"""The permissions that agents will be judged by, their own and their team's, and whether they are only observed."""


def held_once_published(prepared: Prepared) -> Held:
    """Of every agent whose permissions, or whose team's, the folder says."""
    granting = {document.name: document.spec for document in prepared.parsed.teams if document.spec.keys() & {"permissions", "observe"}}
    said = {document.name: document.spec for document in prepared.parsed.agents}
    rows = Agent.objects.select_related("team").filter(Q(team__name__in=granting) | Q(name__in=said))
    stored = {team.name: team for team in Team.objects.filter(name__in={one["team"] for one in said.values()})}
    held = {}
    for row in rows:
        own, name = (said[row.name]["permissions"], said[row.name]["team"]) if row.name in said else (row.permissions, row.team.name)
        team, spec = row.team if name == row.team.name else stored.get(name, Team(name=name)), granting.get(name, {})
        held[row.name] = ([*own, *spec.get("permissions", team.permissions)], spec.get("observe", team.observe))
    return held


def held_by(versions: Iterable[Version]) -> Held:
    """Of the agents of these versions, once they are published."""
    judged = {version.owner.name: composing.judged_by(version) for version in versions}
    return {name: (said["permissions"], said["observe"]) for name, said in judged.items()}


def left_without(held: Held, *, apart_from: Collection[str], actor: Actor, now: datetime) -> list[str]:
    """A sentence for each use that was allowed and no longer will be, with the pipelines that run it.

    `apart_from`: pipelines that are published together with this, whose uses publishing judges itself.
    """
    rows = Agent.objects.select_related("team").filter(name__in=list(held)).exclude(state=Standing.RETIRED).order_by("name")
    agents = [row for row in rows if (list(held[row.name][0]), held[row.name][1]) != (row.in_force, row.team.observe)]
    using = composing.users_of(row.name for row in agents)
    live = _published(agents)
    found: list[str] = []
    for row in agents:
        pipelines = [one for one in using[row.name] if one.name not in apart_from]
        specs = [(_pinned(one, row.name), one) for one in pipelines] if using[row.name] else [(live.get(row.name, {}), None)]
        found += _of_agent(row, held[row.name], specs, actor, now)
    return found


def _of_agent(
    row: Agent, held: tuple[Sequence[str], bool], specs: Iterable[tuple[Mapping[str, Any], Pipeline | None]], actor: Actor, now: datetime
) -> Iterator[str]:
    """Each use once, whichever of the pipelines run a version that has it."""
    losing: dict[tuple[str, str], list[Pipeline]] = {}
    for spec, pipeline in specs:
        uses = spec.get("uses", ())
        before = {use for use, _ in validation.refused_uses(uses, row.in_force, now, observe=row.team.observe)}
        for use, reason in validation.refused_uses(uses, held[0], now, observe=held[1]):
            if use not in before:
                losing.setdefault((use, reason), []).extend([pipeline] if pipeline is not None else [])
    for (use, reason), pipelines in losing.items():
        yield f"agent '{row.name}' uses {use!r:.200} and {reason}; {_who_fails(pipelines, actor)}"


def _who_fails(pipelines: Sequence[Pipeline], actor: Actor) -> str:
    seen, others = composing.shown(pipelines, actor)
    named = [f"pipeline '{one.name}' (team '{one.team.name}')" for one in seen[:MOST_NAMED]]
    more = [f"{len(seen) - MOST_NAMED} others"] if len(seen) > MOST_NAMED else []
    every = [*named, *more, *([composing.of_other_teams(others)] if others else [])]
    return f"until that is mended it fails in {', '.join(every)}" if every else "no published pipeline runs it"


def _pinned(pipeline: Pipeline, agent: str) -> Mapping[str, Any]:
    assert pipeline.current_release is not None  # it uses the agent by its release
    spec: Mapping[str, Any] = pipeline.current_release.manifest["agents"][agent]["spec"]
    return spec


def _published(agents: Iterable[Agent]) -> dict[str, Mapping[str, Any]]:
    rows = Version.objects.filter(agent__in=[row.pk for row in agents], state=VersionState.PUBLISHED).select_related("agent")
    return {row.owner.name: row.spec for row in rows}


def ended(prepared: Prepared, now: datetime) -> list[str]:
    """Permissions of the folder's documents that hold no more, each with its line: what they were for is refused, or soon to be tidied up."""
    documents: list[Document] = [*prepared.parsed.teams, *prepared.parsed.agents, *prepared.parsed.pipelines]
    return [
        f"{one.file}:{one.line_of(('permissions', index))}: {one.kind} '{one.name}': {rule.words!r:.120} held only until "
        f"{instant_said(rule.until)} and says nothing any more; give it a later `until`, or take it out"
        for one in documents
        for index, text in enumerate(one.spec.get("permissions") or ())
        if (rule := readable(text)) is not None and rule.until is not None and rule.until <= now
    ]
