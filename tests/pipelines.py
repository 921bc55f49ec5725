"""Small real pipelines for tests: a folder with agents, functions and a verifier, published, and runs of it driven to their end."""

import asyncio
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

from agents import registry
from audit.actors import Actor
from runs import services
from runs.models import Run
from runs.worker import Engine, EngineOptions, Event

SYSTEM = Actor.system("test")

JUDGE = """
import hashlib, json
from datetime import UTC, datetime
import orchestra

def check(claim: dict) -> orchestra.Verdict:
    digest = hashlib.sha256(json.dumps(claim, sort_keys=True).encode()).hexdigest()
    read = [orchestra.Source(source="claim", digest=digest, at=datetime.now(UTC))]
    word = "fail" if claim.get("lie") else "inconclusive" if claim.get("unclear") else "pass"
    return orchestra.Verdict(checks=[orchestra.Check(criterion="honest", verdict=word, why="looked at it", read=read)])
"""

ANY = "{type: object}"


def agent(name: str, function: str, *, role: str = "decide", timeout: str = "20s", more: str = "") -> str:
    """An agent whose contracts are any object, so that a test says only what it is about."""
    contracts = "" if role == "check" else f"\ninput: {ANY}\noutput: {ANY}"
    lines = f"kind: agent\nname: {name}\nteam: platform\nrole: {role}\npurpose: Test.\nrun: {{python: {function}}}\ntimeout: {timeout}{contracts}"
    return lines + ("\n" + textwrap.dedent(more).strip() if more else "")


def folder(path: Path, *, steps: str, agents: list[str], functions: str, name: str = "sample", more: str = "", verify: str = "") -> Path:
    """Write a pipeline `name` of team platform with the given steps; `functions` is work.py, the verifier is judge.py."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "work.py").write_text(textwrap.dedent(functions), encoding="utf-8")
    (path / "judge.py").write_text(JUDGE, encoding="utf-8")
    pipeline = f"kind: pipeline\nname: {name}\nteam: platform\ninput: {ANY}\nsteps:\n{textwrap.indent(textwrap.dedent(steps).strip(), '  ')}\n"
    pipeline += (verify or "verify: {agent: judge, with: {claim: =result}}") + "\n" + textwrap.dedent(more)
    judge = "kind: agent\nname: judge\nteam: platform\nrole: check\npurpose: Judge.\nrun: {python: judge:check}\ntimeout: 20s"
    documents = ["kind: team\nname: platform", *agents, judge, pipeline]
    (path / "pipeline.yaml").write_text("\n---\n".join(documents), encoding="utf-8")
    return path


def publish(path: Path, **parts: Any) -> None:
    registry.apply_folder(folder(path, **parts), actor=SYSTEM, publish=True)


def start(name: str = "sample", **options: Any) -> Run:
    return services.start_run(pipeline=name, input=options.pop("input", {}), actor=SYSTEM, ring=False, **options)


def drive(run: Run, listener: Callable[[Event], None] = lambda _: None, **options: Any) -> dict[str, Any]:
    """Drive one run in this process to its end and return its document."""
    asyncio.run(Engine(EngineOptions(only=frozenset({run.id}), listener=listener, **{"children": 2, **options})).run())
    return document(run)


@asynccontextmanager
async def at_work(run: Run, *, at: str | Callable[[], bool] = "progress", **options: Any) -> AsyncIterator[tuple[Engine, "asyncio.Task[None]"]]:
    """An engine that drives the run and has told `at` (a verb, or "progress"), or for which `at` holds; and its task."""
    told: list[str] = []
    engine = Engine(EngineOptions(only=frozenset({run.id}), listener=lambda event: told.append(event.verb), **{"children": 2, **options}))
    driving = asyncio.create_task(engine.run())
    async with asyncio.timeout(20):
        while not (at in told if isinstance(at, str) else at()):  # noqa: ASYNC110 - it happens in a child or in another thread
            await asyncio.sleep(0.01)
    try:
        yield engine, driving
    finally:
        driving.cancel()
        await asyncio.gather(driving, return_exceptions=True)


def crash(run: Run, *, at: str | Callable[[], bool]) -> None:
    """Drive a run up to there and vanish as kill -9 would: nothing is written or given back. The lease has then run out."""

    async def vanish() -> None:
        async with at_work(run, at=at):
            pass

    with mock.patch("runs.store.release_lease"):
        asyncio.run(vanish())
    Run.objects.filter(id=run.id).update(lease_until=None)


def document(run: Run) -> dict[str, Any]:
    return services.run_document(services.find_run(str(run.id), actor=SYSTEM), actor=SYSTEM)


def run(name: str = "sample", **options: Any) -> dict[str, Any]:
    return drive(start(name, **options))


def step(said: dict[str, Any], key: str) -> dict[str, Any]:
    return next(each for each in said["steps"] if each["key"] == key)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def id_of(said: dict[str, Any]) -> UUID:
    return UUID(said["id"])
