"""Suspending an agent and letting it work again: live, so it holds for runs at work and for every release, old or new.

The boundary refuses a suspended agent's calls (`stopped`); nothing here looks at runs. Whatever is refused is an entry too. Called by doors.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from agents.errors import UnknownAgent
from agents.models import Agent, Standing
from audit import clock
from audit.actors import Actor
from audit.errors import Conflict, OrchestraError
from audit.visible import named

from . import verbs
from .lapses import refuse_lapsed
from .releases import nearest
from .versions import published
from .writing import Turn, reason_given, record_refusal, require


def suspend(
    name: str, *, actor: Actor, reason: str, now: datetime | None = None, only_if: Callable[[Agent], bool] | None = None
) -> Agent:  # fmt: skip
    """From now on no call of this agent is sent. UnknownAgent, NotGranted, Invalid (the reason), Conflict (suspended or retired already).

    `only_if` looks at the agent once more under its lock; where it says no, nothing is done.
    """

    def change(turn: Turn, agent: Agent) -> None:
        if only_if is not None and not only_if(agent):
            return
        said = reason_given(reason, "a suspension needs a reason", "whoever finds the agent stopped will ask for it")
        if not Agent.objects.filter(pk=agent.pk).suspend():
            raise Conflict(_why_not_suspended(agent))
        facts = {"was": str(agent.state)}
        turn.note(verbs.AGENT_SUSPENDED, agent.subject, team=agent.team.name, agent=agent.name, facts=facts, openings={"reason": said})

    return _changed(name, actor, now, "suspend", change)


def resume(name: str, *, actor: Actor, now: datetime | None = None) -> Agent:
    """A suspended agent works again, or is a draft again if it was never published.

    UnknownAgent, NotGranted, Conflict (not suspended, or its time is up).
    """

    def change(turn: Turn, agent: Agent) -> None:
        state = Standing.DRAFT if published(agent) is None else Standing.ACTIVE
        if not Agent.objects.filter(pk=agent.pk).resume(state):
            raise Conflict(f"agent '{agent.name}' is not suspended but {agent.state}, so there is nothing to resume")
        refuse_lapsed(agent, turn.now)
        turn.note(verbs.AGENT_RESUMED, agent.subject, team=agent.team.name, agent=agent.name, facts={"state": str(state)})

    return _changed(name, actor, now, "resume", change)


def _changed(name: str, actor: Actor, now: datetime | None, what: str, change: Callable[[Turn, Agent], None]) -> Agent:
    subject = named("agent", name)
    try:
        with transaction.atomic(durable=True):
            agent = _agent(name, actor)
            subject = agent.subject
            turn = Turn(actor, now or clock.now())
            team = agent.team.name
            require(actor.may_suspend(team) if what == "suspend" else actor.may_change(team), actor, team, f"agent '{agent.name}'")
            change(turn, agent)
            turn.close()
            agent.refresh_from_db(fields=["state"])
    except OrchestraError as error:
        record_refusal(actor, subject, now=now, problems=[error.message], facts={"code": error.code, "asked": what}, verb=verbs.AGENT_REFUSED)
        raise
    return agent


def _agent(name: str, actor: Actor) -> Agent:
    """Locked, so that a publication at this moment comes before or after."""
    visible = Agent.objects.visible_to(actor)
    found = visible.select_for_update(of=("self",)).select_related("team").filter(name=name)
    agent = found.first() if name.isprintable() else None  # a database refuses some of what a terminal lets through
    if agent is None:
        raise UnknownAgent(f"there is no agent '{name[:80]}'{nearest(name, visible.values_list('name', flat=True))}", agent=name[:80])
    return agent


def _why_not_suspended(agent: Agent) -> str:
    if agent.state == Standing.SUSPENDED:
        return f"agent '{agent.name}' is suspended already; `manage.py resume {agent.name}` lets it work again"
    return f"agent '{agent.name}' is {agent.state} and doesn't work anyway"
