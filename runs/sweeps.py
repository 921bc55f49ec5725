"""Sweeps: what time has decided is written down, whoever comes along. Idempotent; any number may run at once.

Every engine sweeps each second, the queue's schedule is the net, `manage.py sweep` is for hands.
"""

import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from django.db import DatabaseError, transaction
from django.db.models import F

from agents import registry
from audit import clock, ledger
from audit.actors import Actor
from audit.ledger import Draft
from runs import services
from runs.engine.states import Integrity, RunState, Verb
from runs.models import Engine, Run

log = logging.getLogger(__name__)

OVERDUE_GRACE = timedelta(seconds=1)
"""A worker that lives ends its own runs at their deadline; the sweep takes what is left."""
BATCH = 100
ENGINES_KEPT = timedelta(days=1)


_beside: dict[Callable[[], None], Callable[[float], None] | None] = {}


def beside(work: Callable[[], None], *, finish: Callable[[float], None] | None = None) -> None:
    """What time does to things of an app above: it tells this when it starts, since nothing here knows of it.

    `finish` waits, so many seconds at most, for what `work` leaves to threads of its own.
    """
    _beside.setdefault(work, finish)


def finish_beside(seconds: float) -> None:
    """For a process that ends after its sweep."""
    for finish in filter(None, _beside.values()):
        finish(seconds)


def look_beside() -> None:
    """One whose work fails keeps nobody from theirs: the next sweep comes to it again."""
    for work in _beside:
        try:
            work()
        except Exception:
            log.exception("%s failed; the next sweep tries again", work.__qualname__)


@dataclass(frozen=True, slots=True)
class Swept:
    ended: int = 0
    checked: int = 0
    broken: int = 0
    noticed: int = 0
    suspended: int = 0


def end_overdue() -> int:
    """Write the end of live runs past their deadline, and of cancelled ones that nobody drives; and tell the children of those that ended.

    Then what stops make of the others: queued runs wait, and what waited for the end of one goes on when it has come.
    """
    now, actor = clock.now(), Actor.system("sweep")
    overdue = Run.objects.overdue(now - OVERDUE_GRACE).filter(integrity=Integrity.INTACT)
    left = Run.objects.unattended(now).filter(cancel_requested_at__isnull=False, integrity=Integrity.INTACT)
    ids = {*overdue.values_list("id", flat=True)[:BATCH], *left.values_list("id", flat=True)[:BATCH]}
    ended = sum(_ended(run, actor) for run in sorted(ids))
    services.cancel_orphans(actor=actor)
    services.heed_stops(actor=actor)
    return ended


def fit_engines() -> None:
    """Runs that no engine can carry out wait for one, and those that this one can go on."""
    actor = Actor.system("sweep")
    services.park_incompatible(actor=actor)
    services.resume_compatible(actor=actor)


def _ended(run: UUID, actor: Actor) -> bool:
    """One odd run must not keep the others open, nor be tried every second for ever: what the database does not say passes, is its own fault."""
    try:
        return services.end_unattended(run, actor=actor)
    except DatabaseError:
        log.exception("run %s could not be ended; the next sweep tries again", run)
    except Exception as error:
        log.exception("run %s is over, and its end can't be written", run)
        mark_broken(Run.objects.select_related("team").get(id=run), why=f"its end can't be written ({type(error).__name__})")
    return False


def check_integrity(batch: int = BATCH) -> tuple[int, int]:
    """Compare the runs that were not compared for longest with their entries; how many were, and how many are broken."""
    intact = Run.objects.filter(integrity=Integrity.INTACT).select_related("pipeline", "team").order_by(F("checked_at").asc(nulls_first=True))
    # Live ones too: a finished run whose row was made to live again would otherwise be taken up.
    runs = [*intact.filter(state=RunState.FINISHED)[:batch], *intact.live()[:batch]]
    found = services.held_whole(runs)
    broken = [run for run in runs if found[run.id] is Integrity.BROKEN]
    with transaction.atomic(durable=True):
        checked = Run.objects.filter(id__in=[run.id for run in runs])
        list(checked.order_by("id").select_for_update(no_key=True).values_list("id"))  # in the order of commits, as a heartbeat does
        checked.update(checked_at=clock.now())
    for run in broken:
        mark_broken(run)
    return len(runs), len(broken)


DIFFERS: Final = "its rows or its result differ from what its entries say"


def mark_broken(run: Run, *, why: str = DIFFERS) -> None:
    """Persist that a run can't be trusted or read, once, and say it aloud. One that has moved since it was read is not the one that was judged."""
    with transaction.atomic(durable=True):
        marked = Run.objects.filter(id=run.id, revision=run.revision, integrity=Integrity.INTACT).update(integrity=Integrity.BROKEN)
        if not marked:
            return
        now = clock.now()
        facts = {"outcome": run.outcome, "result": run.result_digest or None, "seq": run.seq}
        draft = Draft(verb=Verb.RUN_BROKEN, actor=Actor.system("sweep"), subject=run.subject, team=run.team.name, run=run.id, facts=facts)
        ledger.record([draft], now=now)
    log.error("run %s is broken: %s", run.id, why)


def sweep() -> Swept:
    """Everything that time brings, once."""
    ended = end_overdue()
    fit_engines()
    look_beside()
    checked, broken = check_integrity()
    Engine.objects.filter(beat_at__lt=clock.now() - ENGINES_KEPT).delete()
    lapsed = registry.suspend_lapsed(actor=Actor.system("sweep"))
    return Swept(ended, checked, broken, lapsed.noticed, lapsed.suspended)


def called_engine() -> UUID | None:
    """The id of an engine to be started, or None where none is needed. Its row stands before it does.

    An engine takes a second to announce itself, and every ring in that second would start another. One that never comes
    up counts as gone after three heartbeats, and the next sweep calls another.
    """
    with transaction.atomic(durable=True):  # SQLite: one at a time; PostgreSQL: as many as the queue has workers, at the worst
        if not needs_engine():
            return None
        now = clock.now()
        return Engine.objects.create(id=uuid4(), host=socket.gethostname()[:200], pid=os.getpid(), started_at=now, beat_at=now).id


def needs_engine() -> bool:
    """Whether runs are ready and no engine that would take them has been heard of lately."""
    now = clock.now()
    return Run.objects.ready(now).exists() and not Engine.objects.serving(now).exists()
