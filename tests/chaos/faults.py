"""Faults in a process of the product: named functions are wrapped before it starts, and one of them kills, stops or fails it, once.

Knows no workload. Armed by the launcher only, so no product code and no running installation has a way in.
"""

import functools
import importlib
import inspect
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.chaos.points import POINTS, Point

KILL, STOP, RAISE, SKIP = "kill", "stop", "raise", "skip"
KINDS = (KILL, STOP, RAISE)


@dataclass(frozen=True, slots=True)
class Fault:
    """At the `hit`-th time that this process comes to the point. `skip`: what stands there is left out, every time."""

    point: str
    kind: str
    hit: int = 1

    def __post_init__(self) -> None:
        if self.point not in POINTS or self.kind not in (*KINDS, SKIP):
            raise ValueError(f"there is no fault '{self.kind}' at '{self.point}'")


class Injected(RuntimeError):
    """What a process meets that nobody has foreseen."""


def to_text(faults: tuple[Fault, ...]) -> str:
    return json.dumps([asdict(fault) for fault in faults])


def from_text(text: str) -> tuple[Fault, ...]:
    return tuple(Fault(**each) for each in json.loads(text))


class Trap:
    """The faults of one process, in their order: the next is armed when the one before has struck. Each leaves a mark: a file."""

    def __init__(self, faults: tuple[Fault, ...], marks: Path, name: str) -> None:
        self._left = [fault for fault in faults if fault.kind != SKIP]
        self._marks, self._name = marks, name
        self._hits = self._struck = 0
        self._pid = os.getpid()

    def reached(self, point: Point) -> None:
        """Strike, if this is the fault that is armed. A forked process is not ours."""
        if not self._left or self._left[0].point != point.name or os.getpid() != self._pid:
            return
        self._hits += 1
        if self._hits < self._left[0].hit:
            return
        fault = self._left.pop(0)
        self._hits, self._struck = 0, self._struck + 1
        mark = self._marks / f"{self._name}.struck.{self._struck}"
        mark.with_suffix(".part").write_text(repr(time.time()), encoding="ascii")
        mark.with_suffix(".part").rename(mark)
        self._strike(fault, point)

    def _strike(self, fault: Fault, point: Point) -> None:
        if fault.kind == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault.kind == STOP:
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            raise point.error("injected")


def arm(faults: tuple[Fault, ...], marks: Path, name: str) -> None:
    """Wrap what the faults' points name. Call it once, after Django is set up and before anything runs."""
    trap = Trap(faults, marks, name)
    for point in sorted({fault.point for fault in faults}):
        skips = any(fault.kind == SKIP and fault.point == point for fault in faults)
        _wrap(POINTS[point], trap, skips=skips)


def _wrap(point: Point, trap: Trap, *, skips: bool) -> None:
    owner, attribute = _located(point.target)
    function = getattr(owner, attribute)
    setattr(owner, attribute, _left_out(function) if skips else _wrapped(function, point, trap))


def _located(target: str) -> tuple[Any, str]:
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, attribute = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, attribute


def _left_out(function: Callable[..., Any]) -> Callable[..., Any]:
    assert not inspect.iscoroutinefunction(function)
    return lambda *args, **kwargs: None


def _wrapped(function: Callable[..., Any], point: Point, trap: Trap) -> Callable[..., Any]:
    def before(args: Any, kwargs: Any) -> None:
        if not point.after and point.matches(args, kwargs, None):
            trap.reached(point)

    def after(args: Any, kwargs: Any, result: Any) -> Any:
        if point.after and point.matches(args, kwargs, result):
            trap.reached(point)
        return result

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        before(args, kwargs)
        return after(args, kwargs, function(*args, **kwargs))

    @functools.wraps(function)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        before(args, kwargs)
        return after(args, kwargs, await function(*args, **kwargs))

    return awaited if inspect.iscoroutinefunction(function) else plain
