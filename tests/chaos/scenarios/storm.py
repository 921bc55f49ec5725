"""Many runs, three workers, and faults at random points one after the other, by the seed."""

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runs.models import Run
from tests.chaos.arena import LEASE_S, WORKER
from tests.chaos.database import Opened
from tests.chaos.faults import KILL, KINDS, STOP, Fault
from tests.chaos.outside import answer_all, patiently
from tests.chaos.points import FAILING, POINTS
from tests.chaos.results import Result
from tests.chaos.scene import Scene, scene

RUNS, FAULTS, AT_ONCE, SPARES, MOST_S = 12, 16, 3, 2, 300.0
_POINTS = [name for name in FAILING if POINTS[name].scene == "work" and POINTS[name].error is POINTS["claim.before"].error]


def storm(folder: Path, opened: Opened, seed: int) -> Result:
    """Three workers, each with a fault of its own at a random point; whoever dies is replaced. Recovery isn't measured: the next may die too."""
    chance = random.Random(f"storm {seed}")
    with scene("storm", folder, opened.environment) as played:
        played.order_many(RUNS)
        weather = _Storm(played, chance)
        with weather.waking():  # to the end: a fault that has not struck yet may do so while its worker leaves
            weather.blow()
            played.work("last")
            played.see_through()
            played.leave()
    return played.result


class _Storm:
    def __init__(self, played: Scene, chance: random.Random) -> None:
        self.played, self.chance = played, chance
        self.started = 0
        self.spare: dict[str, Fault] = {}
        self.alive: dict[str, Fault] = {}
        self.may_stop: list[str] = []

    def blow(self) -> None:
        end = time.monotonic() + MOST_S
        while len(self.played.result.faults) < FAULTS and time.monotonic() < end:
            while len(self.spare) + len(self.alive) < AT_ONCE + SPARES:
                self._prepare()
            while len(self.alive) < AT_ONCE:
                name, fault = self.spare.popitem()
                self.played.arena.go(name)
                self.alive[name] = fault
            if self._open() < RUNS // 2:
                self.played.order_many(RUNS // 2)
            for name in list(self.alive):
                self._look_at(name)
            patiently(lambda: answer_all(self.played.orders))
            time.sleep(0.05)

    def _open(self) -> int:
        return patiently(lambda: Run.objects.filter(outcome__isnull=True).count())

    def _prepare(self) -> None:
        """It takes a while until a process is ready: whoever dies has its successor waiting."""
        name, self.started = f"worker{self.started}", self.started + 1
        fault = Fault(self.chance.choice(_POINTS), self.chance.choice(KINDS), self.chance.randint(1, 6))
        self.played.arena.start(name, *WORKER, having=(fault,))
        self.spare[name] = fault
        if fault.kind == STOP:
            self.may_stop.append(name)

    def _look_at(self, name: str) -> None:
        """Once its fault has struck, a worker has its successor; one that lives goes on beside it."""
        at = self.played.arena.struck_at(name)
        if at is None:
            return
        fault = self.alive.pop(name)
        self.played.result.faults.append(fault.kind)
        if fault.kind == KILL:
            self.played.arena.wait_for_end(name)

    @contextmanager
    def waking(self) -> Iterator[None]:
        """Whoever was stopped goes on after two leases. By a thread: it may hold the database itself, and then all others here wait for it."""
        over = threading.Event()

        def wake() -> None:
            while not over.wait(0.1):
                for name in list(self.may_stop):
                    at = self.played.arena.struck_at(name)
                    if at is not None and time.time() > at + 2 * LEASE_S:
                        self.may_stop.remove(name)
                        self.played.arena.send(name, signal.SIGCONT)

        thread = threading.Thread(target=wake)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            for name in self.may_stop:
                self.played.arena.send(name, signal.SIGCONT)
