"""What other processes use, as Linux says it: processor time, and memory while somebody looks. Knows no contestant."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from figures import Skipped

LOOK_S = 0.05


def require_proc() -> None:
    if not Path("/proc/self/smaps_rollup").exists():
        raise Skipped(f"processor time and memory are read from /proc, as Linux has it; this is {sys.platform}")


def cpu_s(process: int) -> float:
    """Processor time of a process, of its children, and of those that it has outlived."""
    used = _ticks(process)
    for child in _children(process):
        try:
            used += _ticks(child)
        except OSError:
            continue  # it ended in this moment: its parent's figure will hold it
    return used / os.sysconf("SC_CLK_TCK")


@contextmanager
def peak_pss(process: int) -> Iterator[list[float]]:
    """The most memory that a process has at one time within the block, in MiB: its own pages, and its share of others."""
    seen, done = [0.0], threading.Event()

    def look() -> None:
        while not done.wait(LOOK_S):
            seen[0] = max(seen[0], pss_mib(process))

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield seen
    finally:
        done.set()
        watching.join()


def pss_mib(process: int) -> float:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def now() -> float:
    """The instant, as rows say it."""
    return time.time()


def load() -> float:
    """Processes that want a processor, as a mean of the last minute."""
    return os.getloadavg()[0]


def _ticks(process: int) -> int:
    after_name = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, after_name[11:15]))


def _children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in listed.read_text(encoding="ascii").split()] if listed.exists() else []
