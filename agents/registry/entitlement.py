"""What an agent may do, asked beforehand: the answer that the boundary would give now, why, and what would change it.

Reads only: the permissions in force, the agent's state, and its draft. Whether a price, a rate or an account would refuse the call
is for the boundary to say, when there is one. Called by doors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agents import grants
from agents.errors import UnknownAgent
from agents.models import Agent, Standing, Version, VersionState
from audit.actors import Actor
from audit.visible import visible

from .releases import nearest

LONGEST = 1_000


@dataclass(frozen=True, slots=True)
class May:
    """`effect`: allow, require_approval or deny. `rule`: the line that decides, None where none names it.

    `why` and `change` are sentences. `draft`: the effect once the draft is published, where that is another one.
    """

    agent: Agent
    verb: str
    resource: str
    effect: str
    rule: str | None
    why: str
    change: str
    draft: str | None = None

    def as_record(self) -> dict[str, Any]:
        """As JSON says it."""
        said = {"agent": self.agent.name, "state": str(self.agent.state), "verb": self.verb, "resource": self.resource, "effect": self.effect}
        return {**said, "rule": self.rule, "why": self.why, "change": self.change, "draft": self.draft}


def may(name: str, verb: str, resource: str, *, actor: Actor) -> May:
    """Whether the agent may do VERB on RESOURCE as everything stands now. UnknownAgent. What is no verb or no resource is denied."""
    agent = _agent(name, actor)
    odd = _odd(verb, resource)
    if odd is not None:
        return May(agent, visible(verb, 80), visible(resource, 80), grants.DENY, None, *odd)
    decision = grants.decide(agent.permissions, verb, resource)
    why, change = grants.explained(decision, verb, resource)
    effect, draft = decision.effect, _draft_of(agent, verb, resource)
    if agent.state in (Standing.SUSPENDED, Standing.RETIRED):
        effect, draft = grants.DENY, None
        why, change = _standing_still(agent, decision, why)
    elif draft == effect:
        draft = None
    change = f"Publish the draft of '{name}': it makes this {draft}" if draft is not None else change
    return May(agent, verb, resource, effect, decision.rule, f"{why[0].upper()}{why[1:]}.", f"{change}.", draft)


def _agent(name: str, actor: Actor) -> Agent:
    rows = Agent.objects.visible_to(actor)
    found = rows.select_related("team").filter(name=name).first() if name.isprintable() else None
    if found is None:
        raise UnknownAgent(f"there is no agent '{visible(name, 80)}'{nearest(name, rows.values_list('name', flat=True))}", agent=name[:80])
    return found


def _odd(verb: str, resource: str) -> tuple[str, str] | None:
    if not grants.VERB.fullmatch(verb):
        return f"'{visible(verb, 80)}' is no verb, so no permission can allow it.", "Ask for a lower-case word such as read, write or call."
    if not resource or len(resource) > LONGEST or not resource.isprintable() or " " in resource:
        said = f"No resource can be named so: it has 1 to {LONGEST:,} printable characters without a space."
        return said, "Ask for one such as feed:metrics or network:api.example.com."
    return None


def _draft_of(agent: Agent, verb: str, resource: str) -> str | None:
    draft = Version.objects.of(agent).filter(state=VersionState.DRAFT).values_list("spec", flat=True).first()
    return None if draft is None else grants.decide(draft["permissions"], verb, resource).effect


def _standing_still(agent: Agent, decision: grants.Decision, why: str) -> tuple[str, str]:
    if agent.state == Standing.RETIRED:
        return f"agent '{agent.name}' is retired, so no call of it is sent", "Reinstate it, and then resume it"
    once = f"{decision.effect}: {why}"
    return f"agent '{agent.name}' is suspended, so no call of it is sent", f"Resume it; it is then {once}"
