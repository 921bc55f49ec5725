"""`python -m tests.chaos.full DATABASE FOLDER`: runs over a database in that folder, whose disk fills while they are at work. Its Result, as JSON.

Django is set up here, over that database. Started by the scenario that has mounted the small disk.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import servers
from tests.chaos import database
from tests.chaos.results import Result

FULL_S = 8.0


@contextmanager
def _full(disk: Path) -> Iterator[None]:
    """Not a byte left, however small the pieces."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1024 * 1024, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    try:
        yield
    finally:
        ballast.unlink()


def _play(kind: str, disk: Path) -> Result:
    # Only the database is on the small disk: the world and the processes' logs are not what is full.
    with database.opened(kind, on=disk) as opened:
        from tests.chaos import workload
        from tests.chaos.scene import scene

        workload.publish(opened.folder / "pipelines", tell_s=30)
        with scene("disk full", opened.folder / "scene", opened.environment) as played:
            played.order_many(6)
            played.work("first", "second")
            time.sleep(2.0)
            with _full(disk):
                played.result.faults.append("full")
                _refuses_a_start(played.result, played.world)
                time.sleep(FULL_S)
            if opened.server is not None and opened.server.process.poll() is not None:
                servers.revive(opened.server)  # without room for its log it ends, as it should
            played.order_many(3)
    return played.result


def _refuses_a_start(result: Result, world: Path) -> None:
    """Small things may still fit into pages that are there, and into a log that is written over; something that surely doesn't must be refused,
    and leave nothing behind."""
    from django.db import DatabaseError, InterfaceError, close_old_connections

    from runs import services
    from runs.models import Run
    from tests import pipelines
    from tests.chaos.outside import asked, patiently
    from tests.chaos.workload import JOURNEY

    given = asked(JOURNEY, "too-much", world)
    given["input"]["items"] = ["x" * 100_000] * 80  # type: ignore[index]
    try:
        services.start_run(actor=pipelines.SYSTEM, ring=False, **given)  # type: ignore[arg-type]
        result.unsound.append("a run was started though the disk is full")
    except (DatabaseError, InterfaceError):
        close_old_connections()
    if patiently(lambda: Run.objects.filter(idempotency_key="too-much").exists()):
        result.unsound.append("a start that was refused has left a run behind")


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(_play(sys.argv[1], Path(sys.argv[2])))))
