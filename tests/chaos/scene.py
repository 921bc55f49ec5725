"""What every scenario needs: a world, processes, orders, and the verdict at the end."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from django.db import DatabaseError

from runs.models import Engine
from tests.chaos import matrix, outside, workload
from tests.chaos.arena import WORKER, Arena, Stuck, arena, until
from tests.chaos.judging import Order
from tests.chaos.results import Result

LONG_S = 240.0


@dataclass(slots=True)
class Scene:
    """`orders` are judged when the scene is over."""

    result: Result
    arena: Arena
    world: Path
    orders: list[Order] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        return self.world.parent.name

    def order(self, pipeline: str, *also: str) -> Order:
        """Another run, started by somebody who tries again until it is."""
        made = outside.order(pipeline, f"{self.prefix}-{len(self.orders)}", self.world, *also)
        self.orders.append(made)
        return made

    def order_many(self, count: int) -> None:
        """Two journeys for each run that is undone."""
        for _ in range(count):
            self.order(workload.UNDONE if len(self.orders) % 3 == 2 else workload.JOURNEY)

    def work(self, *names: str) -> None:
        """Workers without faults, at work."""
        for name in names:
            self.begin(name)
        for name in names:
            self.arena.go(name)
        self.wait_for(*names)

    def begin(self, name: str, *, under: tuple[str, ...] = ()) -> None:
        self.arena.start(name, *WORKER, under=under)

    def wait_for(self, *names: str) -> None:
        """Until they are at work."""
        pids = [self.arena.pid(name) for name in names]
        until(lambda: outside.patiently(lambda: Engine.objects.filter(pid__in=pids).count() == len(pids)), "the workers' beginning")

    def see_through(self) -> None:
        if not outside.see_through(self.orders, LONG_S):
            self.result.lost.append(f"not all runs have ended within {LONG_S:g} s")

    def leave(self) -> None:
        self.result.unsound += [f"{late} did not leave when it was asked to" for late in self.arena.leave()]


@contextmanager
def scene(name: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Scene]:
    """Its runs are seen through, its workers are asked to leave, and all is judged when the body is done."""
    result, began = Result(name), time.monotonic()
    with arena(folder / "processes", environment) as made:
        played = Scene(result, made, workload.make_world(folder / "world"))
        try:
            yield played
            played.see_through()
            played.leave()
        except (Stuck, DatabaseError) as stuck:
            result.lost.append(str(stuck))
        matrix.judge(played.orders, result)
        result.log = made.tails() + matrix.told(played.orders) if result.problems else ""
    result.took_s = time.monotonic() - began
