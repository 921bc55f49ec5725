"""Waits that others decide about in a transaction of theirs: held first, then noted about or answered.

Bodies: each asserts an open transaction and opens none, so that a decision and the end of its wait are one. Called by approvals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F

from audit import clock, ledger
from audit.actors import Actor
from audit.errors import NoTransaction
from audit.ledger import Draft
from runs import queue
from runs.engine.states import LIVE_RUN
from runs.models import Run, Wait
from runs.services.answering import answer_draft, end, too_late
from runs.store import family


@dataclass(frozen=True, slots=True)
class HeldWait:
    """An open wait under the lock of its run's row, and the instant at which it was found so."""

    wait: Wait
    run: Run
    now: datetime


def hold_wait(wait: UUID) -> HeldWait:
    """Lock the run of a wait and see that it can still be answered. AlreadyAnswered, or NotWaiting where time or a cancel was quicker."""
    if not connection.in_atomic_block:
        raise NoTransaction
    of = Wait.objects.values_list("run_id", flat=True).get(id=wait)
    family.lock([of])
    locked = Run.objects.filter(id=of, state__in=LIVE_RUN, cancel_requested_at__isnull=True).update(revision=F("revision") + 1)
    now = clock.now()
    run = Run.objects.select_related("team", "pipeline").get(id=of)
    found = Wait.objects.get(id=wait)
    if not locked or now >= run.deadline_at or not Wait.objects.open(now).filter(id=wait).exists():
        raise too_late(found)
    return HeldWait(found, run, now)


def note_held(held: HeldWait, drafts: Sequence[Draft]) -> None:
    """Entries of the run's own sequence about a wait that stays open."""
    _record(held, drafts, {})


def answer_held(held: HeldWait, value: Mapping[str, Any], *, actor: Actor, beside: Sequence[Draft] = ()) -> None:
    """End the wait; its run goes on with the time that was left to it."""
    said = answer_draft(held.wait, held.run, dict(value), actor)
    if not end(held.wait, said, actor, held.now):
        raise too_late(held.wait)
    _record(held, [*beside, said], family.back_at_work(held.run, held.now))
    family.tell([family.News(held.run.id)], actor=actor, now=held.now)
    queue.ring(held.run.id)


def _record(held: HeldWait, drafts: Sequence[Draft], changes: Mapping[str, Any]) -> None:
    head = ledger.head_of(held.run.id)
    Run.objects.filter(id=held.run.id).update(seq=F("seq") + len(drafts), **changes)
    ledger.record(drafts, now=held.now, heads={held.run.id: head})
