"""Real worker processes for tests: started, watched, killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SHORT_LEASES = {"ORCHESTRA_LEASE_TTL_S": "3", "ORCHESTRA_HEARTBEAT_S": "1", "ORCHESTRA_CHILDREN": "2"}


@contextmanager
def worker(environment: Mapping[str, str], root: Path, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`manage.py worker --no-queue` in a process of its own; killed at the end whatever happened."""
    command = [sys.executable, "manage.py", "worker", "--no-queue", *arguments]
    process = subprocess.Popen(command, cwd=root, env={**environment, **SHORT_LEASES})
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def kill(process: "subprocess.Popen[bytes]") -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.02)
