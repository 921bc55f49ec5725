"""Starting: a run of a release over checked input, or a second judgement of what an earlier run gave."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from agents import contracts, registry, stops
from agents.errors import NotGranted
from agents.models import Pipeline, Release
from audit import bulk, canonical, clock, ledger, reports
from audit.actors import Actor
from audit.errors import OrchestraError
from audit.ledger import Head
from audit.visible import named
from runs import queue
from runs.engine import planner
from runs.engine.states import SPREAD, Integrity, RunState, Verb
from runs.errors import BadInput, IdempotencyConflict, NotReverifiable, Overloaded, Stopped, TooManyQueued
from runs.models import Run
from runs.models.run import integrity_of
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
    try:
        with transaction.atomic(durable=True):
            more: dict[str, Any] = {"trigger": "reverify", "key": None, "reverifies": old, "kept_for": kept_for}
            new = _insert(old.release, spec, source, actor=actor, draft=old.draft, as_of=as_of, **more)
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
    if integrity_of([old])[old.id] is Integrity.BROKEN:
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
        with bulk.atomic():
            if actor.is_agent and actor.by is not None:
                actor.by.require_open(clock.now())  # a key that is revoked, or an agent that is suspended, at this moment comes before or after
            return _insert(release, spec, given, actor=actor, draft=draft, as_of=as_of, trigger=trigger, key=key, kept_for=kept_for)
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


def _insert(
    release: Release,
    spec: Mapping[str, Any],
    given: dict[str, Any],
    *,
    actor: Actor,
    draft: bool,
    as_of: datetime | None,
    trigger: str,
    key: str | None,
    kept_for: UUID | None,
    reverifies: Run | None = None,
) -> Run:
    room.refuse_beyond(release.pipeline, _bounds())
    stopped, now, limits = stops.asked_in_force(), clock.now(), spec["limits"]
    team = release.pipeline.team if reverifies is None else reverifies.team  # a judgement is its run's team's, wherever the pipeline went
    refuse_stopped(release, team.name, stopped())
    run = Run(
        pipeline=release.pipeline,
        release=release,
        team=team,
        as_of=as_of,
        draft=draft,
        trigger=trigger,
        **_whose(actor),
        idempotency_key=key,
        reverifies=reverifies,
        created_at=now,
        lease_owner=kept_for,
        lease_until=None if kept_for is None else now + timedelta(seconds=settings.ORCHESTRA_LEASE_TTL_S),
        deadline_at=now + timedelta(milliseconds=limits["timeout_ms"]),
        lifetime_until=now + timedelta(milliseconds=planner.lifetime_ms(limits)),
        priority=beginnings.PRIORITIES[spec.get("priority", "normal")],
        engine_abi=release.manifest["engine_abi"],
        seq=1,
        calls_limit=limits.get("calls"),
        cost_limit_nano=limits.get("cost_nano"),
        input_digest=canonical.digest(given),
    )
    return _recorded(run, spec, given, actor, now)


def _whose(actor: Actor) -> dict[str, str]:
    """Who starts it; where that is an agent, with which of its keys and on whose behalf."""
    behalf = f"person:{actor.on_behalf_of}" if actor.is_agent else ""
    return {"started_by": f"{actor.kind}:{actor.id}", "started_with": actor.key, "on_behalf_of": behalf}


def _recorded(run: Run, spec: Mapping[str, Any], given: dict[str, Any], actor: Actor, now: datetime) -> Run:
    """Its row, and its first entry."""
    queued = beginnings.queued(run, spec, given, actor)
    run.input_entry = queued.id
    ledger.record([queued], now=now, heads={run.id: Head()}, beside=[beginnings.rows_of([run])])
    return run
