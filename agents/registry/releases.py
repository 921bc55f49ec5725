"""Releases: made once by digest, made current by publishing and rolling back, handed to runs.

A run asks here which release it gets. Knows validation only through `composing`.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from uuid import UUID

from django.db import transaction

from agents.errors import NotPublishable, NotPublished, Retired, UnknownPipeline
from agents.models import Pipeline, Release, ReleaseUse, Standing, Team, Version
from audit import bulk, clock
from audit.actors import Actor
from audit.errors import Conflict

from . import deeds, modelling, pinning, verbs
from .changes import MadeRelease
from .composing import Composition, compose, refusals
from .versions import newest, published
from .writing import Turn, require


def release_for(pipeline_name: str, *, draft: bool, actor: Actor, now: datetime | None = None) -> Release:
    """The release that a run of this pipeline gets: the current one, or one of the newest drafts.

    UnknownPipeline (also for one that the actor may not see), NotGranted (for whoever may only look), Retired, NotPublished, or
    NotPublishable with `problems` for drafts that could never be published. Opens a transaction of its own, or joins the caller's.
    """
    return release_of(pipeline_to_run(pipeline_name, actor=actor), draft=draft, actor=actor, now=now)


def pipeline_to_run(name: str, *, actor: Actor) -> Pipeline:
    """The pipeline, for somebody who may start it; whether it has anything to start is another question. UnknownPipeline, NotGranted."""
    pipeline = pipeline_named(name, actor)
    require(actor.may_start_run_of(pipeline.team.name, name), actor, pipeline.team.name, f"pipeline '{pipeline.name}'")
    return pipeline


def release_of(pipeline: Pipeline, *, draft: bool, actor: Actor, now: datetime | None = None) -> Release:
    """As `release_for`, of a pipeline that was found already. Retired, NotPublished, NotPublishable."""
    if pipeline.state == Standing.RETIRED:
        raise Retired(f"pipeline '{pipeline.name}' is retired and starts no runs; `manage.py reinstate {pipeline.name}` brings it back")
    if draft:
        return _draft_release(pipeline, actor, now)
    if pipeline.current_release_id is None:
        raise NotPublished(
            f"pipeline '{pipeline.name}' is not published yet: apply its folder with --publish, or run its draft with --draft",
            pipeline=pipeline.name,
        )
    release = copy(_release(pipeline.current_release_id))
    release.pipeline = pipeline  # as it is now, with its team
    return release


@lru_cache(maxsize=256)
def _release(release: UUID) -> Release:
    """Releases never change, and their manifests are long: each is read once per process."""
    return Release.objects.get(pk=release)


def pipeline_named(name: str, actor: Actor) -> Pipeline:
    """The pipeline, if the actor may see it; the error names the nearest ones that they may see."""
    visible = Pipeline.objects.visible_to(actor)
    found = bulk.read_pairs(Pipeline, Team, on=("team", "id"), match=["name"], rows=[[name]]) if name.isprintable() else []
    if not found or not (actor.sees_everything or visible.filter(name=name).exists()):
        raise UnknownPipeline(f"there is no pipeline '{name[:80]}'{nearest(name, visible.values_list('name', flat=True))}", pipeline=name[:80])
    pipeline, team = found[0]
    pipeline.team = team
    return pipeline


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean a or b?`, or where to look if nothing is near."""
    known = sorted(names)
    near = get_close_matches(name, known, n=3)
    if near:
        return "; did you mean " + " or ".join(f"'{one}'" for one in near) + "?"
    if known:
        return "; there is " + ", ".join(f"'{one}'" for one in known[:10]) + (" and others" if len(known) > 10 else "")
    return "; there is none yet that you may see: `manage.py new pipeline NAME` writes one, `manage.py apply -f FOLDER` stores it"


def make(turn: Turn, composition: Composition) -> Release:
    """The release of this composition, get-or-create by digest."""
    said = composition.digest()
    pipeline = composition.pipeline.pipeline
    assert pipeline is not None
    release, created = Release.objects.get_or_create(
        digest=said,
        defaults={"pipeline": pipeline, "version": composition.pipeline, "manifest": composition.manifest(), "created_at": turn.now},
    )
    if created:
        ReleaseUse.objects.bulk_create([ReleaseUse(release=release, agent=name) for name in sorted(composition.agents)])
        facts = {"digest": said, "version": composition.pipeline.number, "agents": len(composition.agents)}
        turn.note(verbs.RELEASE_MADE, pipeline.subject, team=pipeline.team.name, facts=facts, openings={"agents": composition.numbers()})
    return release


def make_current(turn: Turn, pipeline: Pipeline, release: Release) -> MadeRelease | None:
    """Runs start with this release from now on; None if they did already. Conflict where another one became current since it was read."""
    if pipeline.current_release_id == release.pk:
        return None
    before = pipeline.current_release.digest if pipeline.current_release else None
    if not Pipeline.objects.filter(pk=pipeline.pk, current_release=pipeline.current_release_id).point_at(release.pk):
        raise Conflict(f"pipeline '{pipeline.name}' was published by somebody else at this moment; look and repeat")
    pipeline.current_release = release
    turn.touched.add(pipeline.team.name)
    Release.objects.filter(pk=release.pk).update(published_at=turn.now)
    deeds.note_published(turn, release)
    turn.note(verbs.RELEASE_PUBLISHED, pipeline.subject, team=pipeline.team.name, facts={"digest": release.digest, "before": before})
    pinned = {name: agent["version"] for name, agent in sorted(release.manifest["agents"].items())}
    version, models = release.manifest["pipeline"]["version"], modelling.meanings(release.manifest)
    made = MadeRelease(pipeline.name, version, release.digest, pinned, before, models)
    turn.released.append(made)
    return made


def _draft_release(pipeline: Pipeline, actor: Actor, now: datetime | None, above: tuple[str, ...] = ()) -> Release:
    with transaction.atomic():
        version = newest(pipeline)
        assert version is not None  # a pipeline is created together with its first version
        turn = Turn(actor, now or clock.now())
        pins = _draft_pins(version, actor, now, (*above, pipeline.name))
        composition = compose(version, actor=actor, drafts=True, pins=pins)
        if decided := _decided_elsewhere(composition):
            composition = compose(version, actor=actor, drafts=True, instead=decided, pins=pins)
        if problems := refusals(composition):
            raise NotPublishable(f"the draft of pipeline '{pipeline.name}' can't run", problems=problems)
        release = make(turn, composition)
        _refuse_undecided(composition, release)
        turn.close()
    return release


def _decided_elsewhere(composition: Composition) -> dict[str, Version]:
    """Of agents of other teams that have people decide, what these have said yes to: their drafts keep nobody from trying a pipeline."""
    own = composition.pipeline.owner.team.name
    drafts = [each.owner for each in composition.agents.values() if each.published_at is None and each.owner.team.publishing]
    return {owner.name: live for owner in drafts if owner.team.name != own and (live := published(owner)) is not None}


def _refuse_undecided(composition: Composition, release: Release) -> None:
    """What people say yes to before it runs doesn't run as a draft, with the permissions of what they have said yes to.

    Of a pipeline neither a release that never was published: what models aliases stand for, and agents and pipelines of other teams, are new in it.
    """
    drafts = [each for each in (composition.pipeline, *composition.agents.values()) if each.published_at is None]
    if release.published_at is None:
        drafts.append(composition.pipeline)
    first = next((version for version in drafts if version.owner.team.publishing), None)
    if first is not None:
        propose = f"propose it (`manage.py publish {first.owner.name}`), or try it in a team that has none decide"
        raise NotPublishable(
            f"people of team '{first.owner.team.name}' say yes before something of it runs, so no draft of it does: {propose}", problems=[]
        )


def _draft_pins(version: Version, actor: Actor, now: datetime | None, above: tuple[str, ...]) -> dict[str, pinning.Pin]:
    """The newest drafts of the pipelines that this one runs, too. What can't be started is left for the composition to refuse."""
    named = pinning.named_by(version.spec)
    if again := sorted(named & set(above)):
        raise NotPublishable(f"the draft of pipeline '{above[0]}' can't run: {pinning.cycle_of(again)}", problems=[pinning.cycle_of(again)])
    rows = Pipeline.objects.visible_to(actor).select_related("team").filter(name__in=named).exclude(state=Standing.RETIRED) if named else []
    usable = [row for row in rows if actor.belongs_to(row.team.name)]
    made = {row.name: _draft_release(row, actor, now, above) for row in usable}
    return {name: pinning.pin_of(release.manifest, release.digest, actor=actor) for name, release in made.items()}
