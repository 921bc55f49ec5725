"""The measures: who takes part, how many rounds, and what is made of them. `ALL` is the table of them.

A measure yields figures, or raises Skipped where something it needs can't be had.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import environments
from contestants import Contestant, interleaved, started

from tests import servers

HERE = Path(__file__).resolve().parent
ROUNDS = 5
RUNS = 300
SINGLES = 50
CALLS = 100

Figure = dict[str, Any]
Measure = Callable[[], Iterator[Figure]]


class Skipped(Exception):
    """It can't be measured here; the message says what is missing."""


def figure(measure: str, value: float, unit: str, peer: str | None = None, peer_value: float | None = None) -> Figure:
    """`ratio` above 1: Orchestra is ahead, be it more a second or fewer milliseconds."""
    ratio = None
    if peer_value is not None:
        ratio = round(peer_value / value if unit == "ms" else value / peer_value, 2)
        peer_value = round(peer_value, 2)
    return {"measure": measure, "value": round(value, 2), "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio}


# --- three-step runs -----------------------------------------------------------------------------------------------------------------


def runs3_postgresql() -> Iterator[Figure]:
    """three inline no-op steps on PostgreSQL, beside LangGraph with its PostgreSQL saver"""
    yield from _runs3_on_postgresql("runs3.postgresql", "bench-inline", RUNS)


def runs3_children() -> Iterator[Figure]:
    """three Python functions in child interpreters on PostgreSQL, beside LangGraph, whose nodes run in its own process"""
    yield from _runs3_on_postgresql("runs3.children", "bench-functions", RUNS)


def runs3_sqlite() -> Iterator[Figure]:
    """three inline no-op steps on SQLite, beside LangGraph with its SQLite saver"""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestra-bench-")))
        ours = stack.enter_context(_orchestra(f"sqlite:///{folder}/bench.sqlite3"))
        peer = _langgraph(stack, "sqlite", str(folder / "peer.sqlite3"))
        yield from _runs3("runs3.sqlite", "bench-inline", RUNS, ours, peer, ["sequential"])


def _runs3_on_postgresql(name: str, pipeline: str, runs: int) -> Iterator[Figure]:
    with ExitStack() as stack:
        server = _postgresql(stack)
        ours = stack.enter_context(_orchestra(server.url))
        peer = _langgraph(stack, "postgresql", server.url)
        yield from _runs3(name, pipeline, runs, ours, peer, ["sequential", "concurrent"])


def _runs3(name: str, pipeline: str, runs: int, ours: Contestant, peer: Contestant | None, ways: list[str]) -> Iterator[Figure]:
    """Runs a second, whole lives in batches; then milliseconds for one run alone."""
    tries: dict[str, Callable[[], float]] = {"orchestra": lambda: runs / ours.round(way="batch", pipeline=pipeline, runs=runs)["seconds"]}
    singles: dict[str, Callable[[], float]] = {"orchestra": lambda: ours.round(way="single", pipeline=pipeline, runs=SINGLES)["p50_ms"]}
    if peer is not None:
        tries |= {way: lambda way=way: runs / peer.round(way=way, runs=runs)["seconds"] for way in ways}  # type: ignore[misc]
        singles["sequential"] = lambda: peer.round(way="sequential", runs=SINGLES)["p50_ms"]
    rates = interleaved(ROUNDS, tries)
    best = max(ways, key=lambda way: rates.get(way, 0.0))
    yield figure(name, rates["orchestra"], "runs/s", _peer(peer, best), rates.get(best))
    alone = interleaved(ROUNDS, singles)
    yield figure(f"{name}.single", alone["orchestra"], "ms", _peer(peer, "sequential"), alone.get("sequential"))


def _peer(peer: Contestant | None, way: str) -> str | None:
    return None if peer is None else f"{peer.name}, {'one thread' if way == 'sequential' else 'async, 20 in flight'}"


@contextmanager
def _orchestra(url: str) -> Iterator[Contestant]:
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestra-bench-home-"))
        environment = {"ORCHESTRA_HOME": home, "ORCHESTRA_DATABASE_URL": url}
        yield stack.enter_context(started("orchestra", [sys.executable, HERE / "ours.py"], environment))


def _langgraph(stack: ExitStack, kind: str, where: str) -> Contestant | None:
    """None, said on stderr, where its environment can't be made: ours is worth measuring all the same."""
    try:
        python = environments.python_of("langgraph")
    except environments.Unavailable as reason:
        print(f"  without LangGraph: {reason}", file=sys.stderr)
        return None
    name = f"LangGraph {environments.version_of('langgraph', 'langgraph')} ({kind}, durability=sync)"
    return stack.enter_context(started(name, [python, HERE / "peers" / "langgraph_runs.py", kind, where], {}))


def _postgresql(stack: ExitStack) -> servers.Server:
    try:
        return stack.enter_context(servers.postgresql(durable=True))
    except servers.Unavailable as reason:
        raise Skipped(str(reason)) from reason


# --- function calls ------------------------------------------------------------------------------------------------------------------


def call_function() -> Iterator[Figure]:
    """one call of a function through a warm child, beside starting an interpreter for it"""
    with tempfile.TemporaryDirectory(prefix="orchestra-bench-") as folder, _orchestra(f"sqlite:///{folder}/bench.sqlite3") as ours:
        tries = {"orchestra": lambda: ours.round(way="call", runs=CALLS)["p50_ms"], "interpreter": _interpreters}
        medians = interleaved(ROUNDS, tries)
    yield figure("call.function", medians["orchestra"], "ms", "subprocess.run of an interpreter", medians["interpreter"])


def _interpreters() -> float:
    argv = [sys.executable, str(HERE / "peers" / "plain_call.py"), str(HERE / "pipelines" / "functions"), "steps:first"]
    took = []
    for number in range(10):
        begun = time.perf_counter()
        done = subprocess.run(argv, input=json.dumps({"value": number}), capture_output=True, text=True, check=True)
        took.append(time.perf_counter() - begun)
        assert json.loads(done.stdout) == {"value": number}
    return statistics.median(took) * 1000


# --- the admin -----------------------------------------------------------------------------------------------------------------------


def admin_pages() -> Iterator[Figure]:
    """pages of the admin over 100,000 runs and 1,000,000 entries on SQLite, for an administrator and for a member of one team in ten"""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestra-bench-")))
        environment = {"ORCHESTRA_HOME": str(folder), "ORCHESTRA_DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3"}
        pages = stack.enter_context(started("orchestra", [sys.executable, HERE / "admin_pages.py"], environment))
        for page in ("runs_list", "run_page", "entries_list", "inventory"):
            yield figure(f"admin.{page}", pages.round(page=page, **{"as": "root"})["p50_ms"], "ms")
            yield figure(f"admin.{page}.member", pages.round(page=page, **{"as": "member"})["p50_ms"], "ms")


ALL: dict[str, Measure] = {
    "runs3.postgresql": runs3_postgresql,
    "runs3.sqlite": runs3_sqlite,
    "runs3.children": runs3_children,
    "call.function": call_function,
    "admin.pages": admin_pages,
}
