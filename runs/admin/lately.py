"""What agents did lately, for many of them at once: the runs behind each one's newest steps, as far as a person may see them.

Three statements, each with one possible plan: a database without statistics (a fresh SQLite has none) would else read runs from the newest on
until it meets one of an agent's. Used by the site's inventory.
"""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from audit.actors import Actor
from runs.admin.badges import LISTED
from runs.models import Run, Step

NEWEST = 50
"""How many of an agent's newest steps are looked through: this bounds the work, whatever an agent has done."""


def lately(agents: Sequence[str], actor: Actor) -> dict[str, list[Run]]:
    """Each agent's runs, newest first; of a run only what says how it ended is read."""
    places = _newest(agents)
    wanted = {run for runs in places.values() for run in runs}
    rows = Run.objects.visible_to(actor).filter(id__in=wanted).order_by().only(*LISTED, "started_at", "finished_at")
    found = {run.id: run for run in rows} if wanted else {}
    return {name: _in_order([found[run] for run in runs if run in found]) for name, runs in places.items()}


def failures_of(agent: str, runs: Sequence[Run], most: int) -> list[Step]:
    """The failed ones among an agent's newest steps, in these runs."""
    seen = {run.id for run in runs}
    steps = Step.objects.filter(agent=agent).order_by("-id")[:NEWEST]
    return [step for step in steps if step.failure_cause and step.run_id in seen][:most]


def _in_order(runs: Sequence[Run]) -> list[Run]:
    return sorted(dict.fromkeys(runs), key=lambda run: run.created_at, reverse=True)


def _newest(agents: Sequence[str]) -> dict[str, list[UUID]]:
    """The runs of each agent's newest steps, along the index, one short look for each agent in one statement."""
    found: dict[str, list[UUID]] = {name: [] for name in agents}
    if agents:
        look = "SELECT * FROM (SELECT agent, run_id FROM runs_step WHERE agent = %s ORDER BY agent, id DESC LIMIT %s) AS s"
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join([look] * len(agents)), [value for name in agents for value in (name, NEWEST)])
            for name, run in cursor.fetchall():
                found[name].append(UUID(str(run)))
    return found
