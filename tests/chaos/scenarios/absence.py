"""Nobody at work, and a queue that forgets: rows are the truth, so both cost time and nothing else."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection, connections

from audit import clock
from runs import services
from runs.models import Run
from tests.chaos import outside, workload
from tests.chaos.arena import until
from tests.chaos.database import Opened
from tests.chaos.outside import BOB, patiently
from tests.chaos.results import Result
from tests.chaos.scene import scene

ABSENT_S = 60.0


def nobody_at_work(folder: Path, opened: Opened, seed: int) -> Result:
    """All workers are killed for a minute while runs queue and deadlines pass: those read as failed meanwhile, the others go on afterwards."""
    with scene("nobody at work", folder, opened.environment) as played:
        for _ in range(4):  # a step's time is up half a minute later, whoever was at work on it
            played.order(workload.JOURNEY, "failed: deadline")
        played.work("first", "second")
        until(lambda: patiently(lambda: Run.objects.filter(state="running").exists()), "the start of a run")
        for name in ("first", "second"):
            played.arena.send(name, signal.SIGKILL)
            played.result.faults.append("kill")
        since = time.monotonic()
        played.order_many(3)
        late = [played.order(workload.LATE) for _ in range(3)]
        time.sleep(2.0)
        for order in late:
            run = Run.objects.get(id=order.run.id)
            said = services.run_document(run, actor=BOB)["outcome"]
            if (run.outcome, said, run.effective(clock.now()).outcome) != (None, "failed", "failed"):
                played.result.unsound.append(f"late {order.name} reads as {said} past its deadline while nobody is at work")
        time.sleep(max(ABSENT_S - (time.monotonic() - since), 0))
        played.work("third", "fourth")
    return played.result


def queue_emptied(folder: Path, opened: Opened, seed: int) -> Result:
    """The queue's table is emptied all the while that runs are started and rung for: whole workers, with their clusters, find them by themselves."""
    with scene("queue emptied", folder, opened.environment) as played, _emptying() as emptied:
        for name in ("first", "second"):
            played.arena.start(name, "manage", "worker")
        asked = [outside.asked(workload.JOURNEY, f"{played.prefix}-{number}", played.world) for number in range(6)]
        played.arena.start("door", "door", "start_run", json.dumps(asked))
        for name in ("door", "first", "second"):
            played.arena.go(name)
        played.arena.wait_for_end("door")
        for _ in asked:
            played.order(workload.JOURNEY)
        played.see_through()
        played.result.faults += ["emptied"] * len(emptied)
    return played.result


@contextmanager
def _emptying() -> Iterator[list[int]]:
    """How many were thrown away, each time that there were some."""
    done, thrown = threading.Event(), list[int]()

    def empty() -> None:
        from django_q.models import OrmQ

        while not done.wait(0.1):
            count = patiently(OrmQ.objects.all().delete)[0]
            thrown.extend([count] if count else [])
        connections.close_all()

    thread = threading.Thread(target=empty)
    thread.start()
    try:
        yield thrown
    finally:
        done.set()
        thread.join()
        connection.close()
