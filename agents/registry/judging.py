"""Whether what a folder says could be published, before anything of it is a row.

The rules are `agents.validation`'s; here it is put together which agents they are applied to. Called by applying.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import Any

from agents.contracts import schema_problems
from agents.models import Agent, Pipeline, Team, Version
from agents.spec import Document, Problem
from audit.actors import Actor

from . import pinning
from .composing import Composition, agents_named, compose, refusals
from .preparing import Prepared


def unpublishable(prepared: Prepared, actor: Actor) -> list[Problem]:
    """Why the folder can't be published; an agent that is not in it counts as it is published, if the actor may see it, or not at all."""
    parsed = prepared.parsed
    documents = {document.name: document for document in parsed.every("pipeline")}
    named = {name for document in documents.values() for name in agents_named(document.spec)}
    found = [*prepared.gaps]
    for document in parsed.agents:
        if document.name not in named:  # of the others validation says it
            found += _missing_contracts(document, prepared)
    here = _agents_here(prepared)
    aliases = {document.name: document.spec for document in parsed.models}
    ordered, circular = pinning.children_first({name: document.spec for name, document in documents.items()})
    found += [Problem(documents[name].file, documents[name].line, pinning.cycle_of(sorted(circular))) for name in sorted(circular)]
    pins: dict[str, pinning.Pin] = {}
    for document in (documents[name] for name in ordered):
        version = Version(pipeline=Pipeline(name=document.name), spec=document.spec)
        composition = compose(version, actor=actor, drafts=False, instead=here, aliases=aliases, pins=pins)
        doubtful = _doubtful(prepared, composition, unknown=documents.keys() - pins.keys() | parsed.spoilt - here.keys())
        composition = _without(composition, doubtful)
        found += refusals(composition, document, uncompiled=prepared.uncompiled, doubtful=doubtful)
        if document.name not in parsed.spoilt and not (_is_incomplete(composition) or _has_faults(document)):
            manifest = composition.manifest()
            pins[document.name] = pinning.pin_of(manifest, composition.digest(), actor=actor)
    return list(dict.fromkeys(found))


def _is_incomplete(composition: Composition) -> bool:
    return bool(agents_named(composition.pipeline.spec) - composition.agents.keys() or composition.unusable)


def _has_faults(document: Document) -> bool:
    """Whether its contract is none, so that nothing can be said of whoever keeps to it."""
    return any(schema_problems(schema) for schema in (document.spec.get("input"), document.spec.get("output")) if schema is not None)


def _agents_here(prepared: Prepared) -> dict[str, Version]:
    """The folder's agents as far as they can be judged."""
    teams, unsure = teams_once_published(prepared), _unsure_teams(prepared)
    specs = [(document, _judged(document, unsure=document.spec["team"] in unsure)) for document in prepared.parsed.every("agent")]
    return {
        document.name: Version(agent=Agent(name=document.name, team=teams[document.spec["team"]]), spec=spec)
        for document, spec in specs
        if spec is not None
    }


def _judged(document: Document, *, unsure: bool) -> dict[str, Any] | None:
    """An agent's spec in which whatever is wrong by a problem of its own has a value that no rule minds; None where too little would be left."""
    said, unread = document.spec, document.unread
    if said["run"] is None or any(unread.touches((key,)) for key in ("role", "run", "mode")):
        return None
    spared: dict[str, Any] = {}
    for side in ("input", "output"):
        unknown = said[side] is None and said["executable"] is None
        if unknown or unread.touches((side,)) or (said[side] is not None and schema_problems(said[side])):
            spared[side] = {}
    if unread.touches(("timeout_ms",)):
        spared["timeout_ms"] = 1
    if unread.touches(("uses",)) or unread.touches(("permissions",)) or unsure:
        spared["uses"] = []
    return said | spared if spared else said


def _unsure_teams(prepared: Prepared) -> set[str]:
    """Teams of which it can't be read what they grant and enforce."""
    parsed = prepared.parsed
    written = {document.name: document.unread for document in parsed.every("team")}
    unread = {name for name, one in written.items() if one.touches(("permissions",)) or one.touches(("observe",))}
    return unread | {name for document in parsed.every("agent") if (name := document.spec["team"]) not in written and parsed.may_hold(name)}


def teams_once_published(prepared: Prepared) -> dict[str, Team]:
    """The teams of the folder's agents, with what they will grant and enforce."""
    names = {document.spec["team"] for document in prepared.parsed.every("agent")}
    teams = {name: Team(name=name) for name in names} | {team.name: team for team in Team.objects.filter(name__in=names)}
    for document in prepared.parsed.every("team"):
        if document.name in teams and "permissions" in document.spec:
            teams[document.name].permissions = document.spec["permissions"]
        if document.name in teams and "observe" in document.spec:
            teams[document.name].observe = document.spec["observe"]
    return teams


def _doubtful(prepared: Prepared, composition: Composition, *, unknown: Set[str]) -> frozenset[str]:
    """What may be missing or another than is stored only for a problem of another document, which is said already: to judge these would mislead."""
    missing = agents_named(composition.pipeline.spec) - composition.agents.keys() | composition.unusable.keys()
    return frozenset(unknown | (missing if "" in prepared.parsed.spoilt else set()))


def _without(composition: Composition, doubtful: Set[str]) -> Composition:
    agents = {name: one for name, one in composition.agents.items() if name not in doubtful}
    return replace(composition, agents=agents, pipelines={name: pin for name, pin in composition.pipelines.items() if name not in doubtful})


def _missing_contracts(document: Document, prepared: Prepared) -> list[Problem]:
    """What the child already said of this agent's hints is not said twice."""
    if document.spec.get("executable") is None or any(gap.line == document.line_of(("run",)) and gap.file == document.file for gap in prepared.gaps):
        return []
    missing = [side for side in ("input", "output") if document.spec.get(side) is None]
    return [Problem(document.file, document.line, f"agent '{document.name}' has no {side} contract; write `{side}:`") for side in missing]
