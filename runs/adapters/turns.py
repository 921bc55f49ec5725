"""Whose run gets the next child: the team that holds fewest, then the pipeline that has had least for its weight, then the oldest run.

Pure. A flood of one team's, or of one pipeline's, takes what the others leave. Used by children.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final
from uuid import UUID

Rank = tuple[int, float, float, UUID]


@dataclass(frozen=True, slots=True)
class Share:
    """In whose name a run asks. `weight`: how many turns its pipeline has for each that one of weight 1 of the same team has."""

    team: str = ""
    pipeline: str = ""
    weight: float = 1.0


NOBODYS: Final = Share()
"""Of a run that nobody has said anything about."""


class _Clock:
    """Start-time fair queueing: each turn costs the inverse of a weight; who was away begins with those who have had least, and saves up nothing."""

    def __init__(self) -> None:
        self._now = 0.0
        self._next: dict[str, float] = {}

    def begins(self, who: str) -> float:
        return max(self._next.get(who, 0.0), self._now)

    def take(self, who: str, cost: float) -> None:
        self._now = begins = self.begins(who)
        self._next[who] = begins + cost


class Turns:
    """What has been given out, and to whom."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._teams = _Clock()
        self._pipelines: dict[str, _Clock] = {}

    def rank(self, share: Share, run: UUID) -> Rank:
        """The least one is next."""
        pipelines = self._pipelines.get(share.team)
        begins = 0.0 if pipelines is None else pipelines.begins(share.pipeline)
        return self._held[share.team], self._teams.begins(share.team), begins, run

    def take(self, share: Share) -> None:
        self._held[share.team] += 1
        self._teams.take(share.team, 1.0)
        self._pipelines.setdefault(share.team, _Clock()).take(share.pipeline, 1 / share.weight)

    def give_back(self, share: Share) -> None:
        self._held[share.team] -= 1
