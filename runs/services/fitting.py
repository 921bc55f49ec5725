"""Runs that no engine here can carry out wait `incompatible`, and go on when one comes that can.

A release names the oldest engine that can run it. While such an engine lives nothing is done: it takes its runs itself. Called by sweeps.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from audit import clock, ledger
from audit.actors import Actor
from audit.identity import new_id
from audit.ledger import Draft
from runs.engine.limits import left_ms
from runs.engine.states import AT_WORK_RUN, SUPPORTED_ABIS, Integrity, RunState, Verb, WaitKind, WaitState
from runs.engine.values import instant_text
from runs.errors import AlreadyAnswered, NotWaiting
from runs.models import Engine, Run, Wait
from runs.services.answering import answer
from runs.store import family

WAITS_FOR: Final = timedelta(days=7)
"""How long a run waits for an engine; after that it has failed, and is the platform's."""
BATCH: Final = 100
_FOREIGN: Final = Q(engine_abi__gt=max(SUPPORTED_ABIS)) | Q(engine_abi__lt=min(SUPPORTED_ABIS))


def park_incompatible(*, actor: Actor) -> int:
    """Stop the clocks of runs that no living engine can carry out; how many."""
    now = clock.now()
    ready = Q(state__in=AT_WORK_RUN) | Q(state=RunState.WAITING, wake_at__lte=now)
    foreign = Run.objects.unattended(now).filter(_FOREIGN, ready, deadline_at__gt=now, integrity=Integrity.INTACT)
    runs = list(foreign.order_by("id").values_list("id", "engine_abi")[:BATCH])
    able = _abis_at_work(now) if runs else frozenset()
    return sum(_parked(run, actor) for run, abi in runs if abi not in able)


def _abis_at_work(now: datetime) -> frozenset[int]:
    living = Engine.objects.alive(now)
    return frozenset(abi for abis in living.values_list("abis", flat=True) for abi in abis)


def _parked(run_id: UUID, actor: Actor) -> bool:
    with transaction.atomic(durable=True):
        family.lock([run_id])
        Run.objects.filter(id=run_id).update(revision=F("revision") + 1)
        now = clock.now()
        run = Run.objects.unattended(now).filter(_FOREIGN, id=run_id, cancel_requested_at__isnull=True, deadline_at__gt=now).first()
        if run is None or Wait.objects.filter(run_id=run_id, kind=WaitKind.INCOMPATIBLE, state=WaitState.OPEN).exists():
            return False
        until = min(now + WAITS_FOR, run.lifetime_until or now + WAITS_FOR)
        left = run.remaining_ms if run.remaining_ms is not None else left_ms(run.deadline_at, now)
        head = ledger.head_of(run.id)
        changes = {"state": RunState.WAITING, "wake_at": until, "deadline_at": until, "remaining_ms": left, "seq": F("seq") + 1}
        Run.objects.filter(id=run.id).update(**changes)
        Wait.objects.create(id=new_id(), run=run, kind=WaitKind.INCOMPATIBLE, subject=f"abi:{run.engine_abi}", opened_at=now, expires_at=until)
        ledger.record([_waiting(run, until, left, actor)], now=now, heads={run.id: head})
        family.tell([family.News(run.id)], actor=actor, now=now)
    return True


def _waiting(run: Run, until: datetime, left: int, actor: Actor) -> Draft:
    facts = {
        "waits": [{"step": None, "kind": str(WaitKind.INCOMPATIBLE)}],
        "count": 1,
        "remaining_ms": left,
        "wake_at": instant_text(until),
        "deadline_at": instant_text(until),
        "needs_abi": run.engine_abi,
        "has_abis": sorted(SUPPORTED_ABIS),
    }
    return Draft(verb=Verb.RUN_WAITING, actor=actor, subject=run.subject, team=run.team.name, run=run.id, facts=facts, sequenced=True)


def resume_compatible(*, actor: Actor) -> int:
    """Bring runs back that this engine can carry out; how many."""
    open_waits = Wait.objects.open(clock.now()).filter(kind=WaitKind.INCOMPATIBLE, run__engine_abi__in=SUPPORTED_ABIS)
    return sum(_resumed(wait, actor) for wait in open_waits.select_related("run", "run__team")[:BATCH])


def _resumed(wait: Wait, actor: Actor) -> bool:
    """Every engine sweeps: another may have been quicker, or time, or a cancel."""
    try:
        answer(wait, {"abis": sorted(SUPPORTED_ABIS)}, actor=actor)
    except (AlreadyAnswered, NotWaiting):
        return False
    return True
