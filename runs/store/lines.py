"""What a stop may be of: the runs above child runs, and who makes a call.

Reads only, and nothing for runs that somebody started. Called where runs are loaded.
"""

from collections.abc import Sequence
from uuid import UUID

from agents.stops import Hand, Place
from agents.validation import DEEPEST
from runs.engine.values import Plan
from runs.models import Run

_Row = tuple[UUID, UUID | None, str, int, str]


def above(runs: Sequence[Run]) -> dict[UUID, tuple[Place, ...]]:
    """By child run all that are above it, the nearest first; one statement for each level that there is."""
    rows: dict[UUID, _Row] = {}
    wanted = {run.parent_run_id for run in runs if run.parent_run_id is not None}
    for _ in range(DEEPEST):
        if not wanted:
            break
        names = ("id", "parent_run_id", "pipeline__name", "release__version__number", "team__name")
        found = Run.objects.filter(id__in=wanted).values_list(*names)
        rows |= {row[0]: row for row in found}
        wanted = {row[1] for row in found if row[1] is not None} - rows.keys()
    return {run.id: tuple(_up(run.parent_run_id, rows)) for run in runs if run.parent_run_id is not None}


def hand_of(plan: Plan, name: str) -> Hand:
    """Who makes the own call of an agent's step, and through what."""
    agent = plan.agents[name]
    return Hand(agent.name, agent.version, agent.team, *agent.through)


def _up(parent: UUID | None, rows: dict[UUID, _Row]) -> list[Place]:
    line = []
    while parent is not None and parent in rows:
        _, above_it, pipeline, version, team = rows[parent]
        line.append(Place(parent, pipeline, version, team))
        parent = above_it
    return line
