"""Which agent versions a pipeline would run with, and whether they may be published together.

Reads rows and decides nothing itself: the rules are `agents.validation`'s. Called by publishing, rollbacks and draft releases.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F

from agents import spec, validation
from agents.models import Agent, Pipeline, Standing, Team, Version, VersionState
from agents.spec import Document, Problem
from audit import clock
from audit.actors import Actor
from audit.canonical import digest

from . import modelling, pinning
from .pinning import Pin

PLAIN_ABI, WAITING_ABI, SPREADING_ABI, APPROVING_ABI = 1, 2, 3, 4
"""The oldest version of the engine's semantics that can run a pipeline: 2 knows waits, compensations and child runs, 3 what spreads, 4 where
people say yes on the way."""


@dataclass(frozen=True, slots=True)
class Composition:
    """A pipeline version with the versions of all agents it names; `lineage` are versions that only R4 looks at."""

    pipeline: Version
    agents: Mapping[str, Version]
    lineage: Mapping[str, Version] = field(default_factory=dict)
    aliases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    foreign: frozenset[str] = frozenset()
    pipelines: Mapping[str, Pin] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)
    """Why pipelines that it names can't be pinned."""
    others: frozenset[str] = frozenset()
    """Where it names an agent that there isn't: those that there are, one of which may have been meant."""

    def manifest(self) -> dict[str, Any]:
        """What a release is the digest of."""
        return {
            "v": 1,
            "engine_abi": abi_of(self.pipeline.spec),
            "pipeline": {"name": self.pipeline.owner.name, **pinned(self.pipeline)},
            "agents": {name: pinned(version) for name, version in sorted(self.agents.items())},
            **({"aliases": dict(self.aliases)} if self.aliases else {}),
            **({"pipelines": dict(self.pipelines)} if self.pipelines else {}),
        }

    def digest(self) -> str:
        """The release's digest."""
        return digest(self.manifest())

    def numbers(self) -> dict[str, int]:
        """Agent names with version numbers."""
        return {name: version.number for name, version in sorted(self.agents.items())}


def pinned(version: Version) -> dict[str, Any]:
    """A version as a manifest holds it."""
    return {"version": version.number, "digest": version.digest, "spec": version.spec}


def abi_of(pipeline: Mapping[str, Any]) -> int:
    """Which engine it takes: a release says the oldest one, so that an engine leaves alone what it can't carry out."""
    return max((_abi_of(node) for node in _nodes(pipeline["steps"])), default=PLAIN_ABI)


def _abi_of(node: Mapping[str, Any]) -> int:
    if node.get("kind") == "approval" or "approve_when" in node:
        return APPROVING_ABI
    if "spread" in node:
        return SPREADING_ABI
    return WAITING_ABI if node.get("kind") in ("wait", "pipeline") or node.keys() & {"compensate", "lookup"} else PLAIN_ABI


def starts_runs(manifest: Mapping[str, Any]) -> bool:
    """Whether runs of this release may have runs below them. Most have not, and nobody need look for them."""
    spreads = manifest["engine_abi"] >= SPREADING_ABI and any("spread" in node for node in _nodes(manifest["pipeline"]["spec"]["steps"]))
    return bool(manifest.get("pipelines")) or spreads


def agents_named(pipeline: Mapping[str, Any]) -> set[str]:
    """Every agent that a normalised pipeline names: steps, fallbacks, verifiers, at any depth."""
    return {name for node in [*pipeline["steps"], pipeline["verify"] or {}] for name in _named(node)}


def _named(node: Any) -> Iterable[str]:
    for inner in _nodes(node):
        yield from (inner[key] for key in ("agent", "fallback", "lookup") if isinstance(inner.get(key), str))
        yield from (undo["agent"] for undo in [inner.get("compensate")] if undo is not None and undo["agent"])


def _nodes(node: Any) -> Iterable[Mapping[str, Any]]:
    """A node, a case or a list of them, and all that stand inside."""
    if isinstance(node, list):
        for inner in node:
            yield from _nodes(inner)
    elif isinstance(node, dict):
        yield node
        for key in ("do", "cases", "branches"):
            inner = node.get(key)
            yield from _nodes(list(inner.values()) if isinstance(inner, dict) else inner)


def compose(
    pipeline: Version,
    *,
    actor: Actor,
    drafts: bool,
    instead: Mapping[str, Version] | None = None,
    aliases: Mapping[str, Mapping[str, Any]] | None = None,
    pins: Mapping[str, Pin] | None = None,
) -> Composition:
    """The pipeline with its agents' published versions; `instead` ones come first, with `drafts` then each agent's draft.

    Model aliases, and the releases of the pipelines that it runs, are those of now, except where `aliases` and `pins` say what they are.
    A name stands for something only as far as the actor may see it: whoever could name what isn't shown to them would run it, and read
    it in the release.
    """
    named = agents_named(pipeline.spec)
    known: dict[str, Version] = {}
    wanted = set(named)
    while wanted:
        given = {name: one for name, one in (instead or {}).items() if name in wanted}
        found = {**_versions(wanted - given.keys(), actor, drafts=drafts), **given}
        known.update(found)
        parents = {version.spec.get("derived_from") for version in found.values()}
        wanted = {name for name in parents if name} - known.keys()
    used = {name: version for name, version in known.items() if name in named}
    others = {*(instead or {}), *Agent.objects.visible_to(actor).values_list("name", flat=True)} if named - used.keys() else ()
    lineage = {name: version for name, version in known.items() if name not in named}
    as_they_are = aliases or {}
    asked = (used.values(), as_they_are, actor)
    run = pinning.named_by(pipeline.spec)
    given_pins = {name: pin for name, pin in (pins or {}).items() if name in run}
    found_pins, unusable = pinning.current(run - given_pins.keys(), actor=actor)
    pipelines = dict(sorted({**found_pins, **given_pins}.items()))
    return Composition(pipeline, used, lineage, modelling.pinned(*asked), modelling.foreign(*asked), pipelines, unusable, frozenset(others))


def _versions(names: set[str], actor: Actor, *, drafts: bool) -> dict[str, Version]:
    states = [VersionState.PUBLISHED, VersionState.DRAFT] if drafts else [VersionState.PUBLISHED]
    rows = Version.objects.visible_to(actor).select_related("agent__team").filter(agent__name__in=names, state__in=states)
    best: dict[str, Version] = {}
    for version in sorted(rows, key=lambda row: row.state == VersionState.DRAFT):
        best[version.owner.name] = version
    return best


def refusals(
    composition: Composition, document: Document | None = None, *, uncompiled: Collection[str] = (), doubtful: Collection[str] = ()
) -> list[Problem]:
    """What forbids to publish this, each with its place: file and line, or the path in the spec where no file is at hand.

    Of `uncompiled` expressions and of agents and pipelines that are `doubtful` it is said already what is wrong.
    """
    everybody = {**composition.lineage, **composition.agents}
    agents = {name: {**one.spec, **judged_by(one), "executable": spec.executable(one.spec, composition.aliases)} for name, one in everybody.items()}
    line_of: Callable[[spec.Path], int] = document.line_of if document else lambda _path: 1
    name = composition.pipeline.owner.name
    pins, unusable = composition.pipelines, composition.unusable
    found = validation.check(
        composition.pipeline.spec,
        agents,
        line_of=line_of,
        pipelines=pins,
        unusable=unusable,
        others=composition.others,
        now=clock.now(),
        uncompiled=uncompiled,
        unread=document.unread if document else spec.Unread(),
        doubtful=doubtful,
    )
    unasked = [*_unknown_aliases(composition), *_out_of_use(composition)]
    if document is not None:
        return [Problem(document.file, line, message) for line, message in [*((one.line, one.message) for one in found), *unasked]]
    said = [f"{'.'.join(map(str, refusal.path))}: {refusal.message}" for refusal in found]
    return [Problem(f"pipeline '{name}'", 1, message) for message in [*said, *(message for _, message in unasked)]]


def judged_by(version: Version) -> dict[str, Any]:
    """The permissions that its agent would have: the version's, and those of its team, into which a publication moves it, and whether that
    team's agents are only observed.
    """
    assert version.agent is not None  # one of an agent
    team, named = version.agent.team, version.spec["team"]
    team = team if team.name == named else Team.objects.get(name=named)
    return {"permissions": [*version.spec["permissions"], *team.permissions], "observe": team.observe}


def _out_of_use(composition: Composition) -> list[tuple[int, str]]:
    """Agents that are retired: nothing would be sent to them."""
    gone = Agent.objects.filter(name__in=list(composition.agents), state=Standing.RETIRED).order_by("name")
    return [(1, f"agent '{name}' is retired; `manage.py reinstate {name}` brings it back") for name in gone.values_list("name", flat=True)]


def _unknown_aliases(composition: Composition) -> list[tuple[int, str]]:
    """Stored agents that ask an alias which nobody shows to the actor; of a folder's own (they have no digest yet) applying says it."""
    asked = {name: spec.alias_of(version.spec) for name, version in sorted(composition.agents.items()) if version.digest}
    said = {name: f"there is no model alias '{alias}'" for name, alias in asked.items() if alias and alias not in composition.aliases}
    for name, version in sorted(composition.agents.items()):
        if (alias := spec.alias_of(version.spec)) in composition.foreign:
            said[name] = f"model alias '{alias}' spends the key of a team that you are not a member of; ask one of its people to publish this"
    return [(1, f"agent '{name}': {message}") for name, message in said.items()]


def shown(pipelines: Iterable[Pipeline], actor: Actor) -> tuple[list[Pipeline], int]:
    """Those that the actor may see, and how many others there are: their names are their teams' own."""
    every = list(pipelines)
    seen = [one for one in every if actor.sees_everything or one.team.name in actor.sees]
    return seen, len(every) - len(seen)


def of_other_teams(number: int) -> str:
    """Pipelines that are counted where their names may not stand."""
    return f"{number} pipeline{'' if number == 1 else 's'} of other teams"


def many_use(name: str) -> int:
    """How many pipelines run this agent, whoever may see them; none that is retired."""
    return Pipeline.objects.exclude(state=Standing.RETIRED).filter(current_release__uses__agent=name).count()


def users_of(names: Iterable[str]) -> dict[str, list[Pipeline]]:
    """The pipelines whose current release holds each of these agents, by name."""
    using: dict[str, list[Pipeline]] = {name: [] for name in names}
    pipelines = Pipeline.objects.filter(current_release__uses__agent__in=list(using)).annotate(agent=F("current_release__uses__agent"))
    for pipeline in pipelines.select_related("team", "current_release").order_by("name"):
        using[pipeline.agent].append(pipeline)  # type: ignore[attr-defined] # annotated above
    return using
