"""What a release pins of the pipelines that it runs: one release of each, what it takes and gives, its limits, and who works in it (R4).

A pin names a release by digest, and that one its own, so no pipeline can ever run itself. Called by composing; decides no refusal but whose
a pipeline is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agents import spec, validation
from agents.models import Pipeline, Standing, Version, VersionState
from audit.actors import Actor

Pin = Mapping[str, Any]


def pin_of(manifest: Mapping[str, Any], release: str, *, actor: Actor) -> dict[str, Any]:
    """A release as a manifest above it holds it. Lineage goes on through ancestors that only rows know, as far as the actor may see them."""
    pipeline, below = manifest["pipeline"]["spec"], manifest.get("pipelines", {})
    agents = _agents(manifest)
    working = validation.performers(pipeline["steps"])
    known = {**_ancestors(working, agents, actor), **agents}
    workers = {name: {"name": name, "executable": agents[name]["executable"], "lineage": sorted(validation.lineage(name, known))} for name in working}
    for pin in below.values():
        workers |= {worker["name"]: worker for worker in pin["workers"] if worker["name"] not in workers}
    return {
        "release": release,
        "version": manifest["pipeline"]["version"],
        "team": pipeline["team"],
        "input": pipeline["input"],
        "output": validation.result_schema(pipeline, agents, pipelines=below),
        "limits": pipeline["limits"],
        "height": 1 + validation.height(pipeline["steps"], below),
        "acts": any(agents[name]["role"] == "act" for name in working) or any(pin["acts"] for pin in below.values()),
        "workers": [workers[name] for name in sorted(workers)],
    }


def _agents(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    aliases = manifest.get("aliases", {})
    specs = {name: frozen["spec"] for name, frozen in manifest["agents"].items()}
    return {name: {**one, "executable": spec.executable(one, aliases)} for name, one in specs.items()}


def _ancestors(names: Iterable[str], agents: Mapping[str, Mapping[str, Any]], actor: Actor) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    wanted = {agents[name].get("derived_from") for name in names} - agents.keys() - {None}
    while wanted:
        rows = Version.objects.visible_to(actor).select_related("agent").filter(agent__name__in=wanted, state=VersionState.PUBLISHED)
        level = {row.owner.name: row.spec for row in rows}
        found |= level
        wanted = {one.get("derived_from") for one in level.values()} - found.keys() - agents.keys() - {None}
    return found


# --- which pipelines are named, and in what order --------------------------------------------------------------------


def named_by(pipeline: Mapping[str, Any]) -> set[str]:
    """The pipelines that this one runs, at any depth of its nodes."""
    found: set[str] = set()
    pending = list(pipeline["steps"])
    while pending:
        node = pending.pop()
        if node["kind"] == "pipeline" and node["pipeline"]:
            found.add(node["pipeline"])
        pending += [inner for body in validation.bodies(node) for inner in body]
    return found


def children_first(pipelines: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], set[str]]:
    """Names of these specs, each after those that it runs; and those that would run themselves, which have no such order."""
    below = {name: named_by(one) & pipelines.keys() for name, one in pipelines.items()}
    ordered: list[str] = []
    while ready := sorted(name for name, others in below.items() if name not in ordered and others <= set(ordered)):
        ordered += ready
    return ordered, pipelines.keys() - set(ordered)


# --- what is current -------------------------------------------------------------------------------------------------


def current(names: Iterable[str], *, actor: Actor) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Pins of the releases that these pipelines run now, and why the others can't be pinned. Whoever pins one must be somebody who may start it."""
    wanted = sorted(names)
    rows = Pipeline.objects.visible_to(actor).select_related("team", "current_release").filter(name__in=wanted) if wanted else []
    found = {row.name: row for row in rows}
    pins, unusable = {}, {}
    for name in wanted:
        reason = _unusable(found.get(name), name, actor)
        release = None if reason else found[name].current_release
        if release is None:
            unusable[name] = reason or f"pipeline {name!r} is not published yet; publish it first"
        else:
            pins[name] = pin_of(release.manifest, release.digest, actor=actor)
    return pins, unusable


def _unusable(pipeline: Pipeline | None, name: str, actor: Actor) -> str | None:
    if pipeline is None:
        return f"there is no pipeline {name!r}"
    if not actor.belongs_to(pipeline.team.name):
        return f"pipeline {name!r} belongs to team '{pipeline.team.name}' and only its members start it; ask one of them to publish this"
    if pipeline.state == Standing.RETIRED:
        return f"pipeline {name!r} is retired; `manage.py reinstate {name}` brings it back"
    return None


def parents_of(names: Iterable[str]) -> dict[str, list[Pipeline]]:
    """The pipelines whose current release runs each of these."""
    wanted = set(names)
    using: dict[str, list[Pipeline]] = {name: [] for name in wanted}
    published = Pipeline.objects.select_related("team", "current_release").filter(current_release__manifest__has_key="pipelines")
    for pipeline in published if wanted else ():
        for name in wanted & _pinned(pipeline).keys():
            using[name].append(pipeline)
    return using


def pinned_release(pipeline: Pipeline, child: str) -> str:
    """Which release of a child a pipeline runs."""
    return str(_pinned(pipeline)[child]["release"])


def _pinned(pipeline: Pipeline) -> Mapping[str, Pin]:
    release = pipeline.current_release
    return {} if release is None else release.manifest.get("pipelines", {})


def cycle_of(names: Sequence[str]) -> str:
    """What is wrong with pipelines that would run each other."""
    if len(names) == 1:
        return f"pipeline {names[0]!r} would run itself"
    return f"the pipelines {', '.join(repr(name) for name in sorted(names))} would run each other"
