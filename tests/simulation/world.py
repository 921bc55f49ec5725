"""The world: processes, time and what befalls them, played one turn at a time in an order that comes from the seed.

Owns the scheduler and the faults; what must hold is watched by `invariants`, what people and time do is in `doors`. One world per seed.
"""

from collections import deque
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from django.db import IntegrityError, OperationalError

from runs.worker import Engine, EngineOptions
from tests.runs.engine.factories import AT
from tests.simulation import doors
from tests.simulation.database import Database, Killed
from tests.simulation.invariants import Broken, Watch
from tests.simulation.loop import VirtualLoop, running
from tests.simulation.outside import Outside
from tests.simulation.scenarios import AT_BEGINS, AT_COMMITS, Scenario

LATENCIES = (0.0, 0.0, 0.01, 0.2, 1.0)
AFTERMATH_S = 8.0
"""After the last deadline: one sweep, its grace, and the time that a commit may take."""
LINGERS_S = 12.0
CHILDREN = 2
DOOR = 0
"""Who writes where no worker does."""


@dataclass(eq=False)
class Process:
    """One engine, with its loop, and what its committer threads have to do; `busy`: how many of them are at it."""

    number: int
    loop: VirtualLoop
    committers: int
    jobs: deque[tuple[float, Callable[[], Any], Any]] = field(default_factory=deque)
    engine: Engine | None = None
    main: Any = None
    alive: bool = True
    busy: int = 0
    stopped_until: float = 0.0
    hindered_until: float = 0.0
    began_at: float = 0.0
    gone_at: float = float("inf")

    @property
    def has_free_hands(self) -> bool:
        return bool(self.jobs) and self.busy < self.committers

    def next_at(self) -> float | None:
        """When it could go on, were it not stopped."""
        times = [at for at in (self.loop.next_at(), self.jobs[0][0] if self.has_free_hands else None) if at is not None]
        return max(min(times), self.stopped_until) if times and self.alive else None


class World:
    """Call `play` once, inside `simulating`."""

    def __init__(self, scenario: Scenario, database: Database) -> None:
        self.scenario, self.database = scenario, database
        self.random = Random(f"world {scenario.seed}")
        self.seconds, self.jumped = 0.0, 0.0
        self.ahead = AT
        self.processes: list[Process] = []
        self.at_work: list[int] = []
        self.happens = deque(scenario.happens)
        self.later: list[tuple[float, str]] = []
        self.healed, self.healed_at = False, 0.0
        self.hindered = 0.0
        """Seconds for which transactions have stood still since faults stopped."""
        self.interrupts = scenario.interrupts
        self.commits, self.changes = 0, 0
        self.trace: deque[str] = deque(maxlen=60)
        self.watch = Watch(self)
        self.outside = Outside(
            scenario.seed,
            scenario.failing,
            scenario.slow,
            lambda: self.seconds,
            lambda: self.writer,
            self._sent,
            self.watch.answered,
            lambda number: self.processes[number - 1].gone_at,
        )
        self.doors = doors.Doors(self)

    # --- what others ask of it ---

    def now(self) -> datetime:
        """In the place of `audit.clock.now`."""
        return AT + timedelta(microseconds=round((self.seconds + self.jumped) * 1e6))

    def jump(self, seconds: float) -> None:
        self.ahead = self.latest()
        self.jumped += seconds

    def latest(self) -> datetime:
        """The furthest that the clock has been: what somebody has read of it stays read when it jumps back."""
        return max(self.ahead, self.now())

    @property
    def writer(self) -> int:
        return self.at_work[-1] if self.at_work else DOOR

    def tell(self, what: str) -> None:
        self.trace.append(f"{self.seconds:8.3f} {self.writer or '-':>2} {what}")

    def broken(self, invariant: str, what: str) -> None:
        self.tell(f"BROKEN {invariant}: {what}")
        raise Broken(self.scenario.seed, invariant, what, list(self.trace))

    # --- playing ---

    def play(self) -> None:
        try:
            for _ in range(self.scenario.workers):
                self.spawn()
            while self.seconds < self.scenario.lasts and not self._is_over():
                if self.happens and self._rests():
                    self.seconds, _ = max((self.seconds, ""), self.happens[0])  # nobody has anything to do until then
                self.step()
            self._heal()
            self.watch.at_the_end()
        finally:
            self.database.fate = None
            self._wind_up()

    def _is_over(self) -> bool:
        return not self.happens and not self.later and self._rests()

    def _rests(self) -> bool:
        return self.doors.all_started and not self.watch.live and not self._driving()

    def _driving(self) -> bool:
        """Or writing what has to be written, though the run that it is of is driven here no more."""
        engines = [process.engine for process in self.processes if process.alive and process.engine is not None]
        return any(engine._driving or engine.tools.committer._lasting for engine in engines)

    def _heal(self) -> None:
        """Faults stop. Whoever lives goes on, somebody healthy comes, and the world runs on until nothing is left to do."""
        self.healed, self.healed_at = True, self.seconds
        self.tell("faults stop")
        for process in self.processes:
            process.stopped_until = min(process.stopped_until, self.seconds)
        self.spawn()
        self.doors.lift_all()
        self.doors.start_all()
        since = self.now()
        while self.watch.live:
            last = max(since, *self.watch.live.values())
            if self.now() > last + timedelta(seconds=AFTERMATH_S + self.hindered):
                self.broken("every run ends", f"{sorted(self.watch.live)} live, and it is long past {last}")
            self.step()
        until = self.seconds + LINGERS_S
        while self.seconds < until and self._driving():
            self.step()

    def step(self) -> None:
        """One turn of one process, or one thing that happens; or time, until there is one."""
        due = [process for process in self.processes if (at := process.next_at()) is not None and at <= self.seconds]
        if self.happens and self.happens[0][0] <= self.seconds:
            self.doors.happen(self.happens.popleft()[1])
        elif self.later and min(self.later)[0] <= self.seconds:
            first = min(self.later)
            self.later.remove(first)
            self.doors.happen(first[1])
        elif due:
            self._turn(self.random.choice(due))
        else:
            self.watch.idle()
            if self.scenario.interrupts and self.watch.undoes_now:
                self.doors.poke()
            times = [at for process in self.processes if (at := process.next_at()) is not None]
            times += [at for at, _ in (*self.later, *([self.happens[0]] if self.happens else []))]
            self.seconds = max(self.seconds, min(times, default=self.seconds + 1.0))
        self.watch.raise_if_broken()

    def _turn(self, process: Process) -> None:
        has_job = process.has_free_hands and process.jobs[0][0] <= self.seconds
        at = process.loop.next_at()
        if has_job and (at is None or at > self.seconds or self.random.random() < 0.5):
            self._do(process)
        else:
            with self._as(process.number):
                process.loop.turn()
        if process.alive and process.main.done():
            self.tell(f"process {process.number} has ended")
            self.watch.left(process)
            self._gone(process)

    def _do(self, process: Process) -> None:
        """One job of a committer thread, in one go; `before_begin` may let others go on in between."""
        _, job, future = process.jobs.popleft()
        process.busy += 1
        began = self.seconds
        try:
            with self._as(process.number), running(None):
                answer = job()
                self._outside_transactions()
        except Killed:
            self.tell("is killed")
            self._gone(process)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for it
            if isinstance(error, IntegrityError):
                self.watch.complain("no two writers collide", str(error))
            process.loop.call_soon(_fail, future, error)
        else:
            process.loop.call_soon(_give, future, answer)
        finally:
            process.busy -= 1
            process.hindered_until = self.seconds if self.seconds > began else process.hindered_until
            self.hindered += self.seconds - began if self.healed else 0.0

    @contextmanager
    def _as(self, number: int) -> Any:
        self.at_work.append(number)
        try:
            yield
        finally:
            self.at_work.pop()

    # --- processes ---

    def spawn(self) -> None:
        number = len(self.processes) + 1
        loop = VirtualLoop(lambda: self.seconds, lambda job, future: self._give_job(process, job, future), lambda said: None)
        process = Process(number, loop, self.scenario.committers, began_at=self.seconds)
        ttl = timedelta(seconds=self.scenario.ttl)
        beat = self.scenario.ttl * self.scenario.beat
        options = EngineOptions(concurrency=4, children=CHILDREN, ttl=ttl, beat_s=beat, id=UUID(int=number))
        with running(loop):
            process.engine = Engine(options)
            process.main = loop.create_task(process.engine.run())
        self.processes.append(process)
        self.tell(f"process {number} begins")

    def _give_job(self, process: Process, job: Callable[[], Any], future: Any) -> None:
        if not process.alive:
            raise OperationalError("there is no such process any more")
        due = max(self.seconds + self.scenario.latency * self.random.choice(LATENCIES), process.jobs[-1][0] if process.jobs else 0.0)
        process.jobs.append((due, job, future))

    def _gone(self, process: Process) -> None:
        if not process.alive:
            return
        process.alive, process.gone_at = False, self.seconds
        if not self.healed:
            self.later.append((self.seconds + self.random.choice([0.2, 0.2, 2.0, 8.0] if self.scenario.profile != "loop" else [0.2]), "spawn"))
        elif not any(each.alive for each in self.processes):
            self.spawn()

    def some(self) -> Process | None:
        """Any process that lives, and is not one of those within whose transactions we are."""
        alive = [process for process in self.processes if process.alive]
        return self.random.choice(alive) if alive else None

    def kill(self, process: Process) -> None:
        self.tell(f"process {process.number} is killed")
        self._gone(process)

    def _wind_up(self) -> None:
        for process in self.processes:
            process.alive, process.gone_at = False, min(process.gone_at, self.seconds)
            process.loop.wind_up()

    # --- what befalls transactions ---

    def before_begin(self) -> str | None:
        self._outside_transactions()
        if self.writer == DOOR and self.doors.rivals:
            self.doors.rivals -= 1
            self._others_go_on(turns=1)
        self._interrupt()
        fault = self._fault(AT_BEGINS)
        if fault == "stand still":
            self._others_go_on(until=self.seconds + self.scenario.ttl * self.random.choice([0.3, 1.1, 1.5]))
        elif self.random.random() < 0.1:
            self._others_go_on(turns=self.random.randint(1, 12))
        return fault

    def _interrupt(self) -> None:
        """Once: what a process is about to write is overtaken by a cancel, and then it is asked to go."""
        process = next((process for process in self.processes if process.number == self.writer), None)
        if process is None or process.engine is None or not self.interrupts or self.healed:
            return
        ending = [driver for driver in process.engine._drivers.values() if any(map(driver._is_dispatched, (each.call for each in driver._closing)))]
        if ending:
            self.interrupts = False
            self.doors.interrupt(process, ending[0].run)
            self._others_go_on(turns=3)

    def between_reads(self) -> None:
        """Rows that are read one after the other may be of different ages."""
        if self.at_work and self.random.random() < 0.12:
            self._others_go_on(turns=self.random.randint(1, 8))

    def _others_go_on(self, *, turns: int = 400, until: float = float("inf")) -> None:
        """Whoever is about to write stands still meanwhile; he may find himself dead."""
        if len(self.at_work) > 2:
            return
        standing = next((process for process in self.processes if process.number == self.writer), None)
        before, self.at_work[-1:] = self.at_work[-1:], [DOOR]
        with running(None):
            while turns and self.seconds < until:
                turns -= 1
                self.step()
        self.at_work[-1:] = before
        if standing is not None and not standing.alive:
            raise Killed

    def at_commit(self) -> str | None:
        fault = self._fault(AT_COMMITS)
        if fault is not None:
            self.tell(f"fault: {fault}")
        return fault

    def _fault(self, among: tuple[str, ...]) -> str | None:
        faults = [fault for fault in self.scenario.faults if fault in among]
        return self.random.choice(faults) if faults and not self.healed and self.random.random() < self.scenario.strikes else None

    def committed(self) -> None:
        self.commits += 1
        self.changes = self.database.connection.total_changes
        self.watch.committed(self.writer)

    def _outside_transactions(self) -> None:
        """What was written in a statement by itself is looked at as soon as somebody could act on it."""
        if self.database.connection.total_changes != self.changes:
            self.changes = self.database.connection.total_changes
            self.watch.committed(self.writer)

    def _sent(self, request: Any) -> None:
        self.tell(f"sends {request.kind} {request.step} {request.attempt}.{request.ordinal}")
        self.watch.sending(request)


def _give(future: Any, answer: Any) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(future: Any, error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
