"""What agents did lately, for many of them at once: the runs behind each one's newest steps, as far as a person may see them.

Few statements, each with one possible plan: a database without statistics (a fresh SQLite has none) would else read runs from the newest on
until it meets one of an agent's. Used by the site's inventory.
"""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from audit.actors import Actor
from runs.admin.badges import LISTED
from runs.models import Run, Step

NEWEST = 50
FURTHER = 2_000
"""How many of an agent's newest steps are looked through, and how many where these show fewer than `ENOUGH` runs: this bounds the work, whatever
an agent has done for whomever."""
ENOUGH = 5
AT_ONCE = 5_000
"""Runs that are asked for in one statement: SQLite takes 32,766 values, and a page has fifty agents."""


def lately(agents: Sequence[str], actor: Actor) -> dict[str, list[Run]]:
    """Each agent's runs, newest first; of a run only what says how it ended is read."""
    found = _seen(agents, actor, NEWEST)
    few = [name for name, (runs, steps) in found.items() if steps == NEWEST and len(runs) < ENOUGH]
    return {name: runs for name, (runs, _) in (found | _seen(few, actor, FURTHER)).items()}


def failures_of(agent: str, runs: Sequence[Run], most: int) -> list[Step]:
    """The failed ones among an agent's newest steps, in these runs."""
    seen = {run.id for run in runs}
    steps = Step.objects.filter(agent=agent).order_by("-id").values_list("id", "run_id", "failure_cause")[:FURTHER]
    failed = [step for step, run, cause in steps if cause and run in seen]
    return list(Step.objects.filter(id__in=failed[:most]).order_by("-id"))


def _seen(agents: Sequence[str], actor: Actor, steps: int) -> dict[str, tuple[list[Run], int]]:
    """Of each agent the runs of its newest steps that the actor may see, and how many steps those were."""
    places = _newest(agents, steps)
    wanted = list({run for runs, _ in places.values() for run in runs})
    rows = Run.objects.visible_to(actor).order_by().only(*LISTED, "started_at", "finished_at")
    found = {run.id: run for first in range(0, len(wanted), AT_ONCE) for run in rows.filter(id__in=wanted[first : first + AT_ONCE])}
    return {name: (_in_order([found[run] for run in runs if run in found]), number) for name, (runs, number) in places.items()}


def _in_order(runs: Sequence[Run]) -> list[Run]:
    return sorted(dict.fromkeys(runs), key=lambda run: run.created_at, reverse=True)


def _newest(agents: Sequence[str], steps: int) -> dict[str, tuple[list[UUID], int]]:
    """The runs of each agent's newest steps, along the index, one short look for each agent in one statement; and how many steps there were."""
    found: dict[str, tuple[list[UUID], int]] = {name: ([], 0) for name in agents}
    if agents:
        look = (
            "SELECT agent, run_id, COUNT(*) FROM (SELECT agent, run_id FROM runs_step WHERE agent = %s ORDER BY agent, id DESC LIMIT %s) AS s "
            "GROUP BY agent, run_id"
        )
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join([look] * len(agents)), [value for name in agents for value in (name, steps)])
            for name, run, number in cursor.fetchall():
                runs, before = found[name]
                found[name] = ([*runs, UUID(str(run))], before + number)
    return found
