"""A disk that is full: a small one of memory, with the database on it, filled while runs are at work and freed again.

A database of its own needs a process of its own: `full` does the work there.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chaos.database import POSTGRESQL, SQLITE, Opened
from tests.chaos.results import Result

SIZES = {SQLITE: "64m", POSTGRESQL: "256m"}


def disk_full(folder: Path, opened: Opened, seed: int) -> Result:
    """The database's disk is full for a while: writes are refused whole, nothing is half done, and with space again all goes on."""
    with tempfile.TemporaryDirectory(prefix="orchestra-disk-") as made:
        disk = Path(made)
        disk.chmod(0o755)  # PostgreSQL is another user where we are root, and must get there
        return _played(disk, opened)


def _played(disk: Path, opened: Opened) -> Result:
    refused = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZES[opened.kind]},mode=755", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if refused.returncode:
        return Result("disk full", skipped=f"no disk of memory can be mounted here ({refused.stderr.decode(errors='replace').strip()[-120:]})")
    try:
        argv = [sys.executable, "-m", "tests.chaos.full", opened.kind, str(disk)]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False, env=_without_database())
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
    if not done.stdout.strip():
        return Result("disk full", unsound=[f"the scenario itself ended with {done.returncode}"])
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def _without_database() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("ORCHESTRA_", "DJANGO_"))}
