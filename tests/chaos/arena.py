"""The processes of one case: started with their faults in them, let go one after the other, watched, and gone at its end.

Knows no pipelines and no verdicts.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.chaos import faults
from tests.chaos.faults import Fault
from tests.workers import SHORT_LEASES

ROOT = Path(__file__).resolve().parent.parent.parent
LEASE_S = float(SHORT_LEASES["ORCHESTRA_LEASE_TTL_S"])
WORKER = ("manage", "worker", "--no-queue")
PATIENCE_S = 90.0
"""How long something may take that happens at once on an idle machine. A bound of waiting, not of recovery."""


class Stuck(AssertionError):
    """Something that had to happen did not."""


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Stuck(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.02)


class Arena:
    """Make it with `arena`. `folder` holds a log, the faults and the marks of each process, by its name."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = {**environment, **SHORT_LEASES, "ORCHESTRA_CHILDREN": "6", "ORCHESTRA_LOG_LEVEL": "INFO"}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *words: str, having: tuple[Fault, ...] = (), under: tuple[str, ...] = ()) -> None:
        """A process that gets itself ready and then waits for `go`. `under`: what it is started by, and which becomes it."""
        (self.folder / f"{name}.faults").write_text(faults.to_text(having), encoding="utf-8")
        argv = [*under, sys.executable, "-m", "tests.chaos.launcher", name, str(self.folder), *words]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(argv, cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_until_ready(self, name: str) -> None:
        until(lambda: (self.folder / f"{name}.ready").exists() or self.has_ended(name), f"the start of {name}")

    def go(self, name: str) -> None:
        self.wait_until_ready(name)
        (self.folder / f"{name}.go").touch()

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def has_ended(self, name: str) -> bool:
        return self._processes[name].poll() is not None

    def struck_at(self, name: str, number: int = 1) -> float | None:
        """When the fault of that number struck, in seconds of the system's clock."""
        mark = self.folder / f"{name}.struck.{number}"
        return float(mark.read_text(encoding="ascii")) if mark.exists() else None

    def wait_for_strike(self, name: str, number: int = 1) -> float:
        until(lambda: self.struck_at(name, number) is not None or self.has_ended(name), f"fault {number} of {name}")
        at = self.struck_at(name, number)
        if at is None:
            raise Stuck(f"{name} ended with {self._processes[name].returncode} before its fault {number} struck: {self.tail(name)}")
        return at

    def send(self, name: str, number: signal.Signals) -> None:
        if not self.has_ended(name):
            os.kill(self._processes[name].pid, number)

    def wait_for_end(self, name: str, seconds: float = PATIENCE_S) -> int:
        until(lambda: self.has_ended(name), f"the end of {name}", seconds)
        return int(self._processes[name].returncode)

    def leave(self) -> list[str]:
        """Ask all that live to leave; those that do not, by name."""
        alive = [name for name in self._processes if not self.has_ended(name)]
        for name in alive:
            self.send(name, signal.SIGTERM)
        return [name for name in alive if not self._leaves(name)]

    def _leaves(self, name: str) -> bool:
        try:
            self.wait_for_end(name)
        except Stuck:
            return False
        return True

    def tail(self, name: str, size: int = 3_000) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-size:]

    def tails(self) -> str:
        return "\n".join(f"--- {name}\n{self.tail(name)}" for name in self._processes)

    def end(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()


@contextmanager
def arena(folder: Path, environment: Mapping[str, str]) -> Iterator[Arena]:
    folder.mkdir(parents=True, exist_ok=True)
    made = Arena(folder, environment)
    try:
        yield made
    finally:
        made.end()
