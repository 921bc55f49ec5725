"""Everybody outside the workers: who starts runs, sends the signals that they wait for, and looks until they have ended.

They meet a database that fails as clients do: they try again, with the same idempotency key.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from django.db import DatabaseError, InterfaceError, close_old_connections

from audit import clock
from audit.actors import Actor
from audit.models import Entry
from runs import services
from runs.errors import AlreadyAnswered, AlreadyFinished, NotWaiting
from runs.models import Engine, Run, Wait
from tests import pipelines
from tests.chaos import workload
from tests.chaos.arena import PATIENCE_S
from tests.chaos.judging import Order

T = TypeVar("T")
BOB = Actor(kind="person", id=workload.ASKS, auth="test", teams=frozenset({"platform"}))
PAUSE_S = 0.1


def patiently(ask: Callable[[], T], seconds: float = PATIENCE_S) -> T:
    """Ask again as long as the database can't be reached."""
    end = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except (DatabaseError, InterfaceError):
            close_old_connections()
            if time.monotonic() > end:
                raise
            time.sleep(PAUSE_S)


def order(pipeline: str, name: str, world: Path, *also: str) -> Order:
    """Start a run, or find the one that an earlier try has started. `also`: outcomes that it may have besides its pipeline's."""
    run = patiently(lambda: services.start_run(actor=pipelines.SYSTEM, ring=False, **asked(pipeline, name, world)))
    return Order(run, pipeline, name, world, frozenset({workload.ENDS[pipeline].outcome, *also}))


def asked(pipeline: str, name: str, world: Path) -> dict[str, object]:
    return {"pipeline": pipeline, "input": {"world": str(world), "order": name, "items": ["a", "b"]}, "idempotency_key": name}


def held_by(pid: int) -> list[UUID]:
    """The runs that the worker of that process is at work on, or has only just claimed."""
    engines = Engine.objects.filter(pid=pid).values("id")
    return patiently(lambda: list(Run.objects.filter(state__in=("queued", "running"), lease_owner__in=engines).values_list("id", flat=True)))


def next_entry(run: UUID, since: float) -> float | None:
    """When the run's next sequenced entry after an instant was written, in seconds of the clock; None: not yet."""
    later = Entry.objects.filter(run=run, seq__isnull=False, at__gt=datetime.fromtimestamp(since, UTC)).order_by("seq")
    at = patiently(lambda: later.values_list("at", flat=True).first())
    return None if at is None else at.timestamp()


def answer_all(orders: Sequence[Order]) -> None:
    """Send the signal to everybody who waits for it."""
    waiting = Wait.objects.open(clock.now()).filter(kind="signal", run__in=[each.run.id for each in orders], run__cancel_requested_at__isnull=True)
    for run in set(waiting.values_list("run", flat=True)):
        try:
            services.send_signal(run=str(run), signal="go", payload={}, actor=BOB)
        except (AlreadyAnswered, NotWaiting):
            continue  # a worker or another door was quicker


def see_through(orders: Sequence[Order], seconds: float = PATIENCE_S) -> bool:
    """Until all have ended; False where some have not in that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            answer_all(orders)
            if not Run.objects.filter(id__in=[each.run.id for each in orders], outcome__isnull=True).exists():
                return True
        except (DatabaseError, InterfaceError):
            close_old_connections()
        time.sleep(PAUSE_S)
    return False


def cancel(order: Order) -> None:
    """Ask for its end once more, as whoever never heard that it was granted."""
    try:
        patiently(lambda: services.cancel_run(run=str(order.run.id), actor=BOB))
    except AlreadyFinished:
        return
