"""The doorbell, and the queue behind it: nothing of the truth. Losing every ring may delay a run and never loses or repeats it.

Engines hear the bell; where none lives, a chore on django-q2 starts one. The only module of runs that knows django-q2.
"""

import logging
import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import DatabaseError, transaction

from audit import clock
from audit.together import Together
from runs import bell
from runs.models import Engine

log = logging.getLogger(__name__)

WAKE = "runs.tasks.wake"
SWEEP = "runs.tasks.sweep"
SCHEDULE = "orchestra-sweep"
CHORES = frozenset({WAKE, SWEEP})
"""The only functions that may be put on the queue: its workers run whatever name they are given."""


def ring(run: UUID) -> None:
    """A run has become ready, or was changed under whoever drives it. Rung once the transaction at hand, if any, is committed."""
    transaction.on_commit(lambda: _TOGETHER.do(run), robust=True)


def _ring(runs: Sequence[UUID]) -> Sequence[None]:
    bell.ring(*runs)
    if not _somebody_hears():
        enqueue(WAKE)
    return [None] * len(runs)


_TOGETHER: Final = Together(_ring)


def _somebody_hears() -> bool:
    try:
        return Engine.objects.serving(clock.now()).exists()
    except DatabaseError as error:
        log.warning("whether an engine lives can't be asked (%s)", error)
        return False


def enqueue(chore: str) -> None:
    if chore not in CHORES:
        raise ValueError(f"'{chore}' is no chore of the queue")
    from django_q.tasks import async_task  # noqa: PLC0415 - the queue's import opens its broker

    try:
        async_task(chore, save=False)
    except Exception as error:  # noqa: BLE001 - whatever the broker raises, the run is queued already
        log.warning("the bell could not be rung (%s); an engine finds the run by itself", error)


def sweep_due_at() -> datetime | None:
    """When the schedule's next sweep is due; long past means that no cluster runs it."""
    from django_q.models import Schedule  # noqa: PLC0415 - as above

    due: datetime | None = Schedule.objects.filter(func=SWEEP).values_list("next_run", flat=True).first()
    return due


def ensure_schedule() -> None:
    """The net under every engine: a sweep each minute. Safe to call at every start."""
    from django_q.models import Schedule  # noqa: PLC0415 - as above

    ours = Schedule.objects.filter(name=SCHEDULE)
    if not ours.exists():
        Schedule.objects.create(name=SCHEDULE, func=SWEEP, schedule_type=Schedule.MINUTES, minutes=1, repeats=-1)
    ids = list(ours.order_by("id").values_list("id", flat=True)[:2])
    if len(ids) > 1:  # no constraint keeps the name alone in its table: two first starts in one moment both create one
        ours.filter(id__gt=ids[0]).delete()


class Beside:
    """What this process, and those of its cluster that it forks, know of who keeps them."""

    engine = False
    """Whoever keeps this cluster keeps an engine beside it."""


def serve() -> bool:
    """Run the cluster of a worker, which keeps an engine beside it, in this process until it ends; whether it ended as it was told to."""
    from django_q import cluster  # noqa: PLC0415 - as above

    Beside.engine = True
    cluster.Sentinel = _sentinel()
    served = cluster.Cluster()
    served.start()
    served.sentinel.join()
    return bool(served.sentinel.exitcode == 0)


def _sentinel() -> type[Any]:
    from django_q.cluster import Sentinel  # noqa: PLC0415 - as above

    class Whole(Sentinel):  # type: ignore[misc]
        """Ends the cluster where q2's own would fork another process in place of one that was killed.

        Whoever is killed while it holds the lock of a queue between them (an idle worker does) leaves it locked, and all wait for ever.
        """

        def reincarnate(self, process: Any) -> None:
            if process.exitcode:
                log.error(
                    "a process of the queue's cluster died (%s); the cluster ends, since it may have held a lock that all others need",
                    process.exitcode,
                )
                os._exit(1)  # not by its own way to stop, which waits for what may hang
            super().reincarnate(process)

    return Whole
