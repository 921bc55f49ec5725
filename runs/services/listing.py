"""Lists of runs: what a run reads as now, never its raw columns. The same for the command, REST and the admin.

Filters after the integrity check too, so that a broken run is in no list of verified ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import OuterRef, Q, Subquery

from agents.models import Pipeline, Team
from audit import clock
from audit.actors import Actor
from audit.lanes import first_of, teams_apart
from runs.engine.states import FOR_A_CAUSE, Effective, Integrity, Outcome, RunState
from runs.models import Run, RunQuerySet
from runs.models.run import IS_LIVE, integrity_of
from runs.services import phrases
from runs.services.reading import runs_visible_to

BROKEN: Final = str(Integrity.BROKEN)
OUTCOMES: Final = (*(str(outcome) for outcome in Outcome), BROKEN)
NEWEST_FIRST: Final = ("-created_at", "-id")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs; all that are given must hold. `outcome` may be "broken", which is no stored outcome."""

    pipeline: str | None = None
    outcome: str | None = None
    state: str | None = None
    since: datetime | None = None
    started_by: str | None = None
    cause: str | None = None
    children: bool = False
    """Also runs that a step of another run has started."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A run, and what every door says of it at this moment."""

    run: Run
    effective: Effective
    cause: str = ""
    """Why it has failed, also where no worker has written that yet: then nobody has written whose it is either."""

    @property
    def owner(self) -> str:
        return self.run.failure_owner if self.cause and not self.effective.overdue else ""

    @property
    def team(self) -> str:
        """That of the owner."""
        return self.run.failure_team if self.owner else ""

    @property
    def outcome(self) -> str | None:
        """The word that lists show: broken hides what is stored."""
        if self.effective.integrity is Integrity.BROKEN:
            return BROKEN
        return None if self.effective.outcome is None else str(self.effective.outcome)


def runs_wanted(wanted: Wanted, *, actor: Actor, now: datetime) -> RunQuerySet:
    """What the database can tell: a superset of the wanted, since only the ledger tells what is broken."""
    runs = runs_visible_to(actor) if wanted.children else runs_visible_to(actor).roots()
    given = {"pipeline__name": wanted.pipeline, "created_at__gte": wanted.since, "started_by": wanted.started_by}
    runs = runs.filter(**{name: value for name, value in given.items() if value is not None})
    if wanted.state is not None:
        runs = _in_state(runs, RunState(wanted.state), now)
    if wanted.outcome is not None and wanted.outcome != BROKEN:
        runs = runs.ended_as(Outcome(wanted.outcome), now)
    if wanted.cause is not None:
        runs = runs.failed_for(wanted.cause, now)
    return runs


def lanes_of_runs(wanted: Wanted, *, actor: Actor, now: datetime) -> list[Q]:
    """Conditions that part what is wanted into lists of which an index has each in order, newest first.

    A pipeline belongs to one team, so where one is named its own index serves.
    """
    apart = [] if wanted.pipeline is not None else teams_apart(actor)
    teams = [Q(team=key) for key in Team.objects.filter(name__in=apart).values_list("pk", flat=True)] if apart else [Q()]
    outcomes: Sequence[Outcome | None]
    outcomes = [Outcome(wanted.outcome)] if wanted.outcome in set(Outcome) else sorted(FOR_A_CAUSE) if wanted.cause is not None else [None]
    return [team & end for team in teams for outcome in outcomes for end in RunQuerySet.ways_to_end_as(outcome, now)]


def newest_runs(wanted: Wanted, *, actor: Actor, now: datetime, most: int, before: Run | None = None) -> list[Run]:
    """The newest of the runs that the database can tell, or the next ones before a run."""
    runs = runs_wanted(wanted, actor=actor, now=now)
    if before is not None:
        same = Q(created_at=before.created_at, id__lt=before.id)
        runs = runs.filter(Q(created_at__lt=before.created_at) | same, created_at__lte=before.created_at)
    return first_of(runs, lanes_of_runs(wanted, actor=actor, now=now), order=NEWEST_FIRST, most=most)


def newest_of_each(pipelines: Sequence[UUID], *, actor: Actor, now: datetime) -> dict[UUID, Listed]:
    """The newest run that somebody started of each of these, as it reads now; the same statements for one as for many."""
    newest = Run.objects.visible_to(actor).roots().filter(pipeline=OuterRef("pk")).order_by(*NEWEST_FIRST).values("pk")[:1]
    wanted = Pipeline.objects.filter(pk__in=pipelines).annotate(newest=Subquery(newest)).values_list("newest", flat=True)
    rows = list(Run.objects.filter(id__in=[run for run in wanted if run is not None]).order_by())
    return {each.run.pipeline_id: each for each in read_as(rows, Wanted(), now=now)}


def read_as(runs: Sequence[Run], wanted: Wanted, *, now: datetime | None = None) -> list[Listed]:
    """Each run as it reads now, without those that read otherwise than wanted."""
    now = now or clock.now()
    found = integrity_of(runs)
    readings = phrases.with_waits([(run, run.effective(now, found[run.id])) for run in runs])
    causes = phrases.causes(readings)
    listed = [Listed(run, reads, causes[run.id]) for run, reads in readings]
    return [each for each in listed if wanted.outcome in (None, each.outcome) and wanted.cause in (None, each.cause)]


def _in_state(runs: RunQuerySet, state: RunState, now: datetime) -> RunQuerySet:
    """As of an instant: a live run past its deadline has finished, though nobody has written it yet."""
    if state is RunState.FINISHED:
        return runs.filter(Q(state=state) | IS_LIVE & Q(deadline_at__lte=now))
    return runs.live().filter(state=state, deadline_at__gt=now)
