"""The doorbell: django-q2, and nothing of the truth. Losing every ring may delay a run and never loses or repeats it.

The only module of runs that knows the queue. Called by use-cases on commit.
"""

import logging
from datetime import datetime

log = logging.getLogger(__name__)

WAKE = "runs.tasks.wake"
SWEEP = "runs.tasks.sweep"
CHORES = frozenset({WAKE, SWEEP})
"""The only functions that may be put on the queue: its workers run whatever name they are given."""


def ring() -> None:
    """Tell somebody that a run is ready. A bell that can't be rung is a line in the log: rows are the truth, engines look by themselves."""
    enqueue(WAKE)


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

    Schedule.objects.get_or_create(name="orchestra-sweep", defaults={"func": SWEEP, "schedule_type": Schedule.MINUTES, "minutes": 1, "repeats": -1})
