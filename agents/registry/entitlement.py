"""What an agent may do, asked beforehand: the answer that the boundary would give now, why, and what would change it.

Reads only: the permissions in force with what is used of their rates, the agent's state, and its draft. Whether a price or an account
would refuse the call is for the boundary to say, when there is one. Called by doors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from agents import grants, layers
from agents.errors import UnknownAgent
from agents.grants import ALLOW, DENY
from agents.layers import PIPELINE, Layer
from agents.models import Agent, Pipeline, Standing, Team, Version, VersionState
from agents.uses import Room, rooms
from audit import clock, strict_json
from audit.actors import Actor
from audit.errors import BadJson, Invalid
from audit.visible import visible
from audit.wording import ended

from .behalf import PERSON, Behalf, why_lost
from .people import person_asked_about
from .releases import nearest, pipeline_named

LONGEST = 1_000


@dataclass(frozen=True, slots=True)
class Said:
    """What one of those says that bound a call together. `holder`: as entries name it; `rule`: the line that decides there, None for none."""

    holder: str
    effect: str
    rule: str | None
    why: str

    def as_record(self) -> dict[str, Any]:
        """As JSON says it."""
        return {"holder": self.holder, "effect": self.effect, "rule": self.rule, "why": self.why}


@dataclass(frozen=True, slots=True)
class May:
    """`effect`: allow, require_approval or deny. `rule`: the line that decides, None where none names it; `source`: who holds it.

    `why` and `change` are sentences. `draft`: the effect once the draft is published, where that is another one. `room`: what is used of the
    rate of that line, where it has one; a call beyond it is refused for that, and `effect` stays. `layers`: what each of those says that bound
    the call together, the agent first. `observed`: it is allowed only because for want of a permission nothing is refused there.
    """

    agent: Agent
    verb: str
    resource: str
    effect: str
    rule: str | None
    why: str
    change: str
    draft: str | None = None
    source: str | None = None
    room: Room | None = None
    layers: tuple[Said, ...] = ()
    observed: bool = False

    def as_record(self) -> dict[str, Any]:
        """As JSON says it."""
        said: dict[str, Any] = {"agent": self.agent.name, "state": str(self.agent.state), "verb": self.verb, "resource": self.resource}
        said["effect"] = self.effect
        room = {"used": None, "of": None, "fits_at": None} if self.room is None else self.room.as_record()
        said |= {"rule": self.rule, "source": self.source, "why": self.why, "change": self.change, "draft": self.draft, **room}
        return {**said, "observed": self.observed, "layers": [each.as_record() for each in self.layers]}


def may(
    name: str,
    verb: str,
    resource: str,
    *,
    actor: Actor,
    args: Mapping[str, Any] | None = None,
    person: str | None = None,
    pipeline: str | None = None,
    now: datetime | None = None,
) -> May:
    """Whether the agent may do VERB on RESOURCE as everything stands now, in a run of `pipeline` that `person` has started, where those are given.

    `args`: what the call would be given, for permissions with a condition. UnknownAgent, UnknownPipeline, UnknownPerson. What is no verb or no
    resource is denied.
    """
    agent = agent_shown(name, actor)
    of = None if pipeline is None else pipeline_named(pipeline, actor)
    behalf = None if person is None else Behalf(person_asked_about(person, actor=actor), (of or agent).team.name)
    odd = _odd(resource)
    if odd is not None:
        return May(agent, visible(verb, 80), visible(resource, 80), grants.DENY, None, *odd)
    asked = _asked(agent, of, verb, resource, args or {}, now or clock.now())
    decision = asked.decided(agent.permissions, agent.team)
    why, change = _explained(decision, verb, resource, with_arguments=args is not None)
    said = tuple(asked.each(agent.permissions, agent.team))
    effect, draft = decision.effect, _draft_of(asked)
    answer = May(agent, visible(verb, 80), resource, effect, decision.rule, why, change, layers=said, observed=decision.lacks)
    lost = None if behalf is None else why_lost([behalf])[behalf]
    if behalf is not None:
        answer = replace(answer, layers=(*said, _of_person(behalf, lost)))
    if agent.state in (Standing.SUSPENDED, Standing.RETIRED):
        return _refused(answer, *_standing_still(agent, decision, why))
    if behalf is not None and lost is not None:
        return _refused(answer, *_without_rights(behalf, lost))
    draft = None if draft == effect else draft
    change = f"Publish the draft of '{name}': it makes this {draft}" if draft is not None else change
    room = None if decision.rule is None or effect == grants.DENY else asked.rooms.get((decision.holder, decision.rule))
    why = f"{why}; {room}" if room is not None else why
    source = None if decision.rule is None else decision.holder or source_of(agent, decision.rule)
    return replace(answer, why=_sentence(why), change=ended(change), draft=draft, source=source, room=room)


def _explained(decision: grants.Decision, verb: str, resource: str, *, with_arguments: bool) -> tuple[str, str]:
    why, change = layers.explained(decision, verb, resource)
    if not with_arguments and decision.rule is not None and decision.problem is not None:
        change = "Ask again with the arguments of the call; if they don't say it either, mend the condition"
    return why, change


def _without_rights(behalf: Behalf, lost: str) -> tuple[str, str]:
    to_do = f"Somebody who may {behalf.does} of team '{behalf.team}' starts it, or '{behalf.person}' is made one of them"
    return f"'{visible(behalf.person, 150)}' {lost}, and a run has no more rights than whoever started it", to_do


def _refused(answer: May, why: str, change: str) -> May:
    return replace(answer, effect=DENY, rule=None, why=_sentence(why), change=ended(change), observed=False)


def _sentence(clause: str) -> str:
    return ended(f"{clause[0].upper()}{clause[1:]}")


def _of_person(behalf: Behalf, lost: str | None) -> Said:
    why = f"may {behalf.does} of team '{behalf.team}'" if lost is None else lost
    return Said(f"{PERSON}{behalf.person}", ALLOW if lost is None else DENY, None, why)


def _asked(agent: Agent, pipeline: Pipeline | None, verb: str, resource: str, args: Mapping[str, Any], now: datetime) -> _Asked:
    own = rooms(agent.name, agent.in_force, now)
    found = {("", rule): room for rule, room in own.items()}
    if pipeline is not None and pipeline.permissions:
        found |= {(pipeline.subject, rule): room for rule, room in rooms(pipeline.subject, pipeline.permissions, now).items()}
    return _Asked(agent, pipeline, verb, resource, args, now, found)


@dataclass(frozen=True, slots=True)
class _Asked:
    agent: Agent
    pipeline: Pipeline | None
    verb: str
    resource: str
    args: Mapping[str, Any]
    now: datetime
    rooms: Mapping[tuple[str, str], Room]
    """Of the lines in force that have a rate, each with its holder: one with room goes before one without, as at the boundary."""

    def layers(self, permissions: Sequence[str], team: Team) -> Iterator[Layer]:
        """These of the agent's own with those of a team, and those of the pipeline."""
        yield Layer("", (*permissions, *team.permissions), team.observe)
        if self.pipeline is not None and self.pipeline.permissions is not None:
            yield Layer(f"{PIPELINE}{self.pipeline.name}", tuple(self.pipeline.permissions))

    def decided(self, permissions: Sequence[str], team: Team) -> grants.Decision:
        return layers.together([self._said(layer, team) for layer in self.layers(permissions, team)])

    def each(self, permissions: Sequence[str], team: Team) -> Iterator[Said]:
        """What each says by itself."""
        for layer in self.layers(permissions, team):
            decision = self._said(layer, team)
            why, _ = layers.explained(replace(decision, holder=""), self.verb, self.resource)
            yield Said(layer.holder or self.agent.subject, decision.effect, decision.rule, why)
        if self.pipeline is not None and self.pipeline.permissions is None:
            yield Said(self.pipeline.subject, ALLOW, None, "it says nothing of what its runs may do, and narrows nothing")

    def _said(self, layer: Layer, team: Team) -> grants.Decision:
        full = {rule for rule, room in self.rooms.items() if room.fits_at is not None}
        more: dict[str, Any] = {"now": self.now, "args": self.args}
        decision = layers.said_by(layer, self.verb, self.resource, vocabulary=team.vocabulary, full=full, **more)
        against = grants.network(layer.permissions, **more).against if self.verb == "connect" and decision.allowed else None
        rule = None if against is None else grants.readable(against)
        return decision if rule is None else grants.Decision(DENY if rule.effect == ALLOW else rule.effect, rule.text, holder=layer.holder)


def arguments_of(text: str) -> dict[str, Any]:
    """A call's arguments as somebody wrote them: one JSON object. Invalid says what is wrong with it."""
    try:
        said = strict_json.read(text, "the text of the arguments")
    except BadJson as error:
        raise Invalid(error.message) from None
    if not isinstance(said, dict):
        raise Invalid('the arguments of a call are one JSON object, such as {"version": "1.4.2"}')
    return said


def source_of(agent: Agent, rule: str) -> str:
    """Who holds a permission of an agent: itself, or its team."""
    return agent.subject if rule in agent.permissions or rule not in agent.team.permissions else agent.team.subject


def agent_shown(name: str, actor: Actor) -> Agent:
    """The agent of this name, if the actor may see it; UnknownAgent."""
    rows = Agent.objects.visible_to(actor)
    found = rows.select_related("team").filter(name=name).first() if name.isprintable() else None
    if found is None:
        raise UnknownAgent(f"there is no agent '{visible(name, 80)}'{nearest(name, rows.values_list('name', flat=True))}", agent=name[:80])
    return found


def _odd(resource: str) -> tuple[str, str] | None:
    if not resource or len(resource) > LONGEST or not resource.isprintable() or " " in resource:
        said = f"No resource can be named so: it has 1 to {LONGEST:,} printable characters without a space."
        return said, "Ask for one such as feed:metrics or network:api.example.com."
    return None


def _draft_of(asked: _Asked) -> str | None:
    draft = Version.objects.of(asked.agent).filter(state=VersionState.DRAFT).values_list("spec", flat=True).first()
    if draft is None:
        return None
    team = asked.agent.team if draft["team"] == asked.agent.team.name else Team.objects.get(name=draft["team"])
    return asked.decided(draft["permissions"], team).effect


def _standing_still(agent: Agent, decision: grants.Decision, why: str) -> tuple[str, str]:
    if agent.state == Standing.RETIRED:
        return f"agent '{agent.name}' is retired, so no call of it is sent", "Reinstate it, and then resume it"
    once = f"then {why}" if decision.allowed else f"that alone is not enough, for {why}"
    return f"agent '{agent.name}' is suspended, so no call of it is sent", f"Resume it (`manage.py resume {agent.name}`); {once}"
