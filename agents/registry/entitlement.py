"""What an agent may do, asked beforehand: the answer that the boundary would give now, why, and what would change it.

Reads only: the permissions in force with what is used of their rates, the agent's state, and its draft. Whether a price or an account
would refuse the call is for the boundary to say, when there is one. Called by doors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agents import grants
from agents.errors import UnknownAgent
from agents.grants import ALLOW
from agents.models import Agent, Standing, Team, Version, VersionState
from agents.uses import Room, rooms
from audit import clock, strict_json
from audit.actors import Actor
from audit.errors import BadJson, Invalid
from audit.visible import visible
from audit.wording import ended

from .releases import nearest

LONGEST = 1_000


@dataclass(frozen=True, slots=True)
class May:
    """`effect`: allow, require_approval or deny. `rule`: the line that decides, None where none names it; `source`: who holds it.

    `why` and `change` are sentences. `draft`: the effect once the draft is published, where that is another one. `room`: what is used of the
    rate of that line, where it has one; a call beyond it is refused for that, and `effect` stays.
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

    def as_record(self) -> dict[str, Any]:
        """As JSON says it."""
        said = {"agent": self.agent.name, "state": str(self.agent.state), "verb": self.verb, "resource": self.resource, "effect": self.effect}
        room = {"used": None, "of": None, "fits_at": None} if self.room is None else self.room.as_record()
        return {**said, "rule": self.rule, "source": self.source, "why": self.why, "change": self.change, "draft": self.draft, **room}


def may(name: str, verb: str, resource: str, *, actor: Actor, args: Mapping[str, Any] | None = None, now: datetime | None = None) -> May:
    """Whether the agent may do VERB on RESOURCE as everything stands now. UnknownAgent. What is no verb or no resource is denied.

    `args`: what the call would be given, for permissions with a condition.
    """
    agent = agent_shown(name, actor)
    odd = _odd(resource)
    if odd is not None:
        return May(agent, visible(verb, 80), visible(resource, 80), grants.DENY, None, *odd)
    now = now or clock.now()
    asked = _Asked(agent, verb, resource, args or {}, now, rooms(agent.name, agent.in_force, now))
    decision = asked.decided(agent.permissions, agent.team)
    why, change = grants.explained(decision, verb, resource)
    if args is None and decision.rule is not None and decision.problem is not None:
        change = "Ask again with the arguments of the call; if they don't say it either, mend the condition"
    effect, draft = decision.effect, _draft_of(asked)
    if agent.state in (Standing.SUSPENDED, Standing.RETIRED):
        why, change = _standing_still(agent, decision, why)
        return May(agent, visible(verb, 80), resource, grants.DENY, None, ended(f"{why[0].upper()}{why[1:]}"), ended(change))
    if draft == effect:
        draft = None
    change = f"Publish the draft of '{name}': it makes this {draft}" if draft is not None else change
    source = None if decision.rule is None else source_of(agent, decision.rule)
    room = None if decision.rule is None or effect == grants.DENY else asked.rooms.get(decision.rule)
    why = f"{why}; {room}" if room is not None else why
    return May(agent, visible(verb, 80), resource, effect, decision.rule, ended(f"{why[0].upper()}{why[1:]}"), ended(change), draft, source, room)


@dataclass(frozen=True, slots=True)
class _Asked:
    agent: Agent
    verb: str
    resource: str
    args: Mapping[str, Any]
    now: datetime
    rooms: Mapping[str, Room]
    """Of the lines in force that have a rate: one with room goes before one without, as at the boundary."""

    def decided(self, permissions: Sequence[str], team: Team) -> grants.Decision:
        """By these of the agent's own, and those of a team."""
        held = [*permissions, *team.permissions]
        full = {text for text, room in self.rooms.items() if room.fits_at is not None}
        decision = grants.decide(held, self.verb, self.resource, now=self.now, args=self.args, vocabulary=team.vocabulary, full=full)
        against = grants.network(held, args=self.args, now=self.now).against if self.verb == "connect" and decision.allowed else None
        rule = None if against is None else grants.readable(against)
        return decision if rule is None else grants.Decision(grants.DENY if rule.effect == ALLOW else rule.effect, rule.text)


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
