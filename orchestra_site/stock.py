"""What there is, as values: agents, pipelines, teams and aliases with how they stand and what they did lately; versions and releases of one.

Reads agents and runs together, which neither of those apps may. Called by the command `inventory` and its address; changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import Count

from agents.api import finding, rendering
from agents.errors import UnknownAgent
from agents.models import Agent, AgentQuerySet, ModelAlias, Pipeline, Release, Team, Version, VersionState
from agents.registry import nearest, versions_run
from audit import clock
from audit.actors import Actor
from audit.visible import visible
from orchestra_site.admin.inventory import lately_of
from runs import services

Record = dict[str, Any]
MOST: Final = 1_000
MOST_OF_ONE: Final = 100
AT_ONCE: Final = 50
MOST_READ: Final = 200
"""Pipelines whose newest runs are held against the ledger together: the results of these are read for that, and some are large."""


def agents(actor: Actor, team: str | None = None, name: str | None = None) -> list[Record]:
    """By name, each as `of_agents` says it."""
    return of_agents(list(_of(agent_rows(actor), team, name)), actor)


def agent_rows(actor: Actor) -> AgentQuerySet:
    return Agent.objects.visible_to(actor).select_related("team").prefetch_related("notices")


def of_agents(rows: Sequence[Agent], actor: Actor) -> list[Record]:
    """With its versions, what runs it, the newest run, when it last took part in a verified one (null for not lately), and whether nothing kept its
    code from the network when it was last called."""
    today, uncontained = clock.now().date(), services.uncontained_among([row.name for row in rows])
    stands, runs = _stands(Version.objects.filter(agent__in=rows), "agent_id"), versions_run([row.name for row in rows], actor=actor)
    kept = {row.pk: {**stands.get(row.pk, _NOTHING), "runs": rendering.runs(runs.get(row.name, ()))} for row in rows}
    return [
        {**rendering.agent(row, today), **kept[row.pk], "last_run": _run(did.last), "last_verified_at": _text(did.verified_at)}
        | {"uncontained": row.name in uncontained}
        for first in range(0, len(rows), AT_ONCE)
        for row, did in _with_lately(rows[first : first + AT_ONCE], actor)
    ]


def pipelines(actor: Actor, team: str | None = None, name: str | None = None) -> list[Record]:
    """By name, with the release that runs start with and the newest run as it reads now."""
    seen = Pipeline.objects.visible_to(actor).select_related("team", "current_release__version")
    rows = list(_of(seen.defer("current_release__manifest", "current_release__version__spec"), team, name))
    stands, now = _stands(Version.objects.filter(pipeline__in=rows), "pipeline_id"), clock.now()
    return [
        {
            **rendering.pipeline(row),
            **stands.get(row.pk, _NOTHING),
            "version": row.current_release.version.number if row.current_release else None,
            "last_run": _reads(newest.get(row.pk)),
        }
        for first in range(0, len(rows), MOST_READ)
        for newest in [services.newest_of_each([row.pk for row in rows[first : first + MOST_READ]], actor=actor, now=now)]
        for row in rows[first : first + MOST_READ]
    ]


def teams(actor: Actor, team: str | None = None) -> list[Record]:
    """By name, with how much each owns."""
    rows = _of(Team.objects.visible_to(actor), None, team)
    counted = rows.model._default_manager.filter(pk__in=[row.pk for row in rows])  # noqa: SLF001 - Django's way to a model's manager
    owned = {what: dict(counted.annotate(number=Count(what)).values_list("pk", "number")) for what in ("agents", "pipelines")}
    return [{**rendering.team(row), **{what: numbers[row.pk] for what, numbers in owned.items()}} for row in rows]


def aliases(actor: Actor, team: str | None = None) -> list[Record]:
    """By name; a secret is a reference."""
    return [rendering.alias(row) for row in _of(ModelAlias.objects.visible_to(actor).select_related("team"), team, None)]


KINDS: Final[dict[str, Callable[..., list[Record]]]] = {"agents": agents, "pipelines": pipelines, "teams": teams, "aliases": aliases}


def one(name: str, actor: Actor) -> Record:
    """An agent or a pipeline with its newest versions, a pipeline with its newest releases; a team with what it owns. UnknownAgent for none."""
    owners: list[Any] = [*Agent.objects.visible_to(actor).filter(name=name), *Pipeline.objects.visible_to(actor).filter(name=name)]
    if not owners:
        return _team(name, actor)
    owner = owners[0]
    versions = Version.objects.of(owner).select_related("agent", "pipeline").defer("spec").order_by("-number")[:MOST_OF_ONE]
    found: Record = {"versions": [rendering.version(row) for row in versions]}
    if isinstance(owner, Agent):
        return {"agent": agents(actor, name=name)[0], **found}
    releases = Release.objects.filter(pipeline=owner).select_related("pipeline", "version").defer("manifest", "version__spec")[:MOST_OF_ONE]
    return {"pipeline": pipelines(actor, name=name)[0], "releases": [rendering.release(row) for row in releases], **found}


def _team(name: str, actor: Actor) -> Record:
    found = teams(actor, name)
    if not found:
        names = [each for model in (Agent, Pipeline, Team) for each in model.objects.visible_to(actor).values_list("name", flat=True)]
        raise UnknownAgent(f"there is no agent, pipeline or team '{visible(name, 80)}'{nearest(name, names)}")
    return {"team": found[0], **{kind: read(actor, name) for kind, read in KINDS.items() if kind != "teams"}}


def team_named(name: str, actor: Actor) -> str:
    """UnknownTeam where there is none."""
    return finding.team(name, actor).name


_NOTHING: Final[Record] = {"published": None, "draft": None}


def _of(rows: Any, team: str | None, name: str | None) -> Any:
    wanted = {"team__name": team, "name": name}
    return rows.filter(**{column: value for column, value in wanted.items() if value is not None}).order_by("name")[:MOST]


def _stands(versions: Any, owner: str) -> dict[Any, Record]:
    """The numbers of the published version and of the draft, of each owner."""
    found: dict[Any, Record] = {}
    rows = versions.filter(state__in=[VersionState.PUBLISHED, VersionState.DRAFT]).values_list(owner, "state", "number")
    for pk, state, number in rows:
        found.setdefault(pk, dict(_NOTHING))[str(state)] = number
    return found


def _with_lately(rows: Sequence[Agent], actor: Actor) -> list[tuple[Agent, Any]]:
    did = lately_of(rows, actor)
    return [(row, did[row.pk]) for row in rows]


def _reads(newest: services.Listed | None) -> Record | None:
    return None if newest is None else {**_at(newest.run), "reads_as": newest.outcome or str(newest.effective.state)}


def _run(listed: Any) -> Record | None:
    return None if listed is None else {**_at(listed.run), "reads_as": str(listed.word)}


def _at(run: Any) -> Record:
    return {"run": str(run.id), "at": clock.to_text(run.created_at)}


def _text(at: datetime | None) -> str | None:
    return None if at is None else clock.to_text(at)
