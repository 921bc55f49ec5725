"""Where contestants run: private databases, and each contestant on the kind that it is measured on.

A peer whose environment can't be made here is left out, and stderr says so: ours is worth measuring all the same.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import environments
from contestants import Contestant, started
from figures import Skipped

from tests import servers

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody else's engine, and the ways in which its rounds may run besides `sequential` (word, what it means)."""

    contestant: Contestant
    ways: Mapping[str, str]


@contextmanager
def on_postgresql() -> Iterator[tuple[Contestant, list[Peer], int]]:
    """Ours, the peers, and the server's first process."""
    with ExitStack() as stack:
        server = postgresql(stack)
        yield stack.enter_context(orchestra(server.url)), peers_on(stack, "postgresql", server.url), server.process.pid


@contextmanager
def on_sqlite() -> Iterator[tuple[Contestant, list[Peer]]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestra-bench-")))
        ours = stack.enter_context(orchestra(f"sqlite:///{folder}/bench.sqlite3"))
        yield ours, peers_on(stack, "sqlite", str(folder / "peer.sqlite3"))


@contextmanager
def orchestra(url: str) -> Iterator[Contestant]:
    with ExitStack() as stack:
        yield stack.enter_context(started("orchestra", [sys.executable, HERE / "ours.py"], surroundings(stack, url)))


def surroundings(stack: ExitStack, url: str) -> dict[str, str]:
    """The environment of an Orchestra that has a home of its own and this database."""
    home = stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestra-bench-home-"))
    return {"ORCHESTRA_HOME": home, "ORCHESTRA_DATABASE_URL": url}


def postgresql(stack: ExitStack) -> servers.Server:
    try:
        return stack.enter_context(servers.postgresql(durable=True))
    except servers.Unavailable as reason:
        raise Skipped(str(reason)) from reason


def peers_on(stack: ExitStack, kind: str, where: str) -> list[Peer]:
    """Those that can be had, each with its tables in this database or beside it."""
    beside = where if kind == "postgresql" else f"{where}-dbos"
    return [peer for peer in (langgraph(stack, kind, where), dbos(stack, kind, beside)) if peer is not None]


def langgraph(stack: ExitStack, kind: str, where: str) -> Peer | None:
    ways = {"concurrent": "async, 20 in flight"} if kind == "postgresql" else {}
    return _peer(stack, "langgraph", "LangGraph", f"{kind}, durability=sync", [kind, where], ways)


def dbos(stack: ExitStack, kind: str, where: str) -> Peer | None:
    """On a database of its own file where that is SQLite; on PostgreSQL it makes one beside ours."""
    return _peer(stack, "dbos", "DBOS", kind, [kind, where], {"concurrent": "8 threads"})


def _peer(stack: ExitStack, package: str, name: str, said: str, arguments: list[str], ways: Mapping[str, str]) -> Peer | None:
    try:
        python = environments.python_of(package)
    except environments.Unavailable as reason:
        print(f"  without {name}: {reason}", file=sys.stderr)
        return None
    full = f"{name} {environments.version_of(package, package)} ({said})"
    return Peer(stack.enter_context(started(full, [python, HERE / "peers" / f"{package}_runs.py", *arguments], {})), ways)
