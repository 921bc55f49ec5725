"""A disk that is full: a small one of memory, with the database on it, filled while runs are at work and freed again.

A database of its own needs a process of its own: `python -m tests.chaos.scenarios.disk DATABASE FOLDER`, whose answer is a Result as JSON.
"""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import servers
from tests.chaos import database
from tests.chaos.database import POSTGRESQL, SQLITE, Opened
from tests.chaos.results import Result

NAME = "disk full"
SIZES = {SQLITE: "24m", POSTGRESQL: "256m"}
FULL_S = 8.0


def disk_full(folder: Path, opened: Opened, seed: int) -> Result:
    """The database's disk is full for a while: writes are refused whole, nothing is half done, and with space again all goes on."""
    kind = SQLITE if opened.server is None else POSTGRESQL
    disk = folder / "disk"
    disk.mkdir(parents=True)
    refused = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZES[kind]},mode=755", "tmpfs", str(disk)], capture_output=True, check=False)
    if refused.returncode:
        return Result(NAME, skipped=f"no disk of memory can be mounted here ({refused.stderr.decode(errors='replace').strip()[-120:]})")
    try:
        argv = [sys.executable, "-m", "tests.chaos.scenarios.disk", kind, str(disk)]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False, env=_without_database())
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
    if not done.stdout.strip():
        return Result(NAME, unsound=[f"the scenario itself ended with {done.returncode}"])
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def _without_database() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("ORCHESTRA_", "DJANGO_"))}


@contextmanager
def _full(disk: Path) -> Iterator[None]:
    """Not a byte left, however small the pieces."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        for size in (1024 * 1024, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
                    file.flush()
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
        from tests.chaos.scenarios.scene import scene

        workload.publish(opened.folder / "pipelines")
        with scene(NAME, opened.folder / "scene", opened.environment) as played:
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
    """Small things may still fit into pages that are there; something that surely doesn't must be refused, and leave nothing behind."""
    from django.db import DatabaseError, InterfaceError, close_old_connections

    from runs import services
    from runs.models import Run
    from tests import pipelines
    from tests.chaos.outside import asked, patiently
    from tests.chaos.workload import JOURNEY

    given = asked(JOURNEY, "too-much", world)
    given["input"]["items"] = ["x" * 100_000] * 20  # type: ignore[index]
    try:
        services.start_run(actor=pipelines.SYSTEM, ring=False, **given)  # type: ignore[arg-type]
        result.unsound.append("a run was started though the disk is full")
    except (DatabaseError, InterfaceError):
        close_old_connections()
    if patiently(lambda: Run.objects.filter(idempotency_key="too-much").exists()):
        result.unsound.append("a start that was refused has left a run behind")


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(_play(sys.argv[1], Path(sys.argv[2])))))
