"""One case of the matrix: a fault at a point, in the scene that brings a worker there, and what becomes of the runs.

Used by the tests and by the long form; the database is Django's.
"""

import json
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

from runs.models import Run, Wait
from tests.chaos import judging, outside, workload
from tests.chaos.arena import LEASE_S, WORKER, Arena, Stuck, arena, until
from tests.chaos.faults import KILL, RAISE, SKIP, STOP, Fault
from tests.chaos.judging import Order
from tests.chaos.outside import patiently
from tests.chaos.points import POINTS, Point
from tests.chaos.results import Result

FIRST: Mapping[str, Fault] = {
    "taken over": Fault("intent.after", KILL, hit=2),
    "sent before": Fault("send.before", KILL, hit=2),
    "told before": Fault("tell.after", KILL),
}
"""Scenes that need a worker which has died before: where."""
DOORS: Mapping[str, str] = {"start": "start_run", "answer": "send_signal", "cancel": "cancel_run"}
AT_WORK = ("asked to leave", "beating")
"""Scenes in which nothing that has acted may end before the fault has struck."""


@dataclass(frozen=True, slots=True)
class Case:
    point: str
    kind: str
    hit: int = 1
    journeys: int = 2

    @property
    def name(self) -> str:
        return f"{self.point} × {self.kind}"

    @property
    def where(self) -> Point:
        return POINTS[self.point]

    @property
    def fault(self) -> Fault:
        return Fault(self.point, self.kind, self.hit)


def run(case: Case, folder: Path, environment: Mapping[str, str]) -> Result:
    """The case, from its runs' start to their verdicts. The pipelines are published."""
    result, began = Result(case.name), time.monotonic()
    world = workload.make_world(folder / "world")
    with arena(folder / "processes", environment) as made:
        played = _Played(case, made, world, result)
        try:
            played.play()
        except Stuck as stuck:
            result.lost.append(str(stuck))
        judge(played.orders, result)
        result.log = made.tails() + told(played.orders) if result.problems else ""
    result.took_s = time.monotonic() - began
    return result


def judge(orders: Sequence[Order], result: Result) -> None:
    for order in orders:
        result.runs += 1
        result.lost += patiently(lambda order=order: judging.lost(order))  # type: ignore[misc]
        result.duplicated += judging.duplicated(order)
        result.unsound += judging.unsound(order)
        result.failed_as_lost += Run.objects.filter(id=order.run.id, failure_cause="lost").count()


def told(orders: Sequence[Order]) -> str:
    """The stories of the runs that have a problem."""
    return "\n".join(judging.story(each) for each in orders if judging.lost(each) or judging.duplicated(each) or list(judging.unsound(each)))


@dataclass(slots=True)
class _Played:
    case: Case
    arena: Arena
    world: Path
    result: Result
    orders: list[Order] = field(default_factory=list)
    held: list[tuple[float, list[UUID]]] = field(default_factory=list)

    def play(self) -> None:
        scene = self.case.where.scene
        victims = [f"victim{number}" for number in range(2 if scene in FIRST else 1)]
        if scene in DOORS:
            self._prepare_door(scene)
        else:
            self.orders = self._ordered(scene)
            self._start_victims(victims)
        self.arena.start("helper", *WORKER)
        if scene in DOORS:
            self._through_door(scene)
        else:
            for name in victims:
                self._break(name)
        self._go_helper()
        if not outside.see_through(self.orders):
            self.result.lost.append("not all runs have ended in time")
        self._measure()
        self.result.unsound += [f"{name} did not leave when it was asked to" for name in self.arena.leave()]

    def _ordered(self, scene: str) -> list[Order]:
        name = self.world.parent.name
        # What nobody has foreseen may end the run that it hits as lost, and says so; the runs beside it go on.
        also = ("failed: lost",) if self.case.kind == RAISE and self.case.where.error is not type(self).database_error() else ()
        orders = [outside.order(workload.JOURNEY, f"{name}-{number}", self.world, *also) for number in range(self.case.journeys)]
        orders.append(outside.order(workload.UNDONE, f"{name}-u", self.world, *also))
        if scene == "overdue":
            orders.append(outside.order(workload.LATE, f"{name}-l", self.world))
            time.sleep(2.5)
        return orders

    @staticmethod
    def database_error() -> type[Exception]:
        return POINTS["claim.before"].error

    # --- workers ---

    def _start_victims(self, names: Sequence[str]) -> None:
        scene = self.case.where.scene
        first, last = FIRST.get(scene), self.case.fault
        for name in names[:-1]:
            assert first is not None
            self.arena.start(name, *WORKER, having=(first,))
        late = (Fault("notice", SKIP), Fault("send.after", STOP)) if scene == "late" else ()
        self.arena.start(names[-1], *WORKER, having=(*late, last))

    def _break(self, name: str) -> None:
        """Let it run into its faults, one after the other; whoever is stopped goes on when its runs have been taken over."""
        having = json.loads((self.arena.folder / f"{name}.faults").read_text(encoding="utf-8"))
        kinds = [fault["kind"] for fault in having if fault["kind"] != SKIP]
        if self.case.where.scene in AT_WORK:
            self._keep_at_work(name, leaves=self.case.where.scene == "asked to leave")
        self.arena.go(name)
        for number, kind in enumerate(kinds, start=1):
            at = self._waiting_for_strike(name, number)
            self.result.faults.append(kind)
            self.held.append((at, outside.held_by(self.arena.pid(name))))
            if kind == STOP:
                self._wake_up(name, at)
            elif kind == KILL:
                self.arena.wait_for_end(name)

    def _keep_at_work(self, name: str, *, leaves: bool) -> None:
        """What is at work may end first, so it must not: until the fault has struck, nothing that has acted says so."""
        workload.shut(self.world)
        self.arena.go(name)
        first = self.orders[0].name  # on a slow machine the fault may be the quicker one
        until(lambda: workload.acts_of(self.world, first).total() > 0 or self.arena.struck_at(name, 1) is not None, "an act of the first run")
        if leaves:
            self.arena.send(name, signal.SIGTERM)
        self._waiting_for_strike(name, 1)
        for again in (False, True):
            workload.open_up(self.world, again=again)

    def _waiting_for_strike(self, name: str, number: int) -> float:
        """The world goes on meanwhile: a point may lie behind a signal."""
        until(lambda: self.arena.struck_at(name, number) is not None or self.arena.has_ended(name) or self._answered(), f"fault {number} of {name}")
        return self.arena.wait_for_strike(name, number)

    def _answered(self) -> bool:
        patiently(lambda: outside.answer_all(self.orders))
        return False

    def _wake_up(self, name: str, struck_at: float) -> None:
        """SIGCONT, once its lease has run out and its runs are somebody else's; where it holds the database itself, they can't be."""
        self._go_helper()
        end = struck_at + 2 * LEASE_S + 4
        time.sleep(max(struck_at + LEASE_S + 1 - time.time(), 0))
        while time.time() < end and self._unmoved(*self.held[-1]):
            time.sleep(0.1)
        if self._unmoved(*self.held[-1]):  # it held what others need, so they could not recover before this, and a step's time may have passed
            self.held[-1] = (time.time(), self.held[-1][1])
            self.orders = [replace(order, outcomes=order.outcomes | {"failed: deadline"}) for order in self.orders]
        self.arena.send(name, signal.SIGCONT)

    def _unmoved(self, since: float, runs: Sequence[UUID]) -> bool:
        return any(outside.next_entry(run, since) is None for run in runs)

    def _go_helper(self) -> None:
        self.arena.go("helper")

    # --- doors ---

    def _prepare_door(self, scene: str) -> None:
        name = self.world.parent.name
        asked: dict[str, object] = outside.asked(workload.JOURNEY, f"{name}-0", self.world)
        if scene != "start":
            also = ("cancelled",) if scene == "cancel" else ()
            self.orders = [outside.order(workload.JOURNEY, f"{name}-0", self.world, *also)]
            asked = {"run": str(self.orders[0].run.id)} | ({"signal": "go", "payload": {}} if scene == "answer" else {})
        self.arena.start("door", "door", DOORS[scene], json.dumps([asked]), having=(self.case.fault,))

    def _through_door(self, scene: str) -> None:
        """A client whose door dies in the middle, and who then asks again."""
        if scene != "start":
            self._go_helper()
            waits = Wait.objects.filter(run=self.orders[0].run, kind="signal", state="open")
            until(lambda: patiently(waits.exists), "the wait for a signal")
        self.arena.go("door")
        at = self.arena.wait_for_strike("door")
        self.result.faults.append(self.case.kind)
        self.held.append((at, []))
        if self.case.kind == STOP:
            time.sleep(LEASE_S + 1)
            self.arena.send("door", signal.SIGCONT)
        self.arena.wait_for_end("door")
        if scene == "start":
            self.orders = [outside.order(workload.JOURNEY, f"{self.world.parent.name}-0", self.world)]
        elif scene == "cancel":
            outside.cancel(self.orders[0])

    # --- recovery ---

    def _measure(self) -> None:
        """A run that a second fault met before it had recovered from the first is counted from the second."""
        for number, (at, runs) in enumerate(self.held):
            again = min((later for later, _ in self.held[number + 1 :]), default=float("inf"))
            moved = [entry for run in runs if (entry := outside.next_entry(run, at)) is not None]
            self.result.recovery_s += [entry - at for entry in moved if entry < again]
