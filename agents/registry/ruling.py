"""By which policies people decide what changes: read before a change is tried, and held against what it has touched.

Knows no use-case. Called by whatever puts something in force.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from django.db import transaction
from django.db.models import Q

from agents.errors import NotPublishable
from agents.models import Policy as PolicyRow
from agents.models import Team
from agents.spec.policies import Policy

from .policies import policies_in_force
from .writing import Turn

Done = TypeVar("Done")
_WHAT = {"publishing": "nothing of it is published", "resuming": "nothing of it that was stopped goes on"}


@dataclass(frozen=True, slots=True)
class Asks:
    """Whose people decide it, and how."""

    team: Team
    policy: Policy

    @property
    def said(self) -> str:
        """Who has to say yes first."""
        return f"{self.policy.stages[0].said} must say yes to it first, under {self.policy.said}"


@dataclass(frozen=True, slots=True)
class Ruling:
    """The teams that have people decide something, and the policies that they name, as far as these are in force: as it was before a change."""

    teams: Mapping[str, Team]
    policies: Mapping[str, Policy]

    @classmethod
    def now(cls) -> Ruling:
        teams = {team.name: team for team in Team.objects.exclude(publishing="", resuming="")}
        named = {name for team in teams.values() for name in (team.publishing, team.resuming) if name}
        return cls(teams, policies_in_force(named) if named else {})

    def asks_of(self, turn: Turn) -> Asks | None:
        """Who decides what this turn has put in force; None: nobody has to. NotPublishable where it is more than one policy, or one not in force.

        A policy by which people decide something is changed by a yes under it, and by no other: else whoever may change it could undo it.
        """
        asking = [*self._by_teams(turn.touched, "publishing"), *self._by_policies(turn.put_in_force)]
        return _one(asking)

    def asks_to_resume(self, teams: Iterable[Team | None]) -> Asks | None:
        """Who decides whether something of these teams goes on."""
        return _one(self._by_teams({team.name for team in teams if team is not None}, "resuming"))

    def _by_teams(self, names: Iterable[str], what: str) -> list[Asks]:
        ruled = [team for name in sorted(names) if (team := self.teams.get(name)) is not None and getattr(team, what)]
        return [Asks(team, self._in_force(team, what)) for team in ruled]

    def _by_policies(self, names: Collection[str]) -> list[Asks]:
        rows = list(PolicyRow.objects.select_related("team").filter(name__in=list(names)).order_by("name")) if names else []
        others = {row.team.name for row in rows if row.name not in self.policies}
        return [*(Asks(row.team, self.policies[row.name]) for row in rows if row.name in self.policies), *self._by_teams(others, "publishing")]

    def _in_force(self, team: Team, what: str) -> Policy:
        name = getattr(team, what)
        found = self.policies.get(name)
        if found is None:
            until = f"{_WHAT[what]} until it is, or an administrator takes it out of the team's document"
            raise NotPublishable(f"people decide by policy '{name}' for team '{team.name}', and that is not in force: {until}", problems=[])
        return found


def _one(asking: list[Asks]) -> Asks | None:
    if len({each.policy.name for each in asking}) > 1:
        said = ", ".join(sorted({f"'{each.policy.name}' of team '{each.team.name}'" for each in asking}))
        first = "change what is the other team's first, or have an administrator take one of them out of its team's document"
        raise NotPublishable(f"people decide it by more than one policy ({said}); {first}", problems=[])
    return asking[0] if asking else None


class _TakenBack(Exception):
    def __init__(self, asks: Asks) -> None:
        super().__init__(asks.said)
        self.asks = asks


def _nothing(_tried: Turn) -> None:
    """Nobody looks."""


def done_or_asked(turn: Turn, ruling: Ruling, work: Callable[[Turn], Done], *, look: Callable[[Turn], None] = _nothing) -> Done | Asks:
    """Done; where people decide it, it was done so that what could not be is refused, and is taken back, after a `look` at what it came to.

    Rows that `work` has looked at are then not what they were: read them again.
    """
    tried = Turn(turn.actor, turn.now)
    try:
        with transaction.atomic():
            done = work(tried)
            asks = ruling.asks_of(tried)
            if asks is not None:
                look(tried)
                raise _TakenBack(asks)
    except _TakenBack as back:
        return back.asks
    turn.take(tried)
    turn.judged = True
    return done


def refuse_rules_not_in_force(teams: Iterable[str]) -> None:
    """NotPublishable: what a team has people decide by a policy that there isn't could be decided by nobody."""
    for team in Team.objects.filter(~Q(publishing="") | ~Q(resuming=""), name__in=list(teams)):
        for what in ("publishing", "resuming"):
            name = getattr(team, what)
            if name and name not in policies_in_force([name]):
                said = f"`{what}` of team '{team.name}' names policy '{name}', which is not in force: publish that first, or with it"
                raise NotPublishable(said, problems=[said])
