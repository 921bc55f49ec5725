"""Measures of how Orchestra grows: many runs at once, long runs, full tables, two engines. Engines are `manage.py worker` processes.

A busy machine makes every wall time longer, so what a run costs is said too: processor time of engine and database server, transactions.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import places
import processes
from contestants import Contestant, interleaved, started
from figures import Figure, Skipped, figure

HERE = Path(__file__).resolve().parent
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
AT_ONCE = int(os.environ.get("BENCH_AT_ONCE", "1000"))
PAUSE_S = 2.0
STEPS = {10: 100, 100: 10, 1_000: 1}
"""Steps of a run, and how many such runs: the same work each time."""
ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
RUNS = 300


@dataclass
class House:
    """A database, a door and engines, and what they have used."""

    door: Contestant
    slow: Contestant
    environment: Mapping[str, str]
    server: int | None
    """PostgreSQL's first process."""
    engines: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def cpu_s(self) -> tuple[float, float]:
        """Of the engines and of the database server, so far."""
        return sum(processes.cpu_s(engine.pid) for engine in self.engines), processes.cpu_s(self.server) if self.server else 0.0

    def runs(self, pipeline: str, runs: int, given: Mapping[str, Any], *, doors: int = 2) -> dict[str, float]:
        """Runs from the first start to the last end, and what one of them cost in milliseconds of processor time."""
        engine, server = self.cpu_s()
        begun = self.door.round(way="start", pipeline=pipeline, input=given, runs=runs, doors=doors)
        ended = self.door.round(way="end", since=begun["begun"])
        return self._said(ended, runs, engine, server) | {"start_s": begun["seconds"]}

    def prepared(self, pipeline: str, runs: int, given: Mapping[str, Any], engines: int) -> dict[str, float]:
        """The same of runs that were all started before the engines may look."""
        _signal(self.engines, signal.SIGSTOP)
        self.door.round(way="start", pipeline=pipeline, input=given, runs=runs, doors=2)
        engine, server = self.cpu_s()
        _signal(self.engines[:engines], signal.SIGCONT)
        ended = self.door.round(way="end", since=processes.now())
        said = self._said(ended, runs, engine, server)
        _signal(self.engines, signal.SIGCONT)
        return said

    def _said(self, ended: Mapping[str, float], runs: int, engine: float, server: float) -> dict[str, float]:
        after = self.cpu_s()
        used = {"engine_ms": (after[0] - engine) / runs * 1000, "server_ms": (after[1] - server) / runs * 1000}
        return {"seconds": ended["seconds"], "transactions": ended["transactions"] / runs, **used}


@contextmanager
def house(*pipelines: str, engines: int = 1, pause_s: float = 0.0, concurrency: int = 256) -> Iterator[House]:
    """On a private PostgreSQL, with what these folders publish and engines that are ready."""
    processes.require_proc()
    with ExitStack() as stack:
        server = places.postgresql(stack)
        environment = places.surroundings(stack, server.url) | {"ORCHESTRA_CONCURRENCY": str(concurrency)}
        slow = stack.enter_context(started("slow server", [sys.executable, HERE / "slow_server.py"], {}))
        slow.round(pause_s=pause_s)
        door = stack.enter_context(started("door", [sys.executable, HERE / "door.py"], environment))
        for name in pipelines:
            door.round(way="publish", folder=str(_with_port(stack, name, slow.first["port"])))
        made = House(door, slow, environment, server.process.pid)
        made.engines += [_engine(stack, environment) for _ in range(engines)]
        door.round(way="engines", count=engines)
        yield made


def _with_port(stack: ExitStack, name: str, port: int) -> Path:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestra-bench-"))) / name
    shutil.copytree(HERE / "pipelines" / name, folder)
    file = folder / "pipeline.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("PORT", str(port)), encoding="utf-8")
    return folder


def _engine(stack: ExitStack, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ORCHESTRA_", "DJANGO_", "PYTHON"))}
    process = subprocess.Popen([sys.executable, HERE.parent / "manage.py", "worker", "--no-queue"], env={**inherited, **environment})
    stack.callback(_end, process)
    return process


def _end(process: "subprocess.Popen[bytes]") -> None:
    _signal([process], signal.SIGCONT)
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _signal(engines: list["subprocess.Popen[bytes]"], number: signal.Signals) -> None:
    for engine in engines:
        engine.send_signal(number)


# --- many at once --------------------------------------------------------------------------------------------------------------------


def inflight() -> Iterator[Figure]:
    """1,000 runs at once, each with one HTTP call that takes two seconds: wall from the first start to the last end, memory of the engine"""
    yield from _in_flight("inflight1000", "waiting", {"url": "http://127.0.0.1:PORT/"})


def inflight_model() -> Iterator[Figure]:
    """the same with a question to a model through the anthropic SDK in place of the HTTP call"""
    yield from _in_flight("model1000", "asking", {"value": 1})


def _in_flight(name: str, pipeline: str, given: Mapping[str, Any]) -> Iterator[Figure]:
    with house(pipeline, pause_s=PAUSE_S, concurrency=AT_ONCE) as made:
        asked = {key: str(value).replace("PORT", str(made.slow.first["port"])) if key == "url" else value for key, value in given.items()}
        warm = made.runs(f"bench-{pipeline}", 20, asked)
        print(f"  warm-up: {warm}", file=sys.stderr)
        made.slow.round(pause_s=PAUSE_S)
        rounds, peaks = [], []
        for number in range(1, ROUNDS + 1):
            with processes.peak_pss(made.engines[0].pid) as peak:
                rounds.append(made.runs(f"bench-{pipeline}", AT_ONCE, asked, doors=20))
            peaks.append(peak[0])
            at_once = made.slow.round(pause_s=PAUSE_S)["at_once"]
            said = f"{peak[0]:.0f} MiB, {at_once} calls at once, load {processes.load():.1f}"
            print(f"  round {number}/{ROUNDS}: {rounds[-1]}, {said}", file=sys.stderr)
        with processes.peak_pss(made.engines[0].pid) as peak:
            queued = made.prepared(f"bench-{pipeline}", AT_ONCE, asked, engines=1)
        at_once = made.slow.round(pause_s=PAUSE_S)["at_once"]
        print(f"  all queued before: {queued}, {peak[0]:.0f} MiB, {at_once} calls at once", file=sys.stderr)
        peaks.append(peak[0])
    middle = _medians(rounds)
    yield figure(f"{name}.wall_s", middle["seconds"], "s")
    yield figure(f"{name}.queued_s", queued["seconds"], "s")
    yield figure(f"{name}.pss_mib", max(peaks), "MiB")
    yield from _costs(name, middle)


def _costs(name: str, middle: Mapping[str, float]) -> Iterator[Figure]:
    yield figure(f"{name}.cpu_engine", middle["engine_ms"], "ms")
    yield figure(f"{name}.cpu_server", middle["server_ms"], "ms")
    yield figure(f"{name}.transactions", middle["transactions"], "a run")


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {key: sorted(each[key] for each in rounds)[len(rounds) // 2] for key in rounds[0]}


# --- long runs -----------------------------------------------------------------------------------------------------------------------


def flat_steps() -> Iterator[Figure]:
    """processor time of engine and server for a step, in runs of 10, 100 and 1,000 steps: inline ones and HTTP calls; flat is 1.0"""
    with house("many", concurrency=1) as made:  # one run after the other, so that as many calls are under way whatever its length
        url = f"http://127.0.0.1:{made.slow.first['port']}/"
        for kind, more in (("pure", {}), ("calls", {"url": url})):
            yield from _flat_steps(made, kind, more)


def _flat_steps(made: House, kind: str, more: Mapping[str, Any]) -> Iterator[Figure]:
    def cost(steps: int) -> float:
        said = made.runs(f"bench-many-{kind}", STEPS[steps], {"values": list(range(steps)), **more})
        return (said["engine_ms"] + said["server_ms"]) / steps

    medians = interleaved(ROUNDS, {str(steps): lambda steps=steps: cost(steps) for steps in STEPS})  # type: ignore[misc]
    for steps in STEPS:
        yield figure(f"flat.steps.{kind}.{steps}", medians[str(steps)], "ms", "10 steps", medians["10"])


# --- full tables ---------------------------------------------------------------------------------------------------------------------


def flat_rows() -> Iterator[Figure]:
    """three inline steps on PostgreSQL beside 1,000,000 finished runs and beside none; flat is 1.0"""
    with ExitStack() as stack:
        empty, full = (stack.enter_context(places.orchestra(places.postgresql(stack).url)) for _ in range(2))
        for each in (empty, full):
            each.round(way="batch", pipeline="bench-inline", runs=20, doors=1)
        full.round(way="fill", pipeline="bench-inline", runs=ROWS)
        costs: dict[str, list[float]] = {"full": [], "empty": []}

        def rate(name: str, ours: Contestant) -> float:
            said = ours.round(way="batch", pipeline="bench-inline", runs=RUNS, doors=2)
            costs[name].append(said["cpu_seconds"] / RUNS * 1000)
            return float(RUNS / said["seconds"])

        rates = interleaved(ROUNDS, {"full": lambda: rate("full", full), "empty": lambda: rate("empty", empty)})
    used = {name: sorted(values[1:])[len(values) // 2 - 1] for name, values in costs.items()}
    yield figure("flat.rows.rate", rates["full"], "runs/s", "no rows", rates["empty"])
    yield figure("flat.rows.cpu", used["full"], "ms", "no rows", used["empty"])


# --- two engines ---------------------------------------------------------------------------------------------------------------------


def engines_two() -> Iterator[Figure]:
    """runs that are all started already, carried out by two engine processes and by one, on PostgreSQL; above 1.0 two are faster"""
    if (os.cpu_count() or 1) < 2:
        raise Skipped("two engines on one processor take turns")
    with house("inline", engines=2) as made:
        seen: dict[str, list[dict[str, float]]] = {"one": [], "two": []}

        def rate(name: str, engines: int) -> float:
            seen[name].append(made.prepared("bench-inline", RUNS, {"value": 1}, engines))
            return RUNS / seen[name][-1]["seconds"]

        rates = interleaved(ROUNDS, {"two": lambda: rate("two", 2), "one": lambda: rate("one", 1)})
    yield figure("engines.two.rate", rates["two"], "runs/s", "one engine", rates["one"])
    for name, rounds in seen.items():
        yield from _costs(f"engines.{name}", _medians(rounds[1:]))
