"""How pipelines do, by their outcomes: when each was last verified, how often it has failed since, what is late. A read for monitoring.

Looks at the newest of each pipeline's runs that say something of it and at live ones, so that it costs the same with a hundred finished runs and
with a million. What claims a verified result is held against the ledger before it is believed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
from runs.engine.states import GOOD, LIVE_RUN, SPREAD, Integrity, Outcome
from runs.models import Run, RunQuerySet
from runs.models.run import HELD_AGAINST_THE_LEDGER, integrity_of

NEWEST: Final = 20
"""Runs of each pipeline that are looked at."""
FURTHER: Final = 2 * NEWEST
"""Runs of a pipeline that claim to be verified, among which the last one that is is looked for where none of its newest is."""
AT_ONCE: Final = 200
"""Runs that are held against the ledger together: their results are read for that, and some are large."""
FAILING: Final = 3
"""So many in a row without a verified result, and the pipeline is not healthy: one may be its source's bad day."""
LATE: Final = timedelta(seconds=60)
MOST_PIPELINES: Final = 500
MOST_LATE: Final = 10_000


@dataclass(frozen=True, slots=True)
class PipelineHealth:
    """`failing`: the runs that ended last, in a row without a verified result. `overdue`: live runs past their deadline that nobody has ended."""

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

    Five queries and those that hold a few runs of each pipeline against the ledger, however many runs there are.
    """
    shown = Pipeline.objects.visible_to(actor).exclude(state=Standing.RETIRED).select_related("team").order_by("name")
    pipelines = list(shown[: min(most, MOST_PIPELINES)])
    if not pipelines:
        return []
    overdue, waiting = _overdue(now), _waiting(now)
    ended = _ended([pipeline.pk for pipeline in pipelines], overdue)
    queued, most_queued = queued_of([pipeline.pk for pipeline in pipelines]), int(settings.ORCHESTRA_MOST_QUEUED_OF_PIPELINE)
    judged = _judged(ended)
    verified = _verified(ended, judged)
    words = {key: [_word(run, judged, now) for run in runs] for key, runs in ended.items()}
    return [
        PipelineHealth(
            pipeline=pipeline.name,
            team=pipeline.team.name,
            last_outcome=next(iter(words[pipeline.pk]), None),
            last_ended_at=next(map(_end, ended[pipeline.pk]), None),
            verified_at=verified.get(pipeline.pk),
            failing=_in_a_row(words[pipeline.pk]),
            overdue=sum(run.deadline_at <= now - LATE for run in overdue[pipeline.pk]),
            waiting_since=waiting.get(pipeline.pk),
            queued=queued[pipeline.pk],
            most_queued=most_queued,
        )
        for pipeline in pipelines
    ]


def _ended(pipelines: Sequence[UUID], overdue: Mapping[UUID, Sequence[Run]]) -> dict[UUID, list[Run]]:
    """Those that have ended last, newest first; a run past its deadline has, though nobody wrote it yet.

    Overdue ones are read before: one that somebody ends in between is in both, never in neither, and counts as it was written.
    """
    newest = _newest(pipelines, COUNTS, NEWEST)
    found = {}
    for key in pipelines:
        failed = [run for run in overdue[key] if not (run.draft or run.reverifies_id or run.trigger == SPREAD)]
        runs = {run.id: run for run in (*failed, *newest[key])}
        found[key] = sorted(runs.values(), key=lambda run: (_end(run), run.id), reverse=True)[:NEWEST]
    return found


def _end(run: Run) -> datetime:
    return run.finished_at or run.deadline_at


def _judged(ended: Mapping[UUID, Sequence[Run]]) -> dict[UUID, Integrity]:
    """What the ledger says of each pipeline's newest run, and of its newest that claims to be verified; where that is broken, of its other claims.

    Of no more: a run without a claim has no verified result either way.
    """
    claims = {key: [run for run in runs if _claims(run)] for key, runs in ended.items()}
    found = _held(run for key, runs in ended.items() for run in (*runs[:1], *claims[key][:1]))
    return found | _held(run for each in claims.values() if each and found[each[0].id] is Integrity.BROKEN for run in each[1:])


def _claims(run: Run) -> bool:
    return run.outcome in GOOD and run.integrity == Integrity.INTACT


def _held(runs: Iterable[Run]) -> dict[UUID, Integrity]:
    """Each against its finishing entry, once."""
    listed = list({run.id: run for run in runs}.values())
    found: dict[UUID, Integrity] = {}
    for start in range(0, len(listed), AT_ONCE):
        found |= integrity_of(listed[start : start + AT_ONCE])
    return found


def _verified(ended: Mapping[UUID, Sequence[Run]], judged: Mapping[UUID, Integrity]) -> dict[UUID, datetime | None]:
    """When each pipeline's last verified run ended; looked for further back where none of the newest is one, and there may be more."""
    found = _last_of(ended, judged)
    further = _newest([key for key, runs in ended.items() if key not in found and len(runs) == NEWEST], CLAIMS, FURTHER)
    unknown = {key: [run for run in runs if run.id not in judged] for key, runs in further.items()}
    return found | _last_of(unknown, _judged(unknown))


def _last_of(ended: Mapping[UUID, Sequence[Run]], judged: Mapping[UUID, Integrity]) -> dict[UUID, datetime | None]:
    holding = {key: [run for run in runs if _claims(run) and judged.get(run.id) is Integrity.INTACT] for key, runs in ended.items()}
    return {key: runs[0].finished_at for key, runs in holding.items() if runs}


def _word(run: Run, judged: Mapping[UUID, Integrity], now: datetime) -> str:
    """What it reads as; as the last check stored it where nothing hangs on it."""
    read = run.effective(now, judged.get(run.id))
    return str(Integrity.BROKEN) if read.integrity is Integrity.BROKEN else str(read.outcome)


def _in_a_row(words: Iterable[str]) -> int:
    failing = 0
    for word in words:
        if word in GOOD:
            break
        failing += 1
    return failing


_SAID: Final = (*HELD_AGAINST_THE_LEDGER, "pipeline_id", "deadline_at", "wake_at", "finished_at", "draft", "reverifies_id", "trigger")
_TELLS: Final = f"NOT draft AND reverifies_id IS NULL AND NOT (trigger = '{SPREAD}')"


def _listed(outcomes: Iterable[Outcome]) -> str:
    return ", ".join(f"'{outcome}'" for outcome in sorted(outcomes))


_JUDGED: Final = _listed(set(Outcome) - {Outcome.CANCELLED})
COUNTS: Final = f"{_TELLS} AND (outcome IN ({_JUDGED}) OR (integrity = '{Integrity.BROKEN}' AND outcome = '{Outcome.CANCELLED}'))"
"""Ended runs that say something of their pipeline: the condition of the index `run_counts`, as SQLite has to read it to take that. A cancelled run
says nothing, unless its row was found not to be what was written.
"""
CLAIMS: Final = f"{_TELLS} AND integrity = '{Integrity.INTACT}' AND outcome IN ({_listed(GOOD)})"
"""Those of a verified result, as far as their rows say: the condition of `run_good`."""


def _newest(pipelines: Sequence[UUID], which: str, most: int) -> dict[UUID, list[Run]]:
    """Those of each that ended last, by the index of that condition. Either database takes only its own way of saying "for each"."""
    found: dict[UUID, list[Run]] = defaultdict(list)
    if not pipelines:
        return found
    columns = ", ".join(f"r.{name}" for name in _SAID)
    of_each = f"FROM runs_run WHERE pipeline_id = p.id AND {which} ORDER BY finished_at DESC, id DESC LIMIT %s"
    if connection.vendor == "postgresql":
        source = f"agents_pipeline p CROSS JOIN LATERAL (SELECT * {of_each}) r"
    else:
        source = f"agents_pipeline p JOIN runs_run r ON r.id IN (SELECT id {of_each})"
    sql = f"SELECT {columns} FROM {source} WHERE p.id IN ({_marks(pipelines)}) ORDER BY r.finished_at DESC, r.id DESC"  # noqa: S608 - our own words
    for run in Run.objects.raw(sql, [most, *map(_key, pipelines)]):
        found[run.pipeline_id].append(run)
    return found


def _overdue(now: datetime) -> dict[UUID, list[Run]]:
    """Live runs past their deadline, by pipeline."""
    found: dict[UUID, list[Run]] = defaultdict(list)
    for run in by_live_index(Run.objects.overdue(now)).only(*_SAID)[:MOST_LATE]:
        found[run.pipeline_id].append(run)
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
