"""Rolling back: what was published before is published again, code included (an old version names its artifact).

Without a target it goes to what was in force last of all that was made before the present one: a second rollback goes further back and never
returns, and what was rolled away before a repair was published isn't brought back in the place of the repair.
Called by the rollback command (and by later doors).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from agents import spec
from agents.errors import NoSuchRelease, NoSuchVersion, NotGranted, NotPublishable, NotPublished
from agents.models import Agent, Pipeline, ProposalKind, Release, Version
from audit import clock
from audit.actors import Actor
from audit.errors import Conflict, Invalid, OrchestraError
from audit.visible import named

from . import modelling, pinning, releases, verbs, versions
from .changes import MadeRelease, RolledBack
from .composing import compose, refusals, shown, users_of
from .locking import inventory_held
from .owners import owner_named, owner_of_kind, require_in_use
from .proposed import Move, items_of_rollback, moves_of, once, rollback_deed
from .proposing import Asked, Proposed, put
from .ruling import Asks, Ruling, done_or_asked
from .writing import Turn, record_refusal, require_credential, require_member

MIN_DIGEST = 8
MAX_NAMED = 5
ALREADY = "is the published one already; nothing was changed"
UNPUBLISHED = "was never published; apply its files with --publish instead"
_DIGEST = re.compile(rf"[0-9a-f]{{{MIN_DIGEST},64}}")


def rollback(
    name: str, *, actor: Actor, now: datetime | None = None, to: int | None = None, release: str | None = None,
    kind: type[Agent] | type[Pipeline] | None = None,
) -> RolledBack:  # fmt: skip
    """Publish another version of a pipeline or an agent again: the one before, version `to`, or the release whose digest begins so.

    A pipeline gets a release that it had; an agent's other version goes into a new release of every pipeline that runs
    the present one. UnknownPipeline, Retired, NotPublished, NoSuchVersion, NoSuchRelease, Invalid (an odd digest, or both targets),
    Conflict (nothing older, or the target runs already; nothing changed), NotPublishable, NotGranted; each is an entry too.
    """
    subject = named("name", name)
    try:
        digest = _asked(to, release)
        with inventory_held():
            require_credential(actor, now)
            owner = owner_of_kind(name, actor, kind)
            turn = Turn(actor, now or clock.now())
            subject = owner.subject
            require_member(actor, owner.team.name, f"'{owner.name}'")
            require_in_use(owner)
            moves = list[Move]()
            look = lambda tried: moves.extend(moves_of(tried.released))  # noqa: E731 - what a line does
            done = done_or_asked(turn, Ruling.now(), lambda tried: carry_out(tried, owner, to, digest), look=look)
            asked = put(turn, _proposed(turn.actor, owner.name, to, digest, moves, done)) if isinstance(done, Asks) else None
            turn.close()
    except OrchestraError as error:
        problems = error.details.get("problems") or [error.message]
        record_refusal(actor, subject, now=now, problems=problems, facts={"code": error.code, "publish": True})
        raise
    if asked is not None:
        raise Proposed(asked)
    assert isinstance(done, RolledBack)
    return done


def _proposed(actor: Actor, name: str, to: int | None, digest: str | None, moves: Sequence[Move], asks: Asks) -> Asked:
    """Of what was tried and taken back, from rows as they are. NotGranted where those who decide it are not shown to whoever asks."""
    if not (actor.sees_everything or asks.team.name in actor.sees):
        raise NotGranted(f"'{name}' can't go back: a pipeline of another team would run something else, and its people say yes first; ask them")
    owner = owner_named(name, actor)
    if isinstance(owner, Pipeline):
        assert owner.current_release is not None  # else it was refused
        release = _target(owner, owner.current_release, to, digest)
        deed, version = rollback_deed(owner, release.version.number, release.digest, moves), release.version
    else:
        live = versions.published(owner)
        assert live is not None  # as above
        version = _earlier_version(owner, live, to)
        deed = rollback_deed(owner, version.number, None, moves)
    subjects = frozenset({owner.subject, *(f"pipeline:{move.pipeline}" for move in moves)})
    return Asked(ProposalKind.PUBLISH, asks, (deed,), subjects, once(items_of_rollback(owner, version, moves)))


def _asked(to: int | None, release: str | None) -> str | None:
    if release is None:
        return None
    if to is not None:
        raise Invalid("a rollback goes to a version or to a release; give one of the two")
    digest = release.strip().lower()
    if not _DIGEST.fullmatch(digest):
        raise Invalid(f"'{release[:80]}' is no release: give the beginning of its digest, {MIN_DIGEST} to 64 of the digits 0-9 and a-f")
    return digest


def carry_out(turn: Turn, owner: Agent | Pipeline, to: int | None, digest: str | None) -> RolledBack:
    """In the caller's transaction, with the inventory held."""
    if isinstance(owner, Pipeline):
        return _pipeline_back(turn, owner, to, digest)
    if digest is not None:
        raise Invalid(f"'{owner.name}' is an agent, and only pipelines have releases; give a version with --to")
    return _agent_back(turn, owner, to)


def _pipeline_back(turn: Turn, pipeline: Pipeline, to: int | None, digest: str | None) -> RolledBack:
    live = versions.published(pipeline)
    current = pipeline.current_release
    if live is None or current is None:
        raise _never(pipeline)
    target = _target(pipeline, current, to, digest)
    version = target.version
    versions.publish(turn, version)
    made = releases.make_current(turn, pipeline, target)
    facts = {"from": live.number, "to": version.number, "from_release": current.digest, "to_release": target.digest}
    turn.note(verbs.PIPELINE_ROLLED_BACK, pipeline.subject, team=pipeline.team.name, facts=facts)
    return RolledBack(
        "pipeline", pipeline.name, live.number, version.number, (made,) if made else (),
        forward=target.created_at > current.created_at, from_release=current.digest, to_release=target.digest, keep=_otherwise_permitted(target),
    )  # fmt: skip


def _target(pipeline: Pipeline, current: Release, to: int | None, digest: str | None) -> Release:
    if digest is not None:
        return _release_beginning(pipeline, current, digest)
    past = pipeline.releases.select_related("version").filter(published_at__isnull=False).exclude(pk=current.pk).order_by("-created_at")
    if to is None:
        target = pipeline.releases.select_related("version").before(current).first()
        if target is None:
            raise _nothing_older(pipeline, current, list(past[:MAX_NAMED]))
        return target
    _require_number(pipeline, to)
    same = list(past.filter(version__number=to)[:MAX_NAMED])
    if current.version.number == to:
        others = f"; other releases of version {to}, for --release: {_named(same)}" if same else ""
        raise Conflict(f"version {to} of pipeline '{pipeline.name}' {ALREADY}{others}")
    if not same:
        raise Conflict(f"version {to} of pipeline '{pipeline.name}' {UNPUBLISHED}")
    return same[0]


def _release_beginning(pipeline: Pipeline, current: Release, digest: str) -> Release:
    found = list(pipeline.releases.select_related("version").filter(digest__startswith=digest)[:2])
    said = f"release {digest[:12]} of pipeline '{pipeline.name}'"
    if not found:
        had = pipeline.releases.filter(published_at__isnull=False).order_by("-created_at")[:MAX_NAMED]
        raise NoSuchRelease(f"pipeline '{pipeline.name}' has no release that begins with {digest}; its newest are {_named(list(had))}")
    if len(found) > 1:
        raise Conflict(f"{digest} is the beginning of several releases of pipeline '{pipeline.name}'; give more of its digits")
    if found[0].pk == current.pk:
        raise Conflict(f"{said} {ALREADY}")
    if found[0].published_at is None:
        raise Conflict(f"{said} {UNPUBLISHED}")
    return found[0]


def _otherwise_permitted(target: Release) -> tuple[str, ...]:
    """Agents whose permissions in force are not those of the version that the release pins."""
    pins = target.manifest["agents"]
    rows = Agent.objects.filter(name__in=pins).order_by("name")
    return tuple(row.name for row in rows if set(row.permissions) != set(pins[row.name]["spec"]["permissions"]))


def _agent_back(turn: Turn, agent: Agent, to: int | None) -> RolledBack:
    live = versions.published(agent)
    if live is None:
        raise _never(agent)
    target = _earlier_version(agent, live, to)
    using = users_of([agent.name])[agent.name]
    versions.publish(turn, target)
    made = [(pipeline, one) for pipeline in using if (one := _with_agent(turn, pipeline, live, target)) is not None]
    made += _above(turn, made, target)
    turn.note(verbs.AGENT_ROLLED_BACK, agent.subject, team=agent.team.name, agent=agent.name, facts={"from": live.number, "to": target.number})
    seen, others = shown((pipeline for pipeline, _ in made), turn.actor)
    now_run = tuple(one for pipeline, one in made if pipeline in seen)
    return RolledBack("agent", agent.name, live.number, target.number, now_run, forward=target.number > live.number, elsewhere=others)


def _earlier_version(agent: Agent, live: Version, to: int | None) -> Version:
    if to is None:
        older = Version.objects.before(live).first()
        if older is None:
            raise _nothing_older(agent, live, [])
        return older
    target = _require_number(agent, to)
    if target.pk == live.pk or target.published_at is None:
        raise Conflict(f"version {to} of agent '{agent.name}' {ALREADY if target.pk == live.pk else UNPUBLISHED}")
    return target


def _with_agent(turn: Turn, pipeline: Pipeline, live: Version, target: Version) -> MadeRelease | None:
    """A new release of a pipeline that ran the version rolled away; one that pinned another version keeps it."""
    current = pipeline.current_release
    assert current is not None
    if current.manifest["agents"][target.owner.name]["version"] != live.number:
        return None
    return _remade(turn, pipeline, current, target, current.manifest.get("pipelines", {}))


def _above(turn: Turn, made: list[tuple[Pipeline, MadeRelease]], target: Version) -> list[tuple[Pipeline, MadeRelease]]:
    """And of the pipelines that run one of those, and pinned the release that it ran before: they would go on with what was rolled away."""
    found: list[tuple[Pipeline, MadeRelease]] = []
    pending = list(made)
    while pending:
        child, one = pending.pop(0)
        for parent in pinning.parents_of([child.name])[child.name]:
            current = parent.current_release
            if current is None or pinning.pinned_release(parent, child.name) != one.instead_of:
                continue
            new = Release.objects.get(digest=one.digest)
            pins = {**current.manifest["pipelines"], child.name: pinning.pin_of(new.manifest, new.digest, actor=Actor.system())}
            if (again := _remade(turn, parent, current, target, pins)) is not None:
                found.append((parent, again))
                pending.append((parent, again))
    return found


def _remade(turn: Turn, pipeline: Pipeline, current: Release, target: Version, pins: Mapping[str, Any]) -> MadeRelease | None:
    """The current release with the target in it where the agent is, and everything else as it is pinned."""
    name, agents = target.owner.name, current.manifest["agents"]
    numbers = {agent: one["version"] for agent, one in agents.items()}
    pinned = Version.objects.select_related("agent__team").filter(agent__name__in=numbers, digest__in={one["digest"] for one in agents.values()})
    instead = {row.owner.name: row for row in pinned if row.number == numbers[row.owner.name]}
    aliases = dict(current.manifest.get("aliases", {}))
    if name in agents:
        instead, aliases = {**instead, name: target}, _aliases(turn, current, target)
    composition = compose(current.version, actor=Actor.system(), drafts=False, instead=instead, aliases=aliases, pins=pins)
    if problems := refusals(composition):
        hidden = not shown([pipeline], turn.actor)[0]
        whose = "a pipeline of another team" if hidden else f"pipeline '{pipeline.name}'"
        message = f"agent '{name}' can't go back to version {target.number}: {whose} uses it and would not be valid"
        raise NotPublishable(message, problems=[message] if hidden else problems)
    return releases.make_current(turn, pipeline, releases.make(turn, composition))


def _aliases(turn: Turn, current: Release, target: Version) -> dict[str, Any]:
    """What the pipeline pins already stays, whoever rolls back; an alias that only the older version asks is looked up for this actor."""
    aliases = {**modelling.pinned([target], {}, turn.actor), **current.manifest.get("aliases", {})}
    asked = spec.alias_of(target.spec)
    if asked is not None and asked not in aliases:
        message = f"agent '{target.owner.name}' can't go back to version {target.number}: there is no model alias '{asked}'"
        raise NotPublishable(message, problems=[message])
    return aliases


def _require_number(owner: Agent | Pipeline, number: int) -> Version:
    version = Version.objects.of(owner).filter(number=number).first()
    if version is None:
        last = Version.objects.of(owner).order_by("-number").values_list("number", flat=True).first()
        raise NoSuchVersion(f"'{owner.name}' has no version {number}; its versions are 1 to {last}", number=number)
    return version


def _nothing_older(owner: Agent | Pipeline, current: Version | Release, newer: list[Release]) -> Conflict:
    """The end of the way back, and what there is instead."""
    if isinstance(current, Release):
        present, option = f"release {current.digest[:12]} (version {current.version.number})", "--release"
        others = _named(newer)
    else:
        present, option = f"version {current.number}", "--to"
        numbers = Version.objects.of(owner).filter(published_at__isnull=False, number__gt=current.number).order_by("-number")
        others = ", ".join(str(number) for number in numbers.values_list("number", flat=True)[:MAX_NAMED])
    if not others:
        return Conflict(f"'{owner.name}' has nothing to roll back to: {present} is the only one that was ever published")
    return Conflict(
        f"'{owner.name}' has nothing older to roll back to: {present} is the first that was published; newer ones, for {option}: {others}"
    )


def _named(found: list[Release]) -> str:
    return ", ".join(f"{release.digest[:12]} (version {release.version.number})" for release in found)


def _never(owner: Agent | Pipeline) -> NotPublished:
    return NotPublished(f"'{owner.name}' has nothing to roll back: it was never published; apply its folder with --publish")
