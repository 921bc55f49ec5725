"""How pipelines do, by their outcomes: when each was last verified, how often it has failed since, what is late. A read for monitoring.

Looks at the newest runs of each pipeline and at live ones, so that it costs the same with a hundred finished runs and with a million.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from agents.models import Pipeline, Standing
from audit.actors import Actor
from audit.instants import readable
from runs.engine.states import LIVE_RUN, SPREAD, Integrity, Outcome, RunState
from runs.models import Run, RunQuerySet

NEWEST: Final = 20
"""Runs of each pipeline that are looked at."""
FURTHEST: Final = 1_000
"""Runs of a pipeline among which its last verified one is looked for."""
FAILING: Final = 3
"""So many in a row without a verified result, and the pipeline is not healthy: one may be its source's bad day."""
LATE: Final = timedelta(seconds=60)
MOST_PIPELINES: Final = 500
MOST_LATE: Final = 10_000

GOOD: Final = frozenset({Outcome.VERIFIED, Outcome.DEGRADED})


@dataclass(frozen=True, slots=True)
class PipelineHealth:
    """`failing`: the newest ended runs in a row without a verified result. `overdue`: live runs past their deadline that nobody has ended."""

    pipeline: str
    team: str
    last_outcome: str | None
    last_ended_at: datetime | None
    verified_at: datetime | None
    failing: int
    overdue: int
    waiting_since: datetime | None
    queued: int = 0
    most_queued: int = 1

    def faults(self, now: datetime) -> list[str]:
        """Why it is not healthy; none where it is."""
        said = []
        if self.failing >= FAILING:
            said.append(f"its newest {self.failing} runs have no verified result")
        if self.overdue:
            said.append(f"{self.overdue} of its runs are past their deadline and nobody has ended them")
        if self.queued >= self.most_queued:
            said.append(f"{self.queued:,} of its runs wait to be begun, as many as may (ORCHESTRA_MOST_QUEUED_OF_PIPELINE): no more can be started")
        if self.waiting_since is not None and now - self.waiting_since > LATE:
            said.append(f"a run waits for a worker since {readable(self.waiting_since)} UTC")
        return said


def pipelines_health(*, actor: Actor, now: datetime, most: int = MOST_PIPELINES) -> list[PipelineHealth]:
    """The pipelines that this actor may see and that are not retired, by name; drafts' runs and second judgements are left out.

    Six queries, however many runs there are.
    """
    shown = Pipeline.objects.visible_to(actor).exclude(state=Standing.RETIRED).select_related("team").order_by("name")
    pipelines = list(shown[: min(most, MOST_PIPELINES)])
    if not pipelines:
        return []
    newest = _newest([pipeline.pk for pipeline in pipelines])
    overdue, waiting = _overdue(now), _waiting(now)
    queued, most_queued = queued_of([pipeline.pk for pipeline in pipelines]), int(settings.ORCHESTRA_MOST_QUEUED_OF_PIPELINE)
    ended = {pipeline.pk: _ended(newest[pipeline.pk], now) for pipeline in pipelines}
    verified = {key: next((run.finished_at for run, word in runs if word in GOOD), None) for key, runs in ended.items()}
    verified |= _verified_before([key for key, at in verified.items() if at is None and newest[key]])
    return [
        PipelineHealth(
            pipeline=pipeline.name,
            team=pipeline.team.name,
            last_outcome=next((word for _, word in ended[pipeline.pk]), None),
            last_ended_at=next((run.finished_at or run.deadline_at for run, _ in ended[pipeline.pk]), None),
            verified_at=verified[pipeline.pk],
            failing=_in_a_row(word for _, word in ended[pipeline.pk]),
            overdue=overdue[pipeline.pk],
            waiting_since=waiting.get(pipeline.pk),
            queued=queued[pipeline.pk],
            most_queued=most_queued,
        )
        for pipeline in pipelines
    ]


def _ended(runs: Sequence[Run], now: datetime) -> list[tuple[Run, str]]:
    """Newest first, each with what it reads as. A cancelled one says nothing about its pipeline."""
    read = [(run, run.effective(now)) for run in runs if not run.draft and run.reverifies_id is None]
    words = [(run, "broken" if run.integrity == Integrity.BROKEN else str(each.outcome)) for run, each in read if each.state is RunState.FINISHED]
    return [(run, word) for run, word in words if word != Outcome.CANCELLED]


def _in_a_row(words: Iterable[str]) -> int:
    failing = 0
    for word in words:
        if word in GOOD:
            break
        failing += 1
    return failing


_SAID: Final = "id pipeline_id state outcome integrity as_of deadline_at wake_at finished_at draft reverifies_id".split()


def _newest(pipelines: Sequence[UUID]) -> dict[UUID, list[Run]]:
    """The newest runs of each, by the index of a pipeline's runs. Either database takes only its own way of saying "for each"."""
    columns = ", ".join(f"r.{name}" for name in _SAID)
    of_each = f"FROM runs_run WHERE pipeline_id = p.id AND trigger <> '{SPREAD}' ORDER BY created_at DESC LIMIT %s"
    if connection.vendor == "postgresql":
        source = f"agents_pipeline p CROSS JOIN LATERAL (SELECT * {of_each}) r"
    else:
        source = f"agents_pipeline p JOIN runs_run r ON r.id IN (SELECT id {of_each})"
    sql = f"SELECT {columns} FROM {source} WHERE p.id IN ({_marks(pipelines)}) ORDER BY r.created_at DESC"  # noqa: S608 - as above
    found: dict[UUID, list[Run]] = defaultdict(list)
    for run in Run.objects.raw(sql, [NEWEST, *map(_key, pipelines)]):
        found[run.pipeline_id].append(run)
    return found


def _verified_before(pipelines: Sequence[UUID]) -> dict[UUID, datetime | None]:
    """Of pipelines without a verified run among their newest: looked for further back, and not without end."""
    if not pipelines:
        return {}
    further = f"SELECT * FROM runs_run WHERE pipeline_id = p.id AND trigger <> '{SPREAD}' ORDER BY created_at DESC LIMIT %s"  # noqa: S608 - as above
    good = ", ".join(f"'{outcome}'" for outcome in sorted(GOOD))
    last = f"(SELECT id FROM ({further}) n WHERE outcome IN ({good}) AND NOT draft ORDER BY created_at DESC LIMIT 1)"  # noqa: S608 - our own names
    sql = f"SELECT r.* FROM agents_pipeline p JOIN runs_run r ON r.id = {last} WHERE p.id IN ({_marks(pipelines)})"  # noqa: S608 - as above
    found = {run.pipeline_id: run.finished_at for run in Run.objects.raw(sql, [FURTHEST, *map(_key, pipelines)])}
    return {pipeline: found.get(pipeline) for pipeline in pipelines}


def _overdue(now: datetime) -> dict[UUID, int]:
    found: dict[UUID, int] = defaultdict(int)
    for pipeline in by_live_index(Run.objects.overdue(now - LATE)).values_list("pipeline_id", flat=True)[:MOST_LATE]:
        found[pipeline] += 1
    return found


def queued_of(pipelines: Sequence[UUID]) -> dict[UUID, int]:
    """How many runs of each wait to be begun, counted up to the bound."""
    of_each = "SELECT 1 AS one FROM runs_run WHERE pipeline_id = p.id AND state = 'queued' LIMIT %s"
    count = f"(SELECT count(*) FROM ({of_each}) AS found)"  # noqa: S608 - our own names
    sql = f"SELECT p.id, {count} FROM agents_pipeline p WHERE p.id IN ({_marks(pipelines)})"  # noqa: S608 - as above
    with connection.cursor() as cursor:
        cursor.execute(sql, [int(settings.ORCHESTRA_MOST_QUEUED_OF_PIPELINE), *(str(_key(pipeline)) for pipeline in pipelines)])
        return {UUID(str(pipeline)): count for pipeline, count in cursor.fetchall()}


def _waiting(now: datetime) -> dict[UUID, datetime]:
    """Since when the run that waits longest for a worker has been there."""
    found: dict[UUID, datetime] = {}
    for pipeline, since in ready_since(now):
        found[pipeline] = min(since, found.get(pipeline, since))
    return found


def ready_since(now: datetime) -> Iterable[tuple[UUID, datetime]]:
    """Pipeline and age of runs that a worker could take."""
    return by_live_index(Run.objects.ready(now)).values_list("pipeline_id", "created_at")[:MOST_LATE]


def by_live_index(runs: RunQuerySet) -> QuerySet[Run]:
    """The same runs, in the order of the index of live ones. Where the states are parameters, SQLite doesn't see that it could use that index, and
    reads all runs there are.
    """
    states = ", ".join(f"'{state}'" for state in sorted(LIVE_RUN))
    return runs.extra(where=[f"runs_run.state IN ({states})"]).order_by("lease_until")  # noqa: S610 - our own words


def _marks(values: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(values))


def _key(value: UUID) -> object:
    return value if connection.vendor == "postgresql" else value.hex
