"""Suspending an agent and letting it work again: the stop of an agent, and its end, by the words that agents have for it.

The boundary refuses a suspended agent's calls; nothing here looks at runs. Whatever is refused is an entry too. Called by doors.
"""

from __future__ import annotations

from datetime import datetime

from agents.models import Agent, Scope
from audit.actors import Actor

from .stopping import lift_named, stop


def suspend(name: str, *, actor: Actor, reason: str, now: datetime | None = None) -> Agent:
    """From now on no call of this agent is sent. UnknownAgent, NotGranted, Invalid (the reason), Conflict (suspended or retired already)."""
    stop(Scope.AGENT, name, actor=actor, reason=reason, now=now)
    return _agent(name)


def resume(name: str, *, actor: Actor, now: datetime | None = None) -> Agent:
    """A suspended agent works again, or is a draft again if it was never published. UnknownAgent, NotGranted, Conflict (not suspended)."""
    lift_named(Scope.AGENT, name, actor=actor, now=now)
    return _agent(name)


def _agent(name: str) -> Agent:
    return Agent.objects.select_related("team").get(name=name)
