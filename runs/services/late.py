"""Late truths: what a worker that has lost its run was answered to calls, also to those that others have given up as unresolved meanwhile.

Each is recorded once and settles what nobody has settled yet, as a look-up does; what somebody has said before stays. Called by the worker.
"""

import logging
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F

from audit import canonical, clock, ledger, reports
from audit.actors import Actor
from audit.ledger import Draft
from runs import queue, store
from runs.engine.looking import RESOLVED
from runs.engine.states import CallKind, CallState, Cause, Mode, Resolution, Verb, WaitKind, WaitState
from runs.engine.values import instant_text
from runs.errors import AlreadyAnswered, NotWaiting
from runs.models import Call, Run, Wait
from runs.services.answering import answer, put_right, said_of, unwritable

log = logging.getLogger(__name__)

FAILED: Final = "failed"
"""Said of a call that was answered with a failure: it may have acted before that, so it settles nothing by itself."""
GIVEN_UP: Final = frozenset({CallState.UNRESOLVED, *RESOLVED.values()})


def settle_late(*, run: UUID, team: str, ends: Sequence[store.CallSettled], actor: Actor) -> None:
    """Write the calls' own truth for a run that somebody else holds or that has finished. Of calls that are still out, it is their end; a call
    that was given up is told of it."""
    if store.settle_late(run, team, ends, actor) == len(ends):
        return
    free = [end for end in ends if end.costs_nothing]
    if free:
        store.take_back(run, team, free, actor)
    for end in ends:
        said = _truth(end)
        if said is not None and _recorded(end.call.key, said, actor):
            take_late(call=end.call.key, actor=actor)


def take_late(*, call: str, actor: Actor) -> None:
    """Settle an unresolved call by what its own worker has said of it too late, if that says what became of it and its step waits for that."""
    found = Call.objects.select_related("run", "run__team").get(key=call)
    entry = found.response_entry
    said = None if entry is None else reports.openings_of([entry])[entry].get("answer")
    if found.state != CallState.UNRESOLVED or said is None or said["said"] == FAILED:
        return
    decision = {"decision": said["said"], "result": said["result"], "reason": "its own worker was answered after others had given it up"}
    wait = Wait.objects.filter(run=found.run_id, kind=WaitKind.UNRESOLVED, subject=found.key, state=WaitState.OPEN).first()
    try:
        if wait is not None:
            answer(wait, decision, actor=actor, call=found)
        elif found.run.effective(clock.now()).outcome is not None:
            put_right(found, decision, actor)
        else:
            return  # whoever drives the run parks its step first, and then takes this
    except (AlreadyAnswered, NotWaiting) as late:
        log.info("call %s is not settled by its own worker: %s", found.id, late.message)
        return
    queue.ring(found.run_id)


def _truth(end: store.CallSettled) -> dict[str, Any] | None:
    """What this end says of an act; None where it says nothing that others didn't know when they gave it up."""
    call = end.call
    if call.mode is not Mode.AT_MOST_ONCE or call.kind is CallKind.MODEL or call.state not in (CallState.CONFIRMED, CallState.REFUSED):
        return None
    if call.state is CallState.REFUSED:  # it never went out
        return {"said": str(Resolution.NOT_DONE), "result": None, "cause": call.cause}
    if end.late is None or "value" not in end.late:
        return {"said": FAILED, "result": None, "cause": call.cause or str(Cause.LOST)}
    if unwritable(end.late["value"]):
        return {"said": FAILED, "result": None, "cause": str(Cause.CONTRACT)}
    return {"said": str(Resolution.DONE), "result": end.late["value"], "cause": None}


def _recorded(key: str, said: dict[str, Any], actor: Actor) -> bool:
    """Beside the call, once: a new revision of its run tells whoever drives it. False where it was not given up, or this is known."""
    call = Call.objects.select_related("run", "run__team").get(key=key)
    if call.state not in GIVEN_UP or call.response_entry is not None:
        return False
    with transaction.atomic(durable=True):
        Run.objects.filter(id=call.run_id).update(revision=F("revision") + 1)
        call.refresh_from_db(fields=["state"])  # as it is under the lock of its run's row
        now = clock.now()
        draft = _draft(call, said | {"at": instant_text(now)}, actor)
        if not Call.objects.filter(key=key, response_entry__isnull=True).update(response_entry=draft.id):
            return False
        ledger.record([draft], now=now)
    if call.state != CallState.UNRESOLVED and RESOLVED.get(said["said"]) != call.state:
        log.error("call %s of run %s is %s, and its own worker says now: %s (%s)", call.id, call.run_id, call.state, said["said"], said["cause"])
    return True


def _draft(call: Call, said: dict[str, Any], actor: Actor) -> Draft:
    facts = {"state": call.state, "said": said["said"], "cause": said["cause"], "result": canonical.digest(said["result"])}
    return said_of(call, Verb.CALL_TOLD_LATE, actor, facts, {"answer": said}, sequenced=False)
