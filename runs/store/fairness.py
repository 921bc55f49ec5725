"""Who gets the free places of an engine when more runs are ready than there is room for: the team that holds fewest, then its pipeline.

Pure. A flood of one team's, or of one pipeline's, takes what the others leave, and never what they need. Used by claims.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final
from uuid import UUID

WEIGHTS: Final = {-1: Fraction(1, 8), 0: Fraction(1), 1: Fraction(8)}
"""Of pipelines by priority (low, normal, high): how many places one may hold for each that a normal one of its team does."""

Place = tuple[UUID, UUID]
"""A team's and a pipeline's key."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Runs of one pipeline that are ready to begin; `ready` counts them, up to the room there is."""

    team: UUID
    pipeline: UUID
    priority: int
    ready: int


def shares(queues: Sequence[Queue], held: Mapping[Place, int], room: int) -> dict[UUID, int]:
    """How many runs of each pipeline to take now, `room` at most, given how many each holds already."""
    taken: Counter[UUID] = Counter()
    mine = Counter(held)
    teams: Counter[UUID] = Counter()
    for (team, _), count in held.items():
        teams[team] += count
    left = {queue.pipeline: queue.ready for queue in queues}
    for _ in range(room):
        waiting = [queue for queue in queues if left[queue.pipeline]]
        if not waiting:
            break
        next_one = min(waiting, key=lambda queue: (teams[queue.team], mine[queue.team, queue.pipeline] / WEIGHTS[queue.priority], queue.pipeline))
        left[next_one.pipeline] -= 1
        taken[next_one.pipeline] += 1
        teams[next_one.team] += 1
        mine[next_one.team, next_one.pipeline] += 1
    return dict(taken)
