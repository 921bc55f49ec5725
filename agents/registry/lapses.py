"""What stands against an agent's working: a day of review that is past or near, an accountable person who is gone.

Reads and decides, writes nothing. Used by the sweep that gives notice and suspends, and by whoever resumes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Q
from django.db.models.functions import Lower

from agents.models import Agent, Ground, Team
from agents.models.notice import why
from audit.errors import Conflict

MENDS: Final = {
    Ground.REVIEW: "review it, and apply it with a later review_by",
    Ground.ACCOUNTABLE: "apply it with somebody else as accountable, or let them into the team again",
}


@dataclass(frozen=True, slots=True)
class Lapse:
    """A ground of an agent, and the first day on which it may not work any more; None for `so many days after the notice`."""

    agent: Agent
    ground: Ground
    about: str
    on: date | None

    @property
    def why(self) -> str:
        return why(self.ground, self.about)


def lead() -> timedelta:
    """How long before an agent is suspended that is said."""
    return timedelta(days=int(settings.ORCHESTRA_NOTICE_DAYS))


def lapses_of(agents: Collection[Agent], *, now: datetime) -> list[Lapse]:
    """Of each what has come, or comes within the lead. As many statements for one agent as for many."""
    gone = _gone(agents)
    return [lapse for agent in agents for lapse in _of(agent, gone=agent.pk in gone, today=now.date())]


def refuse_lapsed(agent: Agent, now: datetime) -> None:
    """Conflict for an agent that may not work as it stands now: whoever lets it work again sees to a new day or person first."""
    found = [lapse for lapse in lapses_of([agent], now=now) if lapse.on is None or lapse.on <= now.date()]
    if found:
        reasons = "; and ".join(f"{lapse.why}: {MENDS[lapse.ground]}" for lapse in found)
        raise Conflict(f"agent '{agent.name}' can't be resumed as it stands: {reasons}; then resume it")


def _of(agent: Agent, *, gone: bool, today: date) -> Iterable[Lapse]:
    if agent.review_by is not None and agent.review_by <= today + lead():
        yield Lapse(agent, Ground.REVIEW, agent.review_by.isoformat(), agent.review_by + timedelta(days=1))
    if gone:
        yield Lapse(agent, Ground.ACCOUNTABLE, agent.accountable, None)


def _gone(agents: Collection[Agent]) -> set[UUID]:
    """Those whose accountable person has an account here and can't act for the team. Of a name that is no account nothing is known."""
    names = {agent.accountable.lower() for agent in agents if agent.accountable}
    people = list(_accounts(names)) if names else []
    teams = Team.members.through.objects.filter(user_id__in=[one.pk for one in people]).values_list("user_id", "team_id")
    belongs = set(teams) if people else set()
    found: set[UUID] = set()
    for agent in agents:
        own = [one for one in people if agent.accountable and agent.accountable.lower() in (one.username.lower(), one.email.lower())]
        if own and not any(one.is_active and (one.is_superuser or (one.pk, agent.team_id) in belongs) for one in own):
            found.add(agent.pk)
    return found


def _accounts(names: Collection[str]) -> Iterable[User]:
    """By the name that they sign in with, or by their mail address."""
    named = User.objects.annotate(small_name=Lower("username"), small_mail=Lower("email"))
    return named.filter(Q(small_name__in=names) | Q(small_mail__in=names)).only("username", "email", "is_active", "is_superuser")
