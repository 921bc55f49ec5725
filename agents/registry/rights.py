"""All that an agent may do as everything stands now: each permission, who holds it, whether it holds, and when it was last used.

Reads only. What a call really meets depends on its arguments as well: `may` answers for one. Called by doors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.migrations.recorder import MigrationRecorder

from agents import uses
from agents.grants import ALLOW, DENY, EFFECTS, Rule, is_about_connecting, readable
from agents.models import Agent, GrantUse, Standing
from audit import clock
from audit.actors import Actor
from audit.instants import readable as readable_instant

from .entitlement import agent_shown

UNUSED_FOR: Final = timedelta(days=90)
SILENT: Final = "none"
"""A permission that says nothing at the moment."""


@dataclass(frozen=True, slots=True)
class Right:
    """One permission. `effect`: what it says now, `none` where it says nothing; `why`: a clause about that.

    `used_at`: when a call was last let through by it, or would have been refused if it weren't only observed; None for never since
    `known_since`. Exact where it has a rate, of which `room` says what is used up; else there may be more uses within the hour from then.
    """

    rule: str
    source: str
    effect: str
    why: str
    used_at: datetime | None = None
    is_unused: bool = False
    room: uses.Room | None = None

    def as_record(self) -> dict[str, Any]:
        """As JSON says it."""
        used_at = None if self.used_at is None else clock.to_text(self.used_at)
        said = {"rule": self.rule, "source": self.source, "effect": self.effect, "why": self.why}
        room = {"used": None, "of": None, "fits_at": None} if self.room is None else self.room.as_record()
        return {**said, "used_at": used_at, "unused": self.is_unused, **room}


def last_used(right: Right) -> str:
    """When, as far as that is noted: a clause for people."""
    if right.used_at is None:
        return "never"
    return readable_instant(right.used_at) if right.room is not None else f"within the hour from {readable_instant(right.used_at)[:-3]}"


@dataclass(frozen=True, slots=True)
class Rights:
    """Everything that one agent may do now. `known_since`: uses before that instant were not noted."""

    agent: Agent
    known_since: datetime
    every: tuple[Right, ...]

    @property
    def observed(self) -> bool:
        """Whether what no permission names is recorded and not refused, as its team's document says."""
        return bool(self.agent.team.observe)

    def as_record(self) -> dict[str, Any]:
        """As JSON says it."""
        known = clock.to_text(self.known_since)
        said = {"agent": self.agent.name, "state": str(self.agent.state), "observed": self.observed, "known_since": known}
        return {**said, "permissions": [each.as_record() for each in self.every]}


def rights(name: str, *, actor: Actor, now: datetime | None = None) -> Rights:
    """The agent's own permissions, then its team's. UnknownAgent."""
    agent, now = agent_shown(name, actor), now or clock.now()
    held = agent.in_force
    used = {row.rule: row for row in GrantUse.objects.filter(agent=agent.name, digest__in=[uses.digest_of(agent.name, text) for text in held])}
    since = max([agent.created_at, *_noted_since()])
    stronger = _stronger(held, now)
    held_by = [*([agent.subject] * len(agent.permissions)), *([agent.team.subject] * len(agent.team.permissions))]
    rooms = uses.rooms(agent.name, held, now)
    every = [
        _right(text, source, used.get(text), since, now, _now(agent, text, stronger, now), rooms.get(text))
        for text, source in zip(held, held_by, strict=True)
    ]
    return Rights(agent, since, tuple(every))


def _right(text: str, source: str, use: GrantUse | None, since: datetime, now: datetime, says: tuple[str, str], room: uses.Room | None) -> Right:
    (effect, why), rule = says, readable(text)
    used_at = None if use is None else use.used_at
    if rule is None or rule.effect != ALLOW or rule.observe:  # nothing is let through by it; one that is observed may have been met
        return Right(text, source, effect, why, used_at)
    is_unused = (used_at or since) <= now - UNUSED_FOR
    return Right(text, source, effect, why, used_at, is_unused, room)


def _now(agent: Agent, text: str, stronger: Sequence[Rule], now: datetime) -> tuple[str, str]:
    """What it says now, and why; the first that keeps it from saying anything decides."""
    rule = readable(text)
    if rule is None:
        forbids = text.split()[:1] != [ALLOW]
        return (DENY, "it can't be read, and forbids everything until it is mended") if forbids else (SILENT, "it can't be read, and allows nothing")
    if agent.state in (Standing.SUSPENDED, Standing.RETIRED) and rule.effect != DENY:
        return SILENT, f"the agent is {agent.state}, so no call of it is sent"
    if rule.observe:
        return SILENT, "it is only observed: what it would refuse is recorded, and not refused"
    for silent in (agent.team.vocabulary.problem_of(rule.verb, rule.resource, prefix=rule.prefix), rule.out_of_time(now), _beaten(rule, stronger)):
        if silent is not None:
            return SILENT, silent
    return rule.effect, _bounded(rule)


def _stronger(held: Sequence[str], now: datetime) -> list[Rule]:
    """Those that win over others at this moment whatever a call is given."""
    rules = [rule for rule in map(readable, held) if rule is not None and rule.effect != ALLOW and not rule.observe]
    return [rule for rule in rules if rule.when is None and rule.out_of_time(now) is None]


def _beaten(rule: Rule, stronger: Sequence[Rule]) -> str | None:
    """One that covers all of it: then this one never decides."""
    for other in stronger:
        if EFFECTS.index(other.effect) <= EFFECTS.index(rule.effect):
            continue
        if is_about_connecting(rule) and is_about_connecting(other):
            return f'"{other.text}" keeps all of the network away: a child has the whole of it or none'
        if other.verb == rule.verb and _covers_all(other, rule):
            return f'"{other.text}" wins over all of it'
    return None


def _covers_all(wide: Rule, narrow: Rule) -> bool:
    if wide.prefix:
        return narrow.resource.startswith(wide.resource) and ".." not in narrow.resource
    return not narrow.prefix and narrow.resource == wide.resource


def _bounded(rule: Rule) -> str:
    if rule.when is not None:
        return "where its condition is true of the call"
    return "always" if rule.until is None else "until then"


def _noted_since() -> Iterable[datetime]:
    """When this installation began to note uses, if that is still known."""
    return MigrationRecorder.Migration.objects.filter(app="agents", name__endswith="grant_uses").values_list("applied", flat=True)
