"""The measures: who takes part, how many rounds, and what is made of them. `ALL` is the table of them.

A measure yields figures, or raises Skipped where something it needs can't be had.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import audits
import environments
from contestants import Contestant, interleaved, started

from tests import servers

HERE = Path(__file__).resolve().parent
ROUNDS = 5
RUNS = 300
SINGLES = 50
CALLS = 100
ENTRIES = 200_000
WAKES = 40
IDLE_S = 20
CHILDREN = 2 * (os.cpu_count() or 1)  # as many as an engine has by default

Figure = dict[str, Any]
Measure = Callable[[], Iterator[Figure]]


class Skipped(Exception):
    """It can't be measured here; the message says what is missing."""


def figure(measure: str, value: float, unit: str, peer: str | None = None, peer_value: float | None = None) -> Figure:
    """`ratio` above 1: Orchestra is ahead, be it more a second or fewer milliseconds."""
    ratio = None
    if peer_value is not None:
        ratio = round(peer_value / value if unit in {"ms", "s"} else value / peer_value, 2)
        peer_value = round(peer_value, 2)
    return {"measure": measure, "value": round(value, 2), "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio}


# --- three-step runs -----------------------------------------------------------------------------------------------------------------


def runs3_postgresql() -> Iterator[Figure]:
    """three inline no-op steps on PostgreSQL, started by four threads and by one, beside LangGraph with its PostgreSQL saver"""
    with _on_postgresql() as (ours, peer):
        tries = {"four": _batch(ours, "bench-inline", doors=4), "one": _batch(ours, "bench-inline", doors=1)} | _peers(peer)
        rates = interleaved(ROUNDS, tries)
    yield _beside("runs3.postgresql", rates, "four", peer, _peers(peer))
    yield _beside("runs3.postgresql.one", rates, "one", peer, _peers(peer))


def runs3_children() -> Iterator[Figure]:
    """three Python functions in child interpreters on PostgreSQL, beside LangGraph with its nodes in child processes, and in its own"""
    with _on_postgresql() as (ours, peer):
        there = _peers(peer, children=CHILDREN)
        rates = interleaved(ROUNDS, {"children": _batch(ours, "bench-functions", doors=4)} | there | _peers(peer))
    yield _beside("runs3.children", rates, "children", peer, there)
    yield _beside("runs3.children.inprocess", rates, "children", peer, _peers(peer))


def runs3_sqlite() -> Iterator[Figure]:
    """three inline no-op steps on SQLite, beside LangGraph with its SQLite saver"""
    with _on_sqlite() as (ours, peer):
        here = _peers(peer, concurrent=False)
        rates = interleaved(ROUNDS, {"one": _batch(ours, "bench-inline", doors=1)} | here)
    yield _beside("runs3.sqlite", rates, "one", peer, here)


def latency_single() -> Iterator[Figure]:
    """one run of three inline steps on an engine that has nothing else to do, from its start to its end, on both databases"""
    for name, place in (("sqlite", _on_sqlite), ("postgresql", _on_postgresql)):
        with place() as (ours, peer):
            yield _alone(f"latency.single.{name}", ours, peer)


def _alone(name: str, ours: Contestant, peer: Contestant | None) -> Figure:
    tries: dict[str, Callable[[], float]] = {"orchestra": lambda: ours.round(way="single", pipeline="bench-inline", runs=SINGLES)["p50_ms"]}
    if peer is not None:
        tries["one thread"] = lambda: peer.round(way="sequential", runs=SINGLES)["p50_ms"]
    alone = interleaved(ROUNDS, tries)
    return figure(name, alone["orchestra"], "ms", _said(peer, "one thread"), alone.get("one thread"))


def _batch(ours: Contestant, pipeline: str, *, doors: int) -> Callable[[], float]:
    """Runs a second, whole lives in batches."""
    return lambda: RUNS / ours.round(way="batch", pipeline=pipeline, runs=RUNS, doors=doors)["seconds"]


def _peers(peer: Contestant | None, *, concurrent: bool = True, children: int = 0) -> dict[str, Callable[[], float]]:
    """The ways in which the peer may run; it is measured by its best."""
    if peer is None:
        return {}
    where = f", nodes in {children} child processes" if children else ""
    ways = {f"one thread{where}": "sequential"} | ({f"async, 20 in flight{where}": "concurrent"} if concurrent else {})
    return {said: lambda way=way: RUNS / peer.round(way=way, runs=RUNS, children=children)["seconds"] for said, way in ways.items()}  # type: ignore[misc]


def _beside(name: str, rates: Mapping[str, float], ours: str, peer: Contestant | None, ways: Iterable[str]) -> Figure:
    best = max(ways, key=lambda way: rates[way], default=None)
    return figure(name, rates[ours], "runs/s", _said(peer, best), None if best is None else rates[best])


def _said(peer: Contestant | None, way: str | None) -> str | None:
    return None if peer is None else f"{peer.name}, {way}"


@contextmanager
def _on_postgresql() -> Iterator[tuple[Contestant, Contestant | None]]:
    with ExitStack() as stack:
        server = _postgresql(stack)
        yield stack.enter_context(_orchestra(server.url)), _langgraph(stack, "postgresql", server.url)


@contextmanager
def _on_sqlite() -> Iterator[tuple[Contestant, Contestant | None]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestra-bench-")))
        ours = stack.enter_context(_orchestra(f"sqlite:///{folder}/bench.sqlite3"))
        yield ours, _langgraph(stack, "sqlite", str(folder / "peer.sqlite3"))


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


# --- waking ------------------------------------------------------------------------------------------------------------------------------


def wake_sqlite() -> Iterator[Figure]:
    """from a run's row to its first step on an idle engine in another process, on SQLite; and what that engine costs while idle"""
    with tempfile.TemporaryDirectory(prefix="orchestra-bench-") as folder:
        yield from _wakes("sqlite", {"ORCHESTRA_DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3"})


def wake_postgresql() -> Iterator[Figure]:
    """the same on PostgreSQL alone"""
    with ExitStack() as stack:
        yield from _wakes("postgresql", {"ORCHESTRA_DATABASE_URL": _postgresql(stack).url})


def wake_redis() -> Iterator[Figure]:
    """the same on PostgreSQL with Redis"""
    with ExitStack() as stack:
        try:
            redis = stack.enter_context(servers.redis_server())
        except servers.Unavailable as reason:
            raise Skipped(str(reason)) from reason
        yield from _wakes("redis", {"ORCHESTRA_DATABASE_URL": _postgresql(stack).url, "ORCHESTRA_REDIS_URL": redis.url})


def _wakes(name: str, environment: dict[str, str]) -> Iterator[Figure]:
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestra-bench-home-"))
        ours = stack.enter_context(started("orchestra", [sys.executable, HERE / "wakes.py"], {**environment, "ORCHESTRA_HOME": home}))
        ours.round(runs=3)  # its child interpreters and statements are made
        idle = ours.round(idle_s=IDLE_S)["percent"]
        yield figure(f"wake.{name}", ours.round(runs=WAKES)["p50_ms"], "ms")
    yield figure(f"wake.{name}.idle", idle, "% of a processor")


# --- the ledger ----------------------------------------------------------------------------------------------------------------------


def export_jsonl() -> Iterator[Figure]:
    """the whole ledger as JSON lines into a file, from PostgreSQL; nobody else's does the same"""
    with ExitStack() as stack:
        ours = stack.enter_context(_orchestra(_postgresql(stack).url))
        ours.round(way="entries", runs=ENTRIES)
        rates = interleaved(ROUNDS, {form: lambda form=form: ours.round(way="export", form=form)["rows_s"] for form in ("jsonl", "csv")})  # type: ignore[misc]
    for form, rate in rates.items():
        yield figure(f"export.{form}", rate, "rows/s")


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


# --- fan-out -------------------------------------------------------------------------------------------------------------------------


def audit_fanout() -> Iterator[Figure]:
    """the security audit's scanners at once, beside the slowest of them alone or all their work divided among the processors"""
    with tempfile.TemporaryDirectory(prefix="orchestra-bench-") as folder:
        environment = {"ORCHESTRA_HOME": folder}
        audits.prepare(environment)
        whole: list[float] = []

        def governed() -> float:
            scanning, run = audits.governed(environment, Path(folder, "report.md"))
            whole.append(run)
            return scanning

        medians = interleaved(3, {"orchestra": governed, "bound": audits.bound})
    yield figure("audit.fanout", medians["orchestra"], "s", "max(slowest scanner alone, processor time of all ÷ processors)", medians["bound"])
    yield figure("audit.fanout.run", statistics.median(whole[1:]), "s")


# --- the admin -----------------------------------------------------------------------------------------------------------------------


def admin_pages() -> Iterator[Figure]:
    """p50 and p95 of the pages of the admin over 100,000 runs and 1,000,000 entries, for an administrator and members of one and of three teams"""
    for name in ("sqlite", "postgresql"):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestra-bench-")))
            url = f"sqlite:///{folder}/bench.sqlite3" if name == "sqlite" else _postgresql(stack).url
            environment = {"ORCHESTRA_HOME": str(folder), "ORCHESTRA_DATABASE_URL": url, **_sizes()}
            pages = stack.enter_context(started("orchestra", [sys.executable, HERE / "admin_pages.py"], environment))
            for page, person in ((page, person) for page in pages.ready["pages"] for person in ("root", "member", "wide")):
                seen = pages.round(page=page, **{"as": person})
                for word in ("p50", "p95", "cpu"):
                    yield figure(f"admin.{name}.{page}.{person}.{word}", seen[f"{word}_ms"], "ms")


def _sizes() -> dict[str, str]:
    """Fewer rows, for who changes this: BENCH_RUNS, BENCH_ENTRIES."""
    return {name: os.environ[name] for name in ("BENCH_RUNS", "BENCH_ENTRIES") if name in os.environ}


ALL: dict[str, Measure] = {
    "runs3.postgresql": runs3_postgresql,
    "runs3.sqlite": runs3_sqlite,
    "runs3.children": runs3_children,
    "latency.single": latency_single,
    "wake.sqlite": wake_sqlite,
    "wake.postgresql": wake_postgresql,
    "wake.redis": wake_redis,
    "export.jsonl": export_jsonl,
    "call.function": call_function,
    "audit.fanout": audit_fanout,
    "admin.pages": admin_pages,
}
