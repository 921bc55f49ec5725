"""Cancelling: the request is written at once; whoever drives the run feels it, and a run that nobody drives ends here.

It reaches the runs below in the same breath: what nobody waits for any more is cancelled too, level by level.
"""

import logging
from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F

from agents.errors import NotGranted
from audit import clock, ledger
from audit.actors import Actor, Credential
from audit.ledger import Draft
from runs import queue
from runs.engine.states import LIVE_RUN, Verb
from runs.errors import AlreadyFinished
from runs.models import Run
from runs.services.ending import end_unattended
from runs.services.reading import find_run, require
from runs.services.refusals import record_refusal, refused_lookups
from runs.store import family

BATCH: Final = 100
log = logging.getLogger(__name__)


def cancel_run(*, run: str, actor: Actor) -> Run:
    """Ask for the end of a live run and of all below it. Asking twice is the same as once; a finished run raises AlreadyFinished and stays."""
    with refused_lookups(Verb.CANCEL_REFUSED, run=run, actor=actor):
        found = find_run(run, actor=actor)
    _require_member(found, actor)
    asked_at = clock.now()
    try:
        asked = _ask(found, actor, asked_at, by=actor.by if actor.is_agent else None)
    except NotGranted as closed:
        record_refusal(Verb.CANCEL_REFUSED, found.subject, closed, actor, run=found)
        raise
    found.refresh_from_db()
    ended = found.effective(asked_at)
    if not asked and ended.outcome is not None:
        refusal = AlreadyFinished(f"run {found.id} has finished ({ended.outcome}); finished is final")
        record_refusal(Verb.CANCEL_REFUSED, found.subject, refusal, actor, run=found)
        raise refusal
    _end_or_ring(found.id, actor, asked=asked)
    cancel_orphans([found.id], actor=actor)
    found.refresh_from_db()
    return found


def cancel_orphans(parents: Collection[UUID] | None = None, *, actor: Actor) -> int:
    """Cancel the live children of these runs (of all, without any) that nobody waits for any more, and what runs below them."""
    cancelled = 0
    level = parents
    while found := list(family.orphans(level).select_related("team")[:BATCH]):
        asked = [run for run in found if _ask(run, actor, clock.now())]
        for run in asked:
            _end_or_ring(run.id, actor, asked=True)
        if not asked:
            break  # overdue: a sweep ends them, and what is below them then
        cancelled += len(asked)
        level = parents if len(found) == BATCH else [run.id for run in found]
    return cancelled


def _ask(run: Run, actor: Actor, asked_at: datetime, *, by: Credential | None = None) -> bool:
    """Whether it was asked now, and not before. `by` is looked at once more, in the same transaction; NotGranted."""
    with transaction.atomic(durable=True):
        # The run's row is the first statement of all; whoever decides on it locks it before people's as well. Its head is read under that lock.
        asked = Run.objects.filter(id=run.id, state__in=LIVE_RUN, deadline_at__gt=asked_at, cancel_requested_at__isnull=True).update(
            revision=F("revision") + 1, seq=F("seq") + 1, cancel_requested_at=asked_at, cancel_requested_by=f"{actor.kind}:{actor.id}"
        )
        if by is not None:
            by.require_open(asked_at)
        if asked:
            head = ledger.head_of(run.id)
            draft = Draft(verb=Verb.RUN_CANCEL_REQUESTED, actor=actor, subject=run.subject, team=run.team.name, run=run.id, sequenced=True)
            ledger.record([draft], now=clock.now(), heads={run.id: head})
    return bool(asked)


def _end_or_ring(run: UUID, actor: Actor, *, asked: bool) -> None:
    """Nobody drives it: its end is written here. Else whoever does is told, where there is something new."""
    if Run.objects.unattended(clock.now()).filter(id=run).exists():
        try:
            end_unattended(run, actor=actor)
        except Exception:
            log.exception("run %s is cancelled and its end could not be written; the next sweep tries again", run)  # the others go on
    elif asked:
        queue.ring(run)


def _require_member(run: Run, actor: Actor) -> None:
    try:
        own = actor.may_start_run_of(run.team.name, run.pipeline.name) if actor.is_agent else actor.may_cancel(run.team.name)
        require(own, run, actor)
    except NotGranted as refusal:
        record_refusal(Verb.CANCEL_REFUSED, run.subject, refusal, actor, run=run)
        raise
