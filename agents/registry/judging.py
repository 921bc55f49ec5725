"""Whether what a folder says could be published, before anything of it is a row.

The rules are `agents.validation`'s; here it is put together which agents they are applied to. Called by applying.
"""

from __future__ import annotations

from agents.models import Agent, Pipeline, Team, Version
from agents.spec import Document, Problem
from audit.actors import Actor

from . import pinning
from .composing import Composition, agents_named, compose, refusals
from .preparing import Prepared


def unpublishable(prepared: Prepared, actor: Actor) -> list[Problem]:
    """Why the folder can't be published; an agent that is not in it counts as it is published, if the actor may see it, or not at all."""
    parsed = prepared.parsed
    named = {name for document in parsed.pipelines for name in agents_named(document.spec)}
    found = [*prepared.gaps]
    for document in parsed.agents:
        if document.name not in named:  # of the others validation says it
            found += _missing_contracts(document, prepared)
    teams = teams_once_published(prepared)
    agents = [(document, Agent(name=document.name, team=teams[document.spec["team"]])) for document in parsed.agents]
    here = {document.name: Version(agent=agent, spec=document.spec) for document, agent in agents}
    aliases = {document.name: document.spec for document in parsed.models}
    documents = {document.name: document for document in parsed.pipelines}
    ordered, circular = pinning.children_first({name: document.spec for name, document in documents.items()})
    found += [Problem(documents[name].file, documents[name].line, pinning.cycle_of(sorted(circular))) for name in sorted(circular)]
    pins: dict[str, pinning.Pin] = {}
    for document in (documents[name] for name in ordered):
        version = Version(pipeline=Pipeline(name=document.name), spec=document.spec)
        composition = compose(version, actor=actor, drafts=False, instead=here, aliases=aliases, pins=pins)
        doubtful = _doubtful(prepared, document, composition)
        found += [
            one for one in refusals(composition, document, uncompiled=prepared.uncompiled) if not any(f"'{name}'" in one.message for name in doubtful)
        ]
        if not (agents_named(document.spec) - composition.agents.keys() or composition.unusable):
            manifest = composition.manifest()
            pins[document.name] = pinning.pin_of(manifest, composition.digest(), actor=actor)
    return list(dict.fromkeys(found))


def teams_once_published(prepared: Prepared) -> dict[str, Team]:
    """The teams of the folder's agents, with what they will grant and enforce."""
    names = {document.spec["team"] for document in prepared.parsed.agents}
    teams = {name: Team(name=name) for name in names} | {team.name: team for team in Team.objects.filter(name__in=names)}
    for document in prepared.parsed.teams:
        if document.name in teams and "permissions" in document.spec:
            teams[document.name].permissions = document.spec["permissions"]
        if document.name in teams and "observe" in document.spec:
            teams[document.name].observe = document.spec["observe"]
    return teams


def _doubtful(prepared: Prepared, document: Document, composition: Composition) -> set[str]:
    """Agents that may be missing or incomplete only for a problem of another document, which is said already: to judge these would mislead."""
    if not prepared.problems:
        return set()
    missing, spoilt = agents_named(document.spec) - composition.agents.keys(), prepared.parsed.spoilt
    incomplete = {name for name, version in composition.agents.items() if version.spec.get("executable") is None}
    return (missing if "" in spoilt else missing & spoilt) | incomplete


def _missing_contracts(document: Document, prepared: Prepared) -> list[Problem]:
    """What the child already said of this agent's hints is not said twice."""
    if document.spec.get("executable") is None or any(gap.line == document.line_of(("run",)) and gap.file == document.file for gap in prepared.gaps):
        return []
    missing = [side for side in ("input", "output") if document.spec.get(side) is None]
    return [Problem(document.file, document.line, f"agent '{document.name}' has no {side} contract; write `{side}:`") for side in missing]
