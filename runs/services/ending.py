"""Ending a run that no worker attends to: what time or a cancel has decided already is written down."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from agents import stops
from audit import clock
from audit.actors import Actor
from runs import queue, store
from runs.engine import machine
from runs.engine.commands import Move
from runs.engine.states import LIVE_RUN, CallState, Cause, RunState, WaitKind, WaitState
from runs.engine.values import Snapshot, instant_text
from runs.models import Run, Wait


def end_unattended(run: UUID, *, actor: Actor) -> bool:
    """Write the end of an overdue or cancelled run. False: it has none yet, or somebody else was quicker."""
    loaded, now = store.load([run])[0], clock.now()
    if loaded.is_broken or loaded.snapshot.run.state not in LIVE_RUN or _is_attended(loaded.run, now):
        return False
    move = _in_vain(loaded, now) or machine.decide(_rebuilt(loaded), now)
    if move.finish is None:
        return False
    out = [call for call in store.call_records(loaded.calls.values()).values() if call.state is CallState.DISPATCHED]
    settled = tuple(store.abandoned(call, move.snapshot, run=run) for call in out)
    move = replace(move, snapshot=store.with_account(move.snapshot, (), settled))
    written = store.commit([store.Transition(run, loaded.run.team.name, loaded.seen, move, actor, settled=settled)])
    if not isinstance(written[0], store.Committed):
        return False
    for above in Run.objects.ready(clock.now()).filter(id__in=written[0].ready).values_list("id", flat=True):
        queue.ring(above)
    return True


def _is_attended(run: Run, now: datetime) -> bool:
    """Somebody has taken it since it was found, and is told of a cancel; whatever is overdue has ended all the same."""
    is_held = run.state != RunState.WAITING and run.lease_until is not None and run.lease_until > now
    return is_held and now < run.deadline_at


def _in_vain(loaded: store.Loaded, now: datetime) -> Move | None:
    """The end of a run that was stopped before it began, and nobody let it go on."""
    run = loaded.snapshot.run
    if run.started_at is not None or run.cancel_by is not None or run.state is not RunState.WAITING or now < run.deadline_at:
        return None
    wait = Wait.objects.filter(run=loaded.run.id, step="", kind=WaitKind.STOPPED, state=WaitState.OPEN).first()
    if wait is None:
        return None
    message = f"{stops.what(wait.subject)} was stopped before the run began, and nobody lifted that until {instant_text(wait.expires_at)}"
    return machine.failed_run(loaded.snapshot, Cause.STOPPED, message, now)


def _rebuilt(loaded: store.Loaded) -> Snapshot:
    """The frames hold what the run has given so far; a run with a problem has none that could be trusted."""
    if loaded.problem is not None or loaded.snapshot.run.started_at is None:
        return loaded.snapshot
    return machine.rebuild(loaded.snapshot, clock.now()).snapshot
