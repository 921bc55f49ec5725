"""Starting: a run of a release over checked input, or a second judgement of what an earlier run gave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from agents import contracts, registry, stops
from agents.errors import NotGranted
from agents.models import Pipeline, Release, Team
from audit import bulk, canonical, clock, ledger, reports
from audit.actors import Actor
from audit.errors import OrchestraError
from audit.ledger import Head
from audit.together import Together
from audit.visible import named
from runs import queue
from runs.engine import planner
from runs.engine.states import SPREAD, Integrity, RunState, Verb
from runs.errors import BadInput, IdempotencyConflict, NotReverifiable, Overloaded, Stopped, TooManyQueued
from runs.models import Run
from runs.services.comparing import held_whole
from runs.services.reading import find_run, require_member
from runs.services.refusals import record_refusal, refused_lookups
from runs.services.stops import refuse_stopped
from runs.store import beginnings, room


def start_run(
    *,
    pipeline: str,
    input: Mapping[str, Any],  # noqa: A002 - the word of the domain
    actor: Actor,
    draft: bool = False,
    as_of: datetime | None = None,
    trigger: str = "cli",
    idempotency_key: str | None = None,
    ring: bool = True,
    kept_for: UUID | None = None,
) -> Run:
    """Queue a run of the pipeline's current release (or of its newest drafts) and ring the bell, unless the caller drives it.

    `kept_for`: the id of the engine with which the caller drives it. Nobody else takes it for one lease, and nobody rings.

    With an idempotency key the same start gives the same run, which then says `found_again`, also when the pipeline was retired
    since. Raises BadInput with every violation, and what the registry refuses; a refusal is an entry of its own.
    """
    try:
        found = registry.pipeline_to_run(pipeline, actor=actor)
        _refuse_draft_of_agent(actor, draft=draft)
        run = _started(found, dict(input), actor=actor, draft=draft, as_of=as_of, trigger=trigger, key=idempotency_key, kept_for=kept_for)
    except OrchestraError as refusal:
        record_refusal(Verb.START_REFUSED, named("pipeline", pipeline), refusal, actor)
        raise
    if ring and kept_for is None:
        queue.ring(run.id)
    return run


def reverify(*, run: str, actor: Actor, ring: bool = False, kept_for: UUID | None = None) -> Run:
    """Judge a finished run's stored result again: a new run of the verify node alone, as of the old run's finish.

    The caller drives it (`kept_for` as of `start_run`), unless it is to ring for a worker.
    """
    with refused_lookups(Verb.START_REFUSED, run=run, actor=actor):
        old = find_run(run, actor=actor)
    try:
        require_member(old, actor)
        _refuse_unjudgeable(old)
        source = _input_of(old)
    except (NotReverifiable, NotGranted) as refusal:
        record_refusal(Verb.START_REFUSED, old.subject, refusal, actor, run=old)
        raise
    spec = old.release.manifest["pipeline"]["spec"]
    as_of = old.as_of or old.finished_at
    again = _Start(
        old.release, spec, source, canonical.digest(source), actor, old.draft, as_of, "reverify", key=None, kept_for=kept_for, reverifies=old
    )
    try:
        with transaction.atomic(durable=True):
            (new,) = _insert([again])
    except (TooManyQueued, Overloaded, Stopped) as refusal:
        record_refusal(Verb.START_REFUSED, old.subject, refusal, actor, run=old)
        raise
    if ring:
        queue.ring(new.id)
    return new


def _refuse_draft_of_agent(actor: Actor, *, draft: bool) -> None:
    """A draft is what nobody has published yet; a program that could start one would run what its team has only tried."""
    if draft and actor.is_agent:
        raise NotGranted("an agent starts what is published; drafts are for people to try")


def _refuse_unjudgeable(old: Run) -> None:
    if old.trigger == SPREAD:
        raise NotReverifiable(f"run {old.id} did some items of a loop of run {old.parent_run_id}, which has all of them judged: judge that one again")
    if old.state != RunState.FINISHED or not old.result_digest:
        raise NotReverifiable(f"run {old.id} is {old.outcome or old.state} and has no result that could be judged again")
    if held_whole([old])[old.id] is Integrity.BROKEN:
        raise NotReverifiable(f"run {old.id} is broken: its rows and its ledger entries differ, so nobody knows what would be judged")


def _input_of(old: Run) -> dict[str, Any]:
    opened = reports.openings_of([old.input_entry])[old.input_entry]
    if "input" not in opened:
        raise NotReverifiable(f"run {old.id} can't be judged again: its input was erased, so nobody knows any more what its result was to answer")
    given: dict[str, Any] = opened["input"]
    return given


def _digest(given: Mapping[str, Any]) -> str:
    try:
        return canonical.digest(given, depth=canonical.MAX_DEPTH)
    except canonical.NotCanonical as error:
        raise BadInput(f"the input can't be written as JSON: {error}") from None


def _refuse_bad_input(spec: Mapping[str, Any], given: Mapping[str, Any], as_of: datetime | None) -> None:
    wrong = contracts.violations(spec["input"], given, limit=20)
    said = [f"the input of '{spec['name']}' breaks its contract: {'; '.join(wrong)}"] if wrong else []
    if as_of is not None and as_of > clock.now():
        wrong = [*wrong, f"the instant {clock.to_text(as_of)} of --as-of (as_of) lies in the future; a run can judge only what has been"]
        said.append(wrong[-1])
    if wrong:
        raise BadInput(". ".join(said), problems=wrong)


def _started(
    pipeline: Pipeline,
    given: dict[str, Any],
    *,
    actor: Actor,
    draft: bool,
    as_of: datetime | None,
    trigger: str,
    key: str | None,
    kept_for: UUID | None,
) -> Run:
    asked = (pipeline.pk, _digest(given), draft, as_of)
    earlier = _same_start(pipeline, asked, key, actor)
    if earlier is not None:  # whatever the contract says by now, and whether or not the pipeline still starts anything
        return earlier
    release = registry.release_of(pipeline, draft=draft, actor=actor, now=clock.now())
    spec = release.manifest["pipeline"]["spec"]
    _refuse_bad_input(spec, given, as_of)
    try:
        start = _Start(release, spec, given, asked[1], actor, draft, as_of, trigger, key, kept_for)
        if actor.is_agent:  # it locks its key's rows, and two groups that lock several wait for each other
            return _start_all([start])[0]
        return _TOGETHER.do(start)
    except (IntegrityError, TooManyQueued, Overloaded):
        earlier = _same_start(pipeline, asked, key, actor)  # somebody used the key in the same moment
        if earlier is None:
            raise
        return earlier


def _same_start(pipeline: Pipeline, asked: tuple[Any, ...], key: str | None, actor: Actor) -> Run | None:
    if key is None:
        return None
    if not (0 < len(key) <= 200 and key.isprintable()):
        raise BadInput("an idempotency key has 1 to 200 printable characters")
    earlier = Run.objects.filter(team=pipeline.team, idempotency_key=key).first()
    if earlier is not None and actor.is_agent and not Run.objects.visible_to(actor).filter(pk=earlier.pk).exists():
        raise IdempotencyConflict(f"the idempotency key '{key}' belongs to a run that somebody else of team '{pipeline.team.name}' started")
    if earlier is not None and (earlier.pipeline_id, earlier.input_digest, earlier.draft, earlier.as_of) != asked:
        raise IdempotencyConflict(f"the idempotency key '{key}' belongs to run {earlier.id}, which was asked for something else")
    if earlier is not None:
        earlier.found_again = True
    return earlier


def _bounds() -> room.Bounds:
    return room.Bounds(settings.ORCHESTRA_MOST_QUEUED_OF_PIPELINE, settings.ORCHESTRA_MOST_QUEUED_OF_TEAM, settings.ORCHESTRA_MOST_QUEUED)


@dataclass(frozen=True, slots=True)
class _Start:
    """A run to be, of a release whose contract its input keeps."""

    release: Release
    spec: Mapping[str, Any]
    given: dict[str, Any]
    digest: str
    """Of what is given."""
    actor: Actor
    draft: bool
    as_of: datetime | None
    trigger: str
    key: str | None
    kept_for: UUID | None
    reverifies: Run | None = None

    @property
    def team(self) -> Team:
        """A judgement is its run's team's, wherever the pipeline went."""
        return self.release.pipeline.team if self.reverifies is None else self.reverifies.team


def _start_all(starts: Sequence[_Start]) -> list[Run]:
    """Runs of one pipeline, or what one of them is refused with."""
    with bulk.atomic():
        for start in starts:
            if start.actor.is_agent and start.actor.by is not None:
                start.actor.by.require_open(clock.now())  # a key that is revoked, or an agent that is suspended, at this moment comes before or after
        return _insert(starts)


_TOGETHER: Final = Together(_start_all, place=lambda start: start.release.pipeline.pk)


def _insert(starts: Sequence[_Start]) -> list[Run]:
    """In the order of their keys, which two transactions that hold several then wait for in the same order; given back in the order asked."""
    room.refuse_beyond(starts[0].release.pipeline, _bounds(), many=len(starts))
    stopped, now = stops.asked_in_force(), clock.now()
    in_force = stopped()
    for start in starts:
        refuse_stopped(start.release, start.team.name, in_force)
    runs = [_run(start, now) for start in starts]
    queued = [beginnings.queued(run, start.spec, start.given, start.actor) for run, start in zip(runs, starts, strict=True)]
    for run, draft in zip(runs, queued, strict=True):
        run.input_entry = draft.id
    in_order = sorted(runs, key=lambda run: run.idempotency_key or "")
    ledger.record(queued, now=now, heads={run.id: Head() for run in runs}, beside=[beginnings.rows_of(in_order)])
    return runs


def _run(start: _Start, now: datetime) -> Run:
    release, limits = start.release, start.spec["limits"]
    return Run(
        pipeline=release.pipeline,
        release=release,
        team=start.team,
        as_of=start.as_of,
        draft=start.draft,
        trigger=start.trigger,
        **_whose(start.actor),
        idempotency_key=start.key,
        reverifies=start.reverifies,
        created_at=now,
        lease_owner=start.kept_for,
        lease_until=None if start.kept_for is None else now + timedelta(seconds=settings.ORCHESTRA_LEASE_TTL_S),
        deadline_at=now + timedelta(milliseconds=limits["timeout_ms"]),
        lifetime_until=now + timedelta(milliseconds=planner.lifetime_ms(limits)),
        priority=beginnings.PRIORITIES[start.spec.get("priority", "normal")],
        engine_abi=release.manifest["engine_abi"],
        seq=1,
        calls_limit=limits.get("calls"),
        cost_limit_nano=limits.get("cost_nano"),
        input_digest=start.digest,
    )


def _whose(actor: Actor) -> dict[str, str]:
    """Who starts it; where that is an agent, with which of its keys and on whose behalf."""
    behalf = f"person:{actor.on_behalf_of}" if actor.is_agent else ""
    return {"started_by": f"{actor.kind}:{actor.id}", "started_with": actor.key, "on_behalf_of": behalf}
