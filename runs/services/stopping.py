"""Cancelling: the request is written at once; whoever drives the run feels it, and a run that nobody drives ends here."""

from django.db import transaction
from django.db.models import F

from agents.errors import NotGranted
from audit import clock, ledger
from audit.actors import Actor
from audit.ledger import Draft
from runs import queue
from runs.engine.states import LIVE_RUN, Verb
from runs.errors import AlreadyFinished
from runs.models import Run
from runs.services.ending import end_unattended
from runs.services.reading import find_run, require_member
from runs.services.refusals import record_refusal, refused_lookups


def cancel_run(*, run: str, actor: Actor) -> Run:
    """Ask for the end of a live run. Asking twice is the same as once; a finished run raises AlreadyFinished and stays as it is."""
    with refused_lookups(Verb.CANCEL_REFUSED, run=run, actor=actor):
        found = find_run(run, actor=actor)
    _require_member(found, actor)
    asked_at = clock.now()
    with transaction.atomic(durable=True):
        # The run's row is the first statement; its head is read only under that lock.
        asked = Run.objects.filter(id=found.id, state__in=LIVE_RUN, deadline_at__gt=asked_at, cancel_requested_at__isnull=True).update(
            revision=F("revision") + 1, seq=F("seq") + 1, cancel_requested_at=asked_at, cancel_requested_by=f"{actor.kind}:{actor.id}"
        )
        if asked:
            head = ledger.head_of(found.id)
            draft = Draft(verb=Verb.RUN_CANCEL_REQUESTED, actor=actor, subject=found.subject, team=found.team.name, run=found.id, sequenced=True)
            ledger.record([draft], now=clock.now(), heads={found.id: head})
    found.refresh_from_db()
    ended = found.effective(asked_at)
    if not asked and ended.outcome is not None:
        refusal = AlreadyFinished(f"run {found.id} has finished ({ended.outcome}); finished is final")
        record_refusal(Verb.CANCEL_REFUSED, found.subject, refusal, actor, run=found)
        raise refusal
    if Run.objects.unattended(clock.now()).filter(id=found.id).exists():
        end_unattended(found.id, actor=actor)
        found.refresh_from_db()
    elif asked:
        queue.ring(found.id)
    return found


def _require_member(run: Run, actor: Actor) -> None:
    try:
        require_member(run, actor)
    except NotGranted as refusal:
        record_refusal(Verb.CANCEL_REFUSED, run.subject, refusal, actor, run=run)
        raise
