"""One run: its state, its authority (lease, fence, revision), its own account, and what it ended with.

Values (input, result, failure) lie in the ledger's openings; here stand digests and where to find them. Written by `runs.store` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from django.db import models
from django.db.models import Q

from agents.models import Pipeline, Release, Team
from agents.validation import DEEPEST
from audit import clock, reports
from audit.actors import READ, Actor
from audit.identity import new_id
from runs.engine.states import (
    AT_WORK_RUN,
    FOR_A_CAUSE,
    GOOD,
    LIVE_RUN,
    SPREAD,
    SUPPORTED_ABIS,
    Effective,
    Integrity,
    Outcome,
    RunState,
    Verb,
    effective,
)
from runs.engine.values import instant_text

_PERSON: Final = "person:"
_LIVE = sorted(state.value for state in LIVE_RUN)  # in order: a set would make a new migration every other time
_AT_WORK = sorted(state.value for state in AT_WORK_RUN)
_GOOD = sorted(outcome.value for outcome in GOOD)
_JUDGED = sorted(outcome.value for outcome in Outcome if outcome is not Outcome.CANCELLED)
_TELLS = Q(draft=False, reverifies__isnull=True) & ~Q(trigger=SPREAD)
_COUNTS = _TELLS & (Q(outcome__in=_JUDGED) | Q(outcome=Outcome.CANCELLED.value, integrity=Integrity.BROKEN.value))
_CLAIMS = _TELLS & Q(outcome__in=_GOOD, integrity=Integrity.INTACT.value)


def literally(column: str, words: Sequence[str]) -> models.Func:
    """A condition with its values in the statement: SQLite takes an index of some rows only where it reads there that no others are wanted."""
    listed = ", ".join(f"'{word}'" for word in words)
    condition = f" IN ({listed})" if len(words) > 1 else f" = {listed}"
    return models.Func(models.F(column), template=f"%(expressions)s{condition}", output_field=models.BooleanField())


def of_person(name: str, at: str = "") -> Q:
    """Runs on behalf of this person, as `Run.person` says. `at` leads to the run from the rows that are asked for."""
    return Q(**{f"{at}started_by": f"{_PERSON}{name}"}) | Q(**{f"{at}on_behalf_of": f"{_PERSON}{name}"})


IS_LIVE: Final = Q(literally("state", _LIVE))
IS_BROKEN: Final = Q(literally("integrity", [Integrity.BROKEN.value]))


class RunQuerySet(models.QuerySet["Run"]):
    """Sets of runs. States are asked as of an instant: an overdue run has failed though nobody wrote it yet."""

    def visible_to(self, actor: Actor) -> Self:
        """Those of the actor's teams; for an agent what it started itself of its team's, all or only of the pipelines that its key starts."""
        if actor.is_agent:
            own = self.filter(team__name=actor.team, started_by=f"{actor.kind}:{actor.id}")
            return own if READ in actor.scopes or "*" in actor.starts else own.filter(pipeline__name__in=actor.starts)
        return self if actor.sees_everything else self.filter(team__name__in=actor.sees)

    def live(self) -> Self:
        return self.filter(IS_LIVE)

    def broken(self) -> Self:
        """As the last check found them."""
        return self.filter(IS_BROKEN)

    def overdue(self, now: datetime) -> Self:
        return self.live().filter(deadline_at__lte=now)

    def ready(self, now: datetime) -> Self:
        """Runs that a worker may claim: nobody's, at work or waiting until now; in time, not broken, and of an engine like this one.

        Parking gives the lease back, so a waiting run that has one is just being taken up by somebody.
        """
        free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
        turn = Q(state__in=AT_WORK_RUN) | Q(state=RunState.WAITING, wake_at__lte=now)
        return self.filter(free, turn, deadline_at__gt=now, integrity=Integrity.INTACT, engine_abi__in=SUPPORTED_ABIS).order_by("created_at")

    def unattended(self, now: datetime) -> Self:
        """Live runs that no worker holds: waiting ones, and those whose lease nobody has or prolongs."""
        return self.live().filter(Q(lease_until__isnull=True) | Q(lease_until__lte=now) | Q(state=RunState.WAITING))

    def children(self) -> Self:
        return self.filter(parent_run__isnull=False)

    def roots(self) -> Self:
        """Runs that somebody started; their children are theirs."""
        return self.filter(parent_run__isnull=True)

    def whole(self) -> Self:
        """Without those that do some items of a loop of another: their outcomes say nothing of their pipeline."""
        return self.exclude(trigger=SPREAD)

    def of_family(self, ids: Iterable[UUID]) -> Self:
        """These runs and all that run below them. `ids` are of runs that somebody started."""
        return self.filter(Q(id__in=ids) | Q(root_run__in=ids))

    def ended_as(self, outcome: Outcome, now: datetime) -> Self:
        """Runs whose outcome is this one at `now`, overdue ones counted as failed."""
        if outcome is Outcome.FAILED:
            return self.filter(Q(outcome=outcome) | IS_LIVE & Q(deadline_at__lte=now))
        return self.filter(outcome=outcome)

    def failed_for(self, cause: str, now: datetime) -> Self:
        """Runs with this cause, and overdue ones: whoever reads what those have waited for says their cause."""
        return self.filter(Q(outcome__in=sorted(FOR_A_CAUSE), failure_cause=cause) | IS_LIVE & Q(deadline_at__lte=now))

    @staticmethod
    def ways_to_end_as(outcome: Outcome | None, now: datetime) -> list[Q]:
        """The same parted into conditions of which each has an index in the order of a list: no index has an `or`."""
        if outcome is Outcome.FAILED:
            return [Q(outcome=outcome), IS_LIVE & Q(deadline_at__lte=now)]
        return [Q()] if outcome is None else [Q(outcome=outcome)]


class Run(models.Model):
    """Money in nano-USD; `seq` is that of the run's last sequenced entry."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    pipeline = models.ForeignKey(Pipeline, on_delete=models.PROTECT, related_name="runs")
    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="runs")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="runs", db_index=False)  # run_of_team begins with it
    state = models.CharField(max_length=16, choices=[(s.value, s.value) for s in RunState], default=RunState.QUEUED.value)
    outcome = models.CharField(max_length=16, choices=[(o.value, o.value) for o in Outcome], null=True, blank=True)  # noqa: DJ001 - no outcome yet
    integrity = models.CharField(max_length=16, default=Integrity.INTACT.value)
    checked_at = models.DateTimeField(null=True, blank=True)  # set with the finish, so that no null sorts differently on two databases
    as_of = models.DateTimeField(null=True, blank=True)
    draft = models.BooleanField(default=False)
    trigger = models.CharField(max_length=32)
    started_by = models.CharField(max_length=200)
    started_with = models.CharField(max_length=64, blank=True, default="", db_default="")  # the id of an agent's key
    on_behalf_of = models.CharField(max_length=200, blank=True, default="", db_default="")  # of an agent's run the owner of that key, as person:NAME
    idempotency_key = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - unique where given
    reverifies = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="reverified_by", db_index=False)

    parent_run = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children", db_index=False)
    parent_step = models.CharField(max_length=400, blank=True, default="")
    root_run = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="family", db_index=False)
    depth = models.PositiveSmallIntegerField(default=1)
    held_nano = models.BigIntegerField(default=0)  # what was put aside for this run in the account of the one above it
    held_calls = models.BigIntegerField(default=0)

    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField()
    lifetime_until = models.DateTimeField(null=True, blank=True)  # runs of before there were waits have their deadline alone
    wake_at = models.DateTimeField(null=True, blank=True)
    remaining_ms = models.BigIntegerField(null=True, blank=True)
    priority = models.SmallIntegerField(default=0)
    engine_abi = models.PositiveIntegerField(default=1)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_by = models.CharField(max_length=200, blank=True, default="")

    revision = models.BigIntegerField(default=0)
    seq = models.BigIntegerField(default=0)
    fence = models.BigIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=0)
    lease_owner = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    calls_used = models.BigIntegerField(default=0)
    calls_limit = models.BigIntegerField(null=True, blank=True)
    spent_nano = models.BigIntegerField(default=0)
    reserved_nano = models.BigIntegerField(default=0)
    cost_limit_nano = models.BigIntegerField(null=True, blank=True)

    input_entry = models.UUIDField()
    input_digest = models.CharField(max_length=64)
    result_digest = models.CharField(max_length=64, blank=True, default="")
    failure_cause = models.CharField(max_length=32, blank=True, default="")
    failure_owner = models.CharField(max_length=200, blank=True, default="")
    failure_team = models.CharField(max_length=200, blank=True, default="")

    found_again: bool = False
    """Not stored: a start with an idempotency key gave this run, which was there already."""

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(condition=Q(state__in=[s.value for s in RunState]), name="run_state_known"),
            models.CheckConstraint(
                condition=Q(state=RunState.FINISHED.value, outcome__isnull=False) | (~Q(state=RunState.FINISHED.value) & Q(outcome__isnull=True)),
                name="run_outcome_when_finished",
            ),
            models.CheckConstraint(condition=Q(priority__in=[-1, 0, 1]), name="run_priority_known"),
            models.CheckConstraint(
                condition=Q(state=RunState.WAITING.value, wake_at__isnull=False)
                | (~Q(state=RunState.WAITING.value) & Q(wake_at__isnull=True, remaining_ms__isnull=True)),
                name="run_clock_stands_while_waiting",
            ),
            models.CheckConstraint(condition=Q(outcome__isnull=True) | Q(outcome__in=[o.value for o in Outcome]), name="run_outcome_known"),
            models.CheckConstraint(condition=Q(reserved_nano__gte=0, spent_nano__gte=0, calls_used__gte=0), name="run_account_not_negative"),
            models.UniqueConstraint(fields=["team", "idempotency_key"], name="run_idempotency_key_of_team"),
            models.UniqueConstraint(fields=["parent_run", "parent_step"], name="run_one_child_of_step", condition=Q(parent_run__isnull=False)),
            models.CheckConstraint(condition=Q(depth__gte=1, depth__lte=DEEPEST), name="run_not_too_deep"),
            models.CheckConstraint(
                condition=Q(parent_run__isnull=True, root_run__isnull=True, parent_step="", depth=1)
                | (Q(parent_run__isnull=False, root_run__isnull=False, depth__gt=1) & ~Q(parent_step="")),
                name="run_child_has_its_place",
            ),
        ]
        indexes = [
            models.Index(fields=["lease_until", "created_at"], name="run_ready", condition=Q(state__in=_AT_WORK)),
            models.Index(fields=["pipeline", "created_at"], name="run_queue", condition=Q(state=RunState.QUEUED.value)),
            models.Index(fields=["wake_at"], name="run_wakes", condition=Q(state=RunState.WAITING.value)),
            models.Index(fields=["engine_abi"], name="run_of_engine", condition=Q(state__in=_LIVE)),
            models.Index(fields=["deadline_at"], name="run_deadline", condition=Q(state__in=_LIVE)),
            models.Index(fields=["attempt"], name="run_doubted", condition=Q(attempt__gte=3, state__in=_LIVE)),  # as `store.claims` says it
            models.Index(fields=["lease_owner"], name="run_owner", condition=Q(lease_owner__isnull=False)),
            models.Index(fields=["pipeline", "-created_at"], name="run_of_pipeline"),
            models.Index(fields=["-created_at", "-id"], name="run_newest"),
            models.Index(fields=["team", "-created_at", "-id"], name="run_of_team"),
            # A rare outcome is found without reading the others, of all runs, of a team's and of a pipeline's.
            models.Index(fields=["outcome", "-created_at", "-id"], name="run_of_outcome", condition=Q(outcome__isnull=False)),
            models.Index(fields=["team", "outcome", "-created_at", "-id"], name="run_of_team_outcome", condition=Q(outcome__isnull=False)),
            models.Index(fields=["pipeline", "outcome", "-created_at", "-id"], name="run_of_pipeline_outcome", condition=Q(outcome__isnull=False)),
            models.Index(fields=["team", "-created_at", "-id"], name="run_live_of_team", condition=Q(state__in=_LIVE)),
            models.Index(fields=["-created_at", "-id"], name="run_broken", condition=Q(integrity=Integrity.BROKEN.value)),
            # What `runs.services.health` takes the newest of, whatever lies between; it writes the same conditions. By their end: no index of
            # all runs has that order, which PostgreSQL would else walk for a pipeline that it takes for as busy as the others.
            models.Index(fields=["pipeline", "-finished_at", "-id"], name="run_counts", condition=_COUNTS),
            models.Index(fields=["pipeline", "-finished_at", "-id"], name="run_good", condition=_CLAIMS),
            # Few runs judge another. With all the nulls in it, SQLite's statistics would call the index useless and read the whole table.
            models.Index(fields=["reverifies"], name="run_judged_again", condition=Q(reverifies__isnull=False)),
            models.Index(fields=["root_run"], name="run_of_family", condition=Q(root_run__isnull=False)),
            models.Index(fields=["parent_run"], name="run_live_child", condition=Q(parent_run__isnull=False, state__in=_LIVE)),
            models.Index(fields=["checked_at"], name="run_unchecked", condition=Q(state=RunState.FINISHED.value)),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def clock_stands(self) -> bool:
        """Whether it waits for somebody, and nothing below it is at work."""
        return self.state == RunState.WAITING and self.remaining_ms is not None

    @property
    def person(self) -> str | None:
        """On whose behalf it is, as `person:NAME`: whoever started it, or owned the key with which an agent did; None of what nobody started.

        The one place that says so of a row; `of_person` says the same of a set.
        """
        return self.on_behalf_of or (self.started_by if self.started_by.startswith(_PERSON) else None)

    @property
    def subject(self) -> str:
        """How ledger entries name it."""
        return f"run:{self.id}"

    def effective(self, now: datetime, integrity: Integrity | None = None) -> Effective:
        """What every door says of this run; `integrity` from `integrity_of`, else what the last check stored."""
        return effective(
            state=RunState(self.state),
            outcome=Outcome(self.outcome) if self.outcome else None,
            deadline_at=self.deadline_at,
            as_of=self.as_of,
            integrity=integrity or Integrity(self.integrity),
            now=now,
            wake_at=self.wake_at,
        )


_OF_A_FAILURE: Final = ("cause", "owner", "team")
HELD_AGAINST_THE_LEDGER: Final = (
    *("id", "state", "outcome", "integrity", "as_of", "finished_at", "seq", "result_digest"),
    *(f"failure_{name}" for name in _OF_A_FAILURE),
)
"""The columns that `integrity_of` reads."""
CLOCKS_APART: Final = timedelta(days=1)
"""A worker's clock says when a run ended, the database's when that was written. They need not agree; so far apart they are not."""


def integrity_of(runs: Iterable[Run], bodies: Mapping[UUID, dict[str, Any]] | None = None) -> dict[UUID, Integrity]:
    """Compare each run's outcome, failure, as-of instant and stored result with its finishing entry. A live run must have none.

    `bodies` are their last entries, where the caller has read them. What the others state is not looked at: `runs.services.comparing` does that.
    """
    listed = list(runs)
    bodies = reports.bodies_at([(run.id, run.seq) for run in listed]) if bodies is None else bodies
    digests = reports.opened_digests(bodies.values(), "result")
    stored = {run: digests.get(UUID(body["id"])) for run, body in bodies.items()}
    return {run.id: _integrity(run, bodies.get(run.id), stored.get(run.id)) for run in listed}


def _integrity(run: Run, body: dict[str, Any] | None, stored: str | None) -> Integrity:
    if run.integrity == Integrity.BROKEN or body is None:
        return Integrity.BROKEN
    facts = body["facts"]
    finished = body["verb"] == Verb.RUN_FINISHED
    if run.state != RunState.FINISHED:
        return Integrity.BROKEN if finished else Integrity.INTACT
    if not finished or run.finished_at is None or run.finished_at > clock.from_text(body["at"]) + CLOCKS_APART:
        return Integrity.BROKEN
    failed = facts["failure"] or dict.fromkeys(_OF_A_FAILURE)
    said = (facts["outcome"], facts["as_of"], facts["result"] or "", stored or "", *(failed[name] or "" for name in _OF_A_FAILURE))
    here = (run.outcome, instant_text(run.as_of), run.result_digest, run.result_digest, run.failure_cause, run.failure_owner, run.failure_team)
    return Integrity.INTACT if said == here else Integrity.BROKEN
