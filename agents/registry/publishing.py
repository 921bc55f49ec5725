"""Publishing what is stored already: a draft, with the drafts of the agents that it names, becomes what runs.

The same rules as for `apply --publish`, from rows instead of files. Called by the publish command, the admin and the API.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from agents.errors import NoSuchVersion, NotPublishable
from agents.models import Agent, Pipeline, ProposalKind, Team, Version, VersionState
from agents.spec import Problem
from audit import clock
from audit.actors import Actor
from audit.errors import Conflict, OrchestraError
from audit.visible import named

from . import releases, versions, withdrawing
from .changes import Pin, Preview, Published, compare
from .composing import Composition, compose, refusals, shown, users_of
from .diffs import code_changes, folders_of
from .enforcing import before_it
from .locking import inventory_held
from .manifests import NOTHING, Manifest, agents_between, fields_between
from .owners import owner_named, owner_of_kind, require_in_use
from .proposed import Item, Move, item_of_agent, items_of_move, moves_of, once, publish_deed
from .proposing import Asked, Proposed, put
from .ruling import Asks, Ruling, done_or_asked
from .writing import Turn, record_refusal, require_credential, require_member


def publish(
    name: str,
    *,
    actor: Actor,
    now: datetime | None = None,
    version: int | None = None,
    kind: type[Agent] | type[Pipeline] | None = None,
    seen: str | None = None,
) -> Published:
    """Publish a pipeline's or an agent's draft, or another version of it that was never published.

    A pipeline takes the drafts of its agents with it and gets a release of what they come to; an agent's publication leaves the
    pipelines that use it as they are (`stay` names them). UnknownPipeline, NoSuchVersion, NotGranted, Retired, NotPublishable with every
    problem, Conflict (nothing to publish; nothing changed); each is an entry too. With `kind` only something of that kind is found.
    With `seen`, a preview's, nothing else than what was previewed is published: Conflict. Proposed where the team has people decide what it
    publishes: all of this was tried, and waits for them.
    """
    subject = named("name", name)
    try:
        with inventory_held():
            require_credential(actor, now)
            owner = owner_of_kind(name, actor, kind)
            subject = owner.subject
            turn = Turn(actor, now or clock.now())
            require_member(actor, owner.team.name, f"'{owner.name}'")
            require_in_use(owner)
            target = target_of(owner, version)
            moves = list[Move]()
            look = lambda tried: moves.extend(moves_of(tried.released))  # noqa: E731 - what a line does
            done = done_or_asked(turn, Ruling.now(), lambda tried: carry_out(tried, owner, target, seen), look=look)
            asked = put(turn, _asked(turn.actor, owner.name, target.number, moves, done)) if isinstance(done, Asks) else None
            turn.close()
    except OrchestraError as error:
        problems = error.details.get("problems") or [error.message]
        record_refusal(actor, subject, now=now, problems=problems, facts={"code": error.code, "publish": True})
        raise
    if asked is not None:
        raise Proposed(asked)
    assert isinstance(done, Published)
    return done


def carry_out(
    turn: Turn, owner: Agent | Pipeline, target: Version, seen: str | None, *, instead: Mapping[str, Version] | None = None
) -> Published:  # fmt: skip
    """In the caller's transaction, with the inventory held. `instead`: exactly these drafts of a pipeline's agents go with it, and not all."""
    return _pipeline(turn, owner, target, seen, instead) if isinstance(owner, Pipeline) else _agent(turn, owner, target, seen)


def _asked(actor: Actor, name: str, number: int, moves: Sequence[Move], asks: Asks) -> Asked:
    """Of what was tried and taken back, from rows as they are."""
    owner, told = owner_named(name, actor), only_of(asks.team)
    target = target_of(owner, number)
    if isinstance(owner, Agent):
        deed = publish_deed(owner, target.number, target.digest)
        return Asked(ProposalKind.PUBLISH, asks, (deed,), frozenset({owner.subject}), (agent_item(owner, target, told),))
    [move], drafts = moves, _drafts(compose(target, actor=actor, drafts=True))
    deed = publish_deed(owner, target.number, move.digest, move.brings, drafts)
    subjects = frozenset({owner.subject, *(draft.owner.subject for draft in drafts)})
    whole, *agents = items_of_move(move, _denied(drafts, told, clock.now(), together=owner.name))
    alone = [item_of_agent(draft.agent, versions.published(draft.agent), draft) for draft in drafts if draft.agent is not None]
    return Asked(ProposalKind.PUBLISH, asks, (deed,), subjects, once((whole, *alone, *agents)))


def agent_item(agent: Agent, target: Version, told: Actor) -> Item:
    """`told`: who is to be told what would be refused by it."""
    return item_of_agent(agent, versions.published(agent), target, _denied([target], told, clock.now()))


def preview(name: str, *, actor: Actor, version: int | None = None) -> Preview:
    """What `publish` would do, held against what runs now, and what forbids it, without doing it. UnknownPipeline, NoSuchVersion, Retired."""
    owner = owner_named(name, actor, lock=False)
    require_in_use(owner)
    target = target_of(owner, version)
    return previewed(owner, target, actor)


def previewed(owner: Agent | Pipeline, target: Version, actor: Actor) -> Preview:
    if isinstance(owner, Pipeline):
        return _previewed_pipeline(owner, target, compose(target, actor=actor, drafts=True), actor)
    return _previewed_agent(owner, target, actor)


def only_of(team: Team) -> Actor:
    """Somebody who sees this team and no other: what they are told everybody may read who sees the team."""
    return replace(Actor.nobody(), reads=frozenset({team.name}))


def _denied(published: Iterable[Version], actor: Actor, now: datetime, *, together: str = "") -> tuple[str, ...]:
    """What runs in other pipelines than the one that is published with it, and would be refused from then on."""
    return tuple(withdrawing.left_without(withdrawing.held_by(published), apart_from={together}, actor=actor, now=now))


def _require_seen(seen: str | None, now: str, owner: Agent | Pipeline) -> None:
    """What was shown is what is published (R9): no other draft that was applied since, of it or of an agent that goes with it."""
    if seen not in (None, now):
        raise Conflict(f"what would be published of '{owner.name}' has changed since it was shown; nothing was changed: look again, then publish")


def _previewed_agent(agent: Agent, target: Version, actor: Actor) -> Preview:
    live = versions.published(agent)
    fields = compare({} if live is None else before_it(agent, live.spec, target.spec), target.spec)
    same = live is not None and live.pk == target.pk
    code, number = code_changes(folders_of([(agent.name, fields)])), None if live is None else live.number
    denied = () if same else _denied([target], actor, clock.now())
    asked, problems = _asked_of([agent.team, *Team.objects.filter(name=target.spec["team"])])
    return Preview(
        "agent",
        agent.name,
        number,
        target.number,
        fields,
        problems=problems,
        unchanged=same,
        seen=target.digest,
        code=code,
        denied=denied,
        asks=asked,
    )


def _asked_of(teams: Iterable[Team]) -> tuple[str | None, tuple[Problem, ...]]:
    """Who has to say yes first, and what keeps them from being asked."""
    try:
        asks = Ruling.now().asks_of(Turn(Actor.system(), clock.now(), touched={team.name for team in teams}))
    except NotPublishable as refusal:
        return None, (Problem("publishing", 1, refusal.message),)
    return None if asks is None else asks.said, ()


def _previewed_pipeline(pipeline: Pipeline, target: Version, composition: Composition, actor: Actor) -> Preview:
    current = pipeline.current_release
    running = NOTHING if current is None else current.manifest
    pins = tuple(_pins(composition, running, actor))
    asked, unasked = _asked_of((pipeline.team, *(draft.owner.team for draft in _drafts(composition))))
    return Preview(
        kind="pipeline",
        name=pipeline.name,
        from_version=running["pipeline"]["version"],
        to_version=target.number,
        fields=fields_between(running, composition.manifest()),
        pins=pins,
        problems=(*refusals(composition), *unasked),
        unchanged=current is not None and composition.digest() == current.digest,
        seen=composition.digest(),
        code=code_changes(folders_of((pin.name, pin.fields) for pin in pins)),
        denied=_denied(_drafts(composition), actor, clock.now(), together=pipeline.name),
        asks=asked,
    )


def _pins(composition: Composition, running: Manifest, actor: Actor) -> Iterator[Pin]:
    """The agents whose version would be another one; of those that are not shown to this person only the numbers."""
    for name in agents_between(running, composition.manifest()):
        now, version = running["agents"].get(name), composition.agents[name]
        hidden = not (actor.sees_everything or version.owner.team.name in actor.sees)
        fields = () if hidden else compare({} if now is None else now["spec"], version.spec)
        yield Pin(name, None if now is None else now["version"], version.number, fields, hidden)


def target_of(owner: Agent | Pipeline, number: int | None) -> Version:
    """The version that would be published. NoSuchVersion, Conflict."""
    if number is None:
        found = versions.newest(owner)
        assert found is not None  # an owner is created together with its first version
        return found
    found = Version.objects.of(owner).filter(number=number).first()
    if found is None:
        last = Version.objects.of(owner).order_by("-number").values_list("number", flat=True).first()
        raise NoSuchVersion(f"'{owner.name}' has no version {number}; its versions are 1 to {last}", number=number)
    if found.published_at is not None and found.state != VersionState.PUBLISHED:
        message = f"version {number} of '{owner.name}' was published before; `manage.py rollback {owner.name} --to {number}` goes back to it"
        raise Conflict(message)
    return found


def _drafts(composition: Composition) -> list[Version]:
    """Also one that was stored over since it was proposed."""
    return [version for _, version in sorted(composition.agents.items()) if version.published_at is None]


def _pipeline(turn: Turn, pipeline: Pipeline, target: Version, seen: str | None, instead: Mapping[str, Version] | None) -> Published:
    composition = compose(target, actor=turn.actor, drafts=instead is None, instead=instead)
    _require_seen(seen, composition.digest(), pipeline)
    if problems := refusals(composition):
        raise NotPublishable(f"version {target.number} of pipeline '{pipeline.name}' can't be published; nothing was changed", problems=problems)
    live, with_it = versions.published(pipeline), _drafts(composition)
    denied = _denied(with_it, turn.actor, turn.now, together=pipeline.name)
    for draft in with_it:
        require_member(turn.actor, draft.owner.team.name, f"agent '{draft.owner.name}'")
        versions.publish(turn, draft)
    versions.publish(turn, target)
    made = releases.make_current(turn, pipeline, releases.make(turn, composition))
    if made is None:
        raise Conflict(f"pipeline '{pipeline.name}' runs version {target.number} with the newest versions of its agents already; nothing was changed")
    agents = tuple((draft.owner.name, draft.number) for draft in with_it)
    return Published("pipeline", pipeline.name, None if live is None else live.number, target.number, agents, (made,), denied=denied)


def _agent(turn: Turn, agent: Agent, target: Version, seen: str | None) -> Published:
    _require_seen(seen, target.digest, agent)
    live = versions.published(agent)
    if live is not None and live.pk == target.pk:
        raise Conflict(f"version {target.number} of agent '{agent.name}' is the published one already; nothing was changed")
    if missing := [side for side in ("input", "output") if target.spec.get(side) is None]:
        message = f"agent '{agent.name}' has no {' and no '.join(missing)} contract, so nothing could be held against what it is given and gives"
        raise NotPublishable(message, problems=[Problem(f"agent '{agent.name}'", 1, message)])
    denied = _denied([target], turn.actor, turn.now)
    versions.publish(turn, target)
    users, others = shown(users_of([agent.name])[agent.name], turn.actor)
    stay = tuple(sorted(pipeline.name for pipeline in users))
    return Published("agent", agent.name, None if live is None else live.number, target.number, (), (), stay, others, denied)
