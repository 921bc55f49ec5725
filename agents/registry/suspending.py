"""Suspending an agent and letting it work again: the stop of an agent, and its end, by the words that agents have for it.

The boundary refuses a suspended agent's calls; nothing here looks at runs. Whatever is refused is an entry too. Called by doors.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from agents.models import Agent, Scope
from audit.actors import Actor

from .stopping import AnotherNow, lift_named, stop


def suspend(
    name: str, *, actor: Actor, reason: str, now: datetime | None = None, only_if: Callable[[Agent], bool] | None = None
) -> Agent:  # fmt: skip
    """From now on no call of this agent is sent. UnknownAgent, NotGranted, Invalid (the reason), Conflict (suspended or retired already).

    `only_if` looks at the agent once more under its lock; where it says no, nothing is done.
    """
    with suppress(AnotherNow):
        stop(Scope.AGENT, name, actor=actor, reason=reason, now=now, only_if=only_if)
    return _agent(name)


def resume(name: str, *, actor: Actor, now: datetime | None = None) -> Agent:
    """A suspended agent works again, or is a draft again if it was never published.

    UnknownAgent, NotGranted, Conflict (not suspended, or its time is up); Proposed where its team has people decide.
    """
    lift_named(Scope.AGENT, name, actor=actor, now=now)
    return _agent(name)


def _agent(name: str) -> Agent:
    return Agent.objects.select_related("team").get(name=name)
