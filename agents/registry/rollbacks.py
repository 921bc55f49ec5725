"""Rolling back: what was published before is published again, code included (an old version names its artifact).

Without a number it returns to what was current before, so a second rollback takes the first one back.
Called by the rollback command (and by later doors).
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from agents.errors import NoSuchVersion, NotGranted, NotPublishable, NotPublished, UnknownPipeline
from agents.models import Agent, Pipeline, Release, Version
from audit import clock
from audit.actors import Actor
from audit.errors import Conflict

from . import releases, verbs, versions
from .changes import MadeRelease, RolledBack
from .composing import compose, refusals, users_of
from .writing import Turn, record_refusal, require_member


def rollback(name: str, *, actor: Actor, now: datetime | None = None, to: int | None = None) -> RolledBack:
    """Publish an older version of a pipeline or an agent again; `to` is a version number.

    A pipeline gets the release that it had; an agent's older version goes into a new release of every pipeline that runs
    the present one. UnknownPipeline, NotPublished, NoSuchVersion, Conflict (nothing to return to), NotPublishable, NotGranted.
    """
    subject = f"name:{name[:80]}"
    try:
        with transaction.atomic(durable=True):
            owner = _owner(name, actor)
            turn = Turn(actor, now or clock.now())
            subject = owner.subject
            require_member(actor, owner.team.name, f"'{owner.name}'")
            done = _agent_back(turn, owner, to) if isinstance(owner, Agent) else _pipeline_back(turn, owner, to)
            turn.close()
    except (NotPublishable, NotGranted) as error:
        problems = error.details.get("problems") or [error.message]
        record_refusal(actor, subject, now=now, problems=problems, facts={"code": error.code, "publish": True})
        raise
    return done


def _owner(name: str, actor: Actor) -> Agent | Pipeline:
    """Locked, so that two who roll back at once take turns."""
    for model in (Pipeline, Agent):
        found = model.objects.select_for_update(of=("self",)).visible_to(actor).select_related("team").filter(name=name).first()
        if found is not None:
            return found
    known = [*Pipeline.objects.visible_to(actor).values_list("name", flat=True), *Agent.objects.visible_to(actor).values_list("name", flat=True)]
    raise UnknownPipeline(f"there is no pipeline or agent '{name[:80]}'{releases.nearest(name, known)}", name=name[:80])


def _pipeline_back(turn: Turn, pipeline: Pipeline, to: int | None) -> RolledBack:
    live = versions.published(pipeline)
    current = pipeline.current_release
    if live is None or current is None:
        raise _never(pipeline)
    target = _earlier_release(pipeline, current, to)
    version = target.version
    versions.publish(turn, version)
    made = releases.make_current(turn, pipeline, target)
    facts = {"from": live.number, "to": version.number, "from_release": current.digest, "to_release": target.digest}
    turn.note(verbs.PIPELINE_ROLLED_BACK, pipeline.subject, team=pipeline.team.name, facts=facts)
    return RolledBack("pipeline", pipeline.name, live.number, version.number, (made,) if made else ())


def _earlier_release(pipeline: Pipeline, current: Release, to: int | None) -> Release:
    past = pipeline.releases.select_related("version").filter(published_at__isnull=False).exclude(pk=current.pk)
    past = past.order_by("-published_at", "-created_at")
    if to is not None:
        _require_number(pipeline, to)
        past = past.filter(version__number=to)
    target = past.first()
    if target is not None:
        return target
    if to is not None:
        raise Conflict(f"version {to} of pipeline '{pipeline.name}' {_is_no_target(current.version, to)}")
    raise _only_one(pipeline, current.version)


def _agent_back(turn: Turn, agent: Agent, to: int | None) -> RolledBack:
    live = versions.published(agent)
    if live is None:
        raise _never(agent)
    target = _earlier_version(agent, live, to)
    using = users_of([agent.name])[agent.name]
    versions.publish(turn, target)
    made = [_with_agent(turn, pipeline, live, target) for pipeline in using]
    turn.note(verbs.AGENT_ROLLED_BACK, agent.subject, team=agent.team.name, agent=agent.name, facts={"from": live.number, "to": target.number})
    return RolledBack("agent", agent.name, live.number, target.number, tuple(one for one in made if one is not None))


def _earlier_version(agent: Agent, live: Version, to: int | None) -> Version:
    if to is None:
        target = versions.previous(agent)
        if target is None:
            raise _only_one(agent, live)
        return target
    target = _require_number(agent, to)
    if target.pk == live.pk or target.published_at is None:
        raise Conflict(f"version {to} of agent '{agent.name}' {_is_no_target(live, to)}")
    return target


def _with_agent(turn: Turn, pipeline: Pipeline, live: Version, target: Version) -> MadeRelease | None:
    """A new release of a pipeline that ran the version rolled away; one that pinned another version keeps it."""
    current = pipeline.current_release
    assert current is not None
    name = target.owner.name
    numbers = {agent: one["version"] for agent, one in current.manifest["agents"].items()}
    if numbers[name] != live.number:
        return None
    rows = Version.objects.select_related("agent__team").filter(agent__name__in=numbers)
    pinned = {row.owner.name: row for row in rows if row.number == numbers[row.owner.name]}
    composition = compose(current.version, drafts=False, instead={**pinned, name: target})
    if problems := refusals(composition):
        message = f"agent '{name}' can't go back to version {target.number}: pipeline '{pipeline.name}' uses it and would not be valid"
        raise NotPublishable(message, problems=problems)
    return releases.make_current(turn, pipeline, releases.make(turn, composition))


def _require_number(owner: Agent | Pipeline, number: int) -> Version:
    version = Version.objects.of(owner).filter(number=number).first()
    if version is None:
        last = Version.objects.of(owner).order_by("-number").values_list("number", flat=True).first()
        raise NoSuchVersion(f"'{owner.name}' has no version {number}; its versions are 1 to {last}", number=number)
    return version


def _only_one(owner: Agent | Pipeline, live: Version) -> Conflict:
    return Conflict(f"'{owner.name}' has nothing to roll back to: version {live.number} is the only one that was ever published")


def _is_no_target(live: Version, to: int) -> str:
    return "is the published one already" if live.number == to else "was never published; apply its files with --publish instead"


def _never(owner: Agent | Pipeline) -> NotPublished:
    return NotPublished(f"'{owner.name}' has nothing to roll back: it was never published; apply its folder with --publish")
