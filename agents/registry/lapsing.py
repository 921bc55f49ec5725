"""Agents whose time is up: notice is given beforehand, once, and on the day they are suspended by the use-case that suspends any.

Idempotent; any number may run at once. Knows no run. Called by the sweep.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from agents.models import Agent, AgentNotice, Standing
from agents.models.agent import WORKING
from audit import clock, outbox
from audit.actors import Actor

from . import verbs
from .lapses import MENDS, Lapse, lapses_of, lead
from .suspending import suspend
from .writing import Turn

TOPIC: Final = "agents.notice"
"""Of the outbox: an agent will be suspended."""
Held = tuple[UUID, str, str]


@dataclass(frozen=True, slots=True)
class Lapsed:
    """How many notices were given, and how many agents were suspended."""

    noticed: int = 0
    suspended: int = 0


def suspend_lapsed(*, actor: Actor, now: datetime | None = None) -> Lapsed:
    """Give the notices that are due, take back those whose ground is gone, suspend the agents whose day has come."""
    now = now or clock.now()
    rows = Agent.objects.filter(Q(review_by__lte=now.date() + lead()) | ~Q(accountable=""), state__in=WORKING)
    lapses = lapses_of(list(rows.select_related("team")), now=now)
    noticed = _give_notices(lapses, actor, now)
    due = sorted({lapse.agent.name for lapse in lapses if _is_due(lapse, _days(), now)})
    return Lapsed(noticed, sum(_suspended(name, actor) for name in due))


def _give_notices(lapses: Collection[Lapse], actor: Actor, now: datetime) -> int:
    """One where none stands about the same. Only what differs is written, so that a quiet minute costs one read."""
    standing = {(row.agent_id, row.ground, row.about): row.pk for row in AgentNotice.objects.all()}
    holding = {_key(lapse): lapse for lapse in lapses}
    new = [lapse for key, lapse in holding.items() if key not in standing]
    over = [pk for key, pk in standing.items() if key not in holding]
    if not new and not over:
        return 0
    with transaction.atomic(durable=True):
        AgentNotice.objects.filter(pk__in=over).delete()
        turn = Turn(actor, now)
        given = sum(_noticed(turn, lapse) for lapse in new)
        turn.close()
    return given


def _key(lapse: Lapse) -> Held:
    return lapse.agent.pk, str(lapse.ground), lapse.about


def _noticed(turn: Turn, lapse: Lapse) -> bool:
    """With its entry and its message; False where another sweep was quicker, or there is nothing to say beforehand."""
    agent, day = lapse.agent, lapse.on or turn.now.date() + lead()
    if day <= turn.now.date() and lapse.on is not None:
        return False
    values = {"about": lapse.about, "noticed_at": turn.now, "suspends_on": day}
    row, made = AgentNotice.objects.get_or_create(agent=agent, ground=lapse.ground, defaults=values)
    if not made:
        return False
    facts = {"ground": str(lapse.ground), "suspends_on": day.isoformat()}
    turn.note(verbs.AGENT_NOTICED, agent.subject, team=agent.team.name, agent=agent.name, facts=facts, openings={"why": lapse.why})
    outbox.put(TOPIC, str(row.pk), {"agent": agent.name, "team": agent.team.name, **facts}, now=turn.now)
    return True


def _days() -> dict[tuple[UUID, str], date]:
    """On which day the notices that stand come true."""
    return {(agent, ground): day for agent, ground, day in AgentNotice.objects.values_list("agent_id", "ground", "suspends_on")}


def _is_due(lapse: Lapse, days: dict[tuple[UUID, str], date], now: datetime) -> bool:
    day = lapse.on or days.get((lapse.agent.pk, str(lapse.ground)))
    return day is not None and day <= now.date()


def _suspended(name: str, actor: Actor) -> bool:
    """Looked at once more under its lock: somebody may have given it a new day, or suspended it, at this moment."""
    row = Agent.objects.filter(name=name, state__in=WORKING).select_related("team").first()
    if row is None:
        return False
    now, days = clock.now(), _days()
    due = [lapse for lapse in lapses_of([row], now=now) if _is_due(lapse, days, now)]
    if not due:
        return False
    seen = _mark(row)
    return suspend(name, actor=actor, reason=_reason(due), only_if=lambda agent: _mark(agent) == seen).state == Standing.SUSPENDED


def _mark(agent: Agent) -> tuple[object, ...]:
    """What has to be as it was judged."""
    return agent.state, agent.review_by, agent.accountable, agent.team_id


def _reason(due: Iterable[Lapse]) -> str:
    return "; and ".join(f"{lapse.why}: {MENDS[lapse.ground]}" for lapse in due)
