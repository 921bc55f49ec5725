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
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import audits
import processes
import scale
from contestants import Contestant, interleaved, started
from figures import Figure, Measure, Skipped, figure
from places import Peer, on_postgresql, on_sqlite, orchestra, peers_on, postgresql

from tests import servers

HERE = Path(__file__).resolve().parent
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
RUNS = 300
SINGLES = 50
CALLS = 100
ENTRIES = 200_000
WAKES = 40
IDLE_S = 20
CHILDREN = 2 * (os.cpu_count() or 1)  # as many as an engine has by default

# --- three-step runs -----------------------------------------------------------------------------------------------------------------


def runs3_postgresql() -> Iterator[Figure]:
    """three inline no-op steps on PostgreSQL, started by twenty threads and by one, beside LangGraph and DBOS; and what a run costs each of them"""
    processes.require_proc()
    costs: dict[str, list[float]] = {}
    with on_postgresql() as (ours, peers, server):
        mine = {f"{number} doors": _batch(ours, "bench-inline", doors=number) for number in (20, 1)}
        tries = {way: _costed(way, attempt, [ours.pid, server], costs) for way, attempt in mine.items()}
        for peer in peers:
            tries |= {way: _costed(way, attempt, [peer.contestant.pid, server], costs) for way, attempt in _rates([peer]).items()}
        rates = interleaved(ROUNDS, tries)
    yield from _beside("runs3.postgresql", rates, "20 doors", peers)
    yield from _beside("runs3.postgresql.one", rates, "1 doors", peers)
    used = {way: statistics.median(values[1:]) for way, values in costs.items()}
    for way in sorted(tries.keys() - mine.keys()):
        yield figure("runs3.postgresql.cpu", used["20 doors"], "ms", way, used[way])


def _costed(way: str, attempt: Callable[[], float], used: list[int], costs: dict[str, list[float]]) -> Callable[[], float]:
    """The attempt, and for each of its runs the milliseconds of processor time that these processes took."""

    def tried() -> float:
        before = sum(map(processes.cpu_s, used))
        value = attempt()
        costs.setdefault(way, []).append((sum(map(processes.cpu_s, used)) - before) / RUNS * 1000)
        return value

    return tried


def runs3_apart() -> Iterator[Figure]:
    """three inline no-op steps on PostgreSQL as they are served: twenty threads of a process start them, one engine process carries them out"""
    with scale.house("inline") as made, ExitStack() as stack:
        peers = peers_on(stack, "postgresql", made.environment["ORCHESTRA_DATABASE_URL"])
        apart = {"apart": lambda: RUNS / made.runs("bench-inline", RUNS, {"value": 1}, doors=20)["seconds"]}
        rates = interleaved(ROUNDS, apart | _rates(peers))
    yield from _beside("runs3.apart", rates, "apart", peers)


def runs3_children() -> Iterator[Figure]:
    """three Python functions in child interpreters on PostgreSQL, beside LangGraph with its nodes in child processes, and in its own"""
    with on_postgresql() as (ours, peers, _):
        langgraph = [peer for peer in peers if peer.contestant.name.startswith("LangGraph")]
        there = _rates(langgraph, children=CHILDREN)
        rates = interleaved(ROUNDS, {"children": _batch(ours, "bench-functions", doors=20)} | there | _rates(langgraph))
    yield from _beside("runs3.children", rates, "children", langgraph, ways=there)
    yield from _beside("runs3.children.inprocess", rates, "children", langgraph)


def runs3_sqlite() -> Iterator[Figure]:
    """three inline no-op steps on SQLite, beside LangGraph with its SQLite saver and DBOS on SQLite"""
    with on_sqlite() as (ours, peers):
        mine = {f"{number} doors": _batch(ours, "bench-inline", doors=number) for number in (20, 1)}
        rates = interleaved(ROUNDS, mine | _rates(peers))
    yield from _beside("runs3.sqlite", rates, "20 doors", peers)
    yield from _beside("runs3.sqlite.one", rates, "1 doors", peers)


def latency_single_sqlite() -> Iterator[Figure]:
    """one run of three inline steps on a warm engine that has nothing else to do, from its start to its end, on SQLite"""
    with on_sqlite() as (ours, peers):
        yield from _alone("latency.single.sqlite", ours, peers)


def latency_single_postgresql() -> Iterator[Figure]:
    """the same on PostgreSQL"""
    with on_postgresql() as (ours, peers, _):
        yield from _alone("latency.single.postgresql", ours, peers)


def _alone(name: str, ours: Contestant, peers: list[Peer]) -> Iterator[Figure]:
    def median(contestant: Contestant, **asked: Any) -> Callable[[], float]:
        return lambda: contestant.round(runs=SINGLES, **asked)["p50_ms"]

    there = {f"{peer.contestant.name}, one thread": median(peer.contestant, way="sequential") for peer in peers}
    alone = interleaved(ROUNDS, {"orchestra": median(ours, way="single", pipeline="bench-inline")} | there)
    fastest = min(there, key=lambda way: alone[way], default=None)
    yield figure(name, alone["orchestra"], "ms", fastest, None if fastest is None else alone[fastest])


def _batch(ours: Contestant, pipeline: str, *, doors: int) -> Callable[[], float]:
    """Runs a second, whole lives in batches."""
    return lambda: RUNS / ours.round(way="batch", pipeline=pipeline, runs=RUNS, doors=doors)["seconds"]


def _rates(peers: Iterable[Peer], *, children: int = 0) -> dict[str, Callable[[], float]]:
    """Runs a second of each peer in each of its ways; it is measured by its best."""
    more = {"children": children} if children else {}
    where = f", nodes in {children} child processes" if children else ""
    return {
        f"{peer.contestant.name}, {said}{where}": lambda peer=peer, way=way: RUNS / peer.contestant.round(way=way, runs=RUNS, **more)["seconds"]  # type: ignore[misc]
        for peer in peers
        for way, said in ({"sequential": "one thread"} | dict(peer.ways)).items()
    }


def _beside(name: str, rates: Mapping[str, float], ours: str, peers: list[Peer], ways: Iterable[str] | None = None) -> Iterator[Figure]:
    """Ours beside the fastest of them, and then beside each of the others."""
    mine = [max(_of(peer, rates if ways is None else ways), key=lambda way: rates[way]) for peer in peers]
    best = sorted(mine, key=lambda way: rates[way], reverse=True)
    if not best:
        yield figure(name, rates[ours], "runs/s")
    for place, way in enumerate(best):
        yield figure(name if place == 0 else f"{name}.slower", rates[ours], "runs/s", way, rates[way])


def _of(peer: Peer, ways: Iterable[str]) -> list[str]:
    inside = "child processes"
    named = [way for way in ways if way.startswith(peer.contestant.name)]
    return [way for way in named if inside not in way] or [way for way in named if inside in way]


# --- waking ------------------------------------------------------------------------------------------------------------------------------


def wake_sqlite() -> Iterator[Figure]:
    """from a run's row to its first step on an idle engine in another process, on SQLite; and what that engine costs while idle"""
    with tempfile.TemporaryDirectory(prefix="orchestra-bench-") as folder:
        yield from _wakes("sqlite", {"ORCHESTRA_DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3"})


def wake_postgresql() -> Iterator[Figure]:
    """the same on PostgreSQL alone"""
    with ExitStack() as stack:
        yield from _wakes("postgresql", {"ORCHESTRA_DATABASE_URL": postgresql(stack).url})


def wake_redis() -> Iterator[Figure]:
    """the same on PostgreSQL with Redis"""
    with ExitStack() as stack:
        try:
            redis = stack.enter_context(servers.redis_server())
        except servers.Unavailable as reason:
            raise Skipped(str(reason)) from reason
        yield from _wakes("redis", {"ORCHESTRA_DATABASE_URL": postgresql(stack).url, "ORCHESTRA_REDIS_URL": redis.url})


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
        ours = stack.enter_context(orchestra(postgresql(stack).url))
        ours.round(way="entries", runs=ENTRIES)
        rates = interleaved(ROUNDS, {form: lambda form=form: ours.round(way="export", form=form)["rows_s"] for form in ("jsonl", "csv")})  # type: ignore[misc]
    for form, rate in rates.items():
        yield figure(f"export.{form}", rate, "rows/s")


# --- function calls ------------------------------------------------------------------------------------------------------------------


def call_function() -> Iterator[Figure]:
    """one call of a function through a warm child, beside starting an interpreter for it"""
    with tempfile.TemporaryDirectory(prefix="orchestra-bench-") as folder, orchestra(f"sqlite:///{folder}/bench.sqlite3") as ours:
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


# --- what it takes to decide ---------------------------------------------------------------------------------------------------------


def grants_decide() -> Iterator[Figure]:
    """decisions a second over an agent with a thousand permissions, without conditions and with one at each"""
    took = _deciding()
    yield figure("grants.decide", 1 / took["plain"], "1/s")
    yield figure("grants.decide.condition", 1 / took["condition"], "1/s")


def boundary_call() -> Iterator[Figure]:
    """what the boundary's stages take for one call in this process, its permissions ten or a thousand, and for one that uses none"""
    took = _deciding()
    for held in ("few", "many", "bare"):
        yield figure(f"boundary.call.{held}", took[f"admit.{held}"] * 1_000_000, "us")


def _deciding() -> dict[str, float]:
    """In a process of its own: the boundary needs Django, and this one has none."""
    with tempfile.TemporaryDirectory(prefix="orchestra-bench-") as folder:
        environment = {**os.environ, "ORCHESTRA_HOME": folder}
        done = subprocess.run([sys.executable, str(HERE / "deciding.py")], env=environment, capture_output=True, text=True, check=True)
    took: dict[str, float] = json.loads(done.stdout)
    return took


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
    """p50 and p95 of the admin's pages over 100,000 runs, 1,000,000 entries and 10,000 waits, for an administrator and members of teams"""
    return _pages("admin", HERE / "admin_pages.py")


def inbox() -> Iterator[Figure]:
    """p50 and p95 of what waits for people's yes, in the admin and over REST, with 100,000 open requests and as many that are over"""
    return _pages("inbox", HERE / "inbox.py")


def _pages(what: str, contestant: Path) -> Iterator[Figure]:
    for name in ("sqlite", "postgresql"):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestra-bench-")))
            url = f"sqlite:///{folder}/bench.sqlite3" if name == "sqlite" else postgresql(stack).url
            environment = {"ORCHESTRA_HOME": str(folder), "ORCHESTRA_DATABASE_URL": url, **_sizes()}
            pages = stack.enter_context(started("orchestra", [sys.executable, contestant], environment))
            for page, person in pages.first["asked"]:
                seen = pages.round(page=page, **{"as": person})
                for word in ("p50", "p95", "cpu"):
                    yield figure(f"{what}.{name}.{page}.{person}.{word}", seen[f"{word}_ms"], "ms")


def _sizes() -> dict[str, str]:
    """Fewer rows, for who changes this: BENCH_RUNS, BENCH_ENTRIES, BENCH_WAITS, BENCH_REQUESTS."""
    names = ("BENCH_RUNS", "BENCH_ENTRIES", "BENCH_WAITS", "BENCH_REQUESTS")
    return {name: os.environ[name] for name in names if name in os.environ}


ALL: dict[str, Measure] = {
    "runs3.postgresql": runs3_postgresql,
    "runs3.apart": runs3_apart,
    "runs3.sqlite": runs3_sqlite,
    "runs3.children": runs3_children,
    "wake.sqlite": wake_sqlite,
    "wake.postgresql": wake_postgresql,
    "wake.redis": wake_redis,
    "latency.single.postgresql": latency_single_postgresql,
    "latency.single.sqlite": latency_single_sqlite,
    "inflight1000": scale.inflight,
    "model1000": scale.inflight_model,
    "flat.steps": scale.flat_steps,
    "flat.rows": scale.flat_rows,
    "engines.two": scale.engines_two,
    "export.jsonl": export_jsonl,
    "call.function": call_function,
    "grants.decide": grants_decide,
    "boundary.call": boundary_call,
    "audit.fanout": audit_fanout,
    "admin.pages": admin_pages,
    "inbox": inbox,
}
