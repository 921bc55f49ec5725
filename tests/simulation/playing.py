"""Puts the world in the place of clocks, threads and adapters, and plays seeds; says what a failing one needs to be seen again.

Called by the tests and the command line of this package.
"""

import asyncio
import functools
import logging
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock
from uuid import UUID

from django.contrib.auth.models import User

from agents import stops
from agents.models import Agent, Pipeline, Release, Team, Version
from audit import bulk, canonical, identity
from runs.adapters import commands
from runs.boundary import Boundary
from tests.runs.engine.factories import AT
from tests.simulation import outside, scenarios
from tests.simulation.database import Database, kept, restore, simulated
from tests.simulation.doors import DECIDERS
from tests.simulation.invariants import Broken
from tests.simulation.scenarios import Scenario, scenario
from tests.simulation.world import World


@dataclass(frozen=True)
class Played:
    """`invariant` is empty where everything held."""

    seed: int
    profile: str
    invariant: str = ""
    said: str = ""
    commits: int = 0
    outcomes: tuple[str, ...] = ()


class Simulation:
    """Made once per process; plays any number of seeds. Inside `simulating` only."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.world: World | None = None
        _furnish()
        self.template = kept(database)

    def play(self, seed: int) -> Played:
        laid_out = scenario(seed)
        restore(self.database, self.template)
        self._reset(seed)
        _publish(laid_out)
        world = self.world = World(laid_out, self.database)
        self.database.fate = world
        try:
            world.play()
        except Broken as broken:
            return Played(seed, laid_out.profile, broken.invariant, _said(broken))
        outcomes = tuple(f"{row['outcome']} {row['failure_cause']}".strip() for row in world.watch.runs.values())
        return Played(seed, laid_out.profile, commits=world.commits, outcomes=outcomes)

    @staticmethod
    def _reset(seed: int) -> None:
        random.seed(seed)  # the jitter of retries
        identity._last = 0
        identity._chance.clear()  # it is fetched many bytes ahead
        _ids.seed(seed)


_ids = random.Random()


@contextmanager
def simulating() -> Iterator[Simulation]:
    with ExitStack() as stack:
        simulation = Simulation(stack.enter_context(simulated()))

        def world() -> World:
            assert simulation.world is not None
            return simulation.world

        for target, value in _replaced(world).items():
            stack.enter_context(mock.patch(target, value))
        stack.enter_context(mock.patch("audit.bulk.statement", _interruptible(bulk.statement, simulation)))
        for name in ("call_function", "call_command", "fetch", "ask_model"):
            stack.enter_context(mock.patch.object(Boundary, name, _asking(getattr(Boundary, name))))
        disabled = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        stack.callback(logging.disable, disabled)
        yield simulation


def _replaced(world: Any) -> dict[str, Any]:
    """The seams, by name: clocks, chance, threads, adapters; and spans that are long or often over, only to save time."""
    nanoseconds = SimpleNamespace(time_ns=lambda: round(world().now().timestamp() * 1e9))
    return {
        "audit.clock.now": lambda: world().now(),
        "audit.identity.time": nanoseconds,
        "audit.identity.os": SimpleNamespace(urandom=_ids.randbytes),
        "runs.worker.engine.time": SimpleNamespace(monotonic=lambda: world().seconds),
        "runs.worker.engine.CLAIM_S": 1.0,
        "runs.worker.engine.LOOK_S": 1.0,
        "runs.worker.engine.SWEEP_S": 3.0,
        "runs.worker.presence.announce": lambda engine, **more: None,
        "runs.worker.presence.beat": lambda engine, **more: None,
        "runs.worker.presence.leave": lambda engine: None,
        "runs.sweeps.fit_engines": lambda: None,  # every release here is one of these engines
        "runs.bell.listen": _deaf,
        "runs.bell.ring": lambda run: _ring(world()),
        "runs.engine.patterns.waits.UNRESOLVED_FOR": timedelta(seconds=25),
        "runs.engine.patterns.waits.STOPPED_FOR": timedelta(seconds=25),
        "runs.services.halting.STOPPED_FOR": timedelta(seconds=25),
        "runs.engine.looking.BACKOFF_MS": 500,
        "agents.spec.policies.DEFAULT_WITHIN_MS": 6_000,
        "runs.queue.ring": lambda run: _ring(world()),
        "runs.store.committer.threads": lambda: world().scenario.committers,  # in a running loop Django would ask the suite's own database
        "runs.store.committer._close_own_connection": lambda together: None,
        "runs.performers.unpacked": lambda digests: dict.fromkeys([*digests, None], Path("/")),
        "runs.adapters.children.Pool": lambda size, hidden: outside.Pool(size, lambda: world().outside),
        "runs.adapters.commands.call": _command,
        "runs.adapters.http.fetch": lambda asked, may: outside.fetch(world().outside, asked),
        "runs.adapters.models.Scripted": lambda: outside.Provider(lambda: world().outside),
    }


def _interruptible(statement: Any, simulation: Simulation) -> Any:
    @functools.wraps(statement)
    def read(sql: str, parameters: Any, **more: Any) -> Any:
        alone = sql is stops._GENERATION  # one number, read before everything that it is of: others go on between the two anyway
        if simulation.database.fate is not None and not simulation.database.in_atomic_block and not alone:
            simulation.database.fate.between_reads()
        return statement(sql, parameters, **more)

    return read


async def _deaf(heard: Any) -> None:
    """Bells are rung and lost by the world's doors."""
    await asyncio.Event().wait()


def _ring(world: World) -> None:
    world.doors.ring()


async def _command(children: Any, job: Any, *, argv: Any, timeout_s: float, progress_timeout_s: float | None, on_progress: Any, may_go: Any) -> Any:
    return await children.call(
        job, timeout_s=timeout_s, progress_timeout_s=progress_timeout_s, on_call=commands._no_calls, on_progress=on_progress, may_go=may_go
    )


def _asking(method: Any) -> Any:
    """The boundary's method, with a note of whose call it carries out: adapters are not told."""

    @functools.wraps(method)
    async def noted(self: Any, request: Any, **more: Any) -> Any:
        token = outside.asking.set(request)
        try:
            return await method(self, request, **more)
        finally:
            outside.asking.reset(token)

    return noted


PERMISSIONS = ["allow read *", "allow call *", "require_approval write deploy:*"]


def _furnish() -> None:
    """With ids of its own making: rows are read in their order, and whose children are quick is drawn by them."""
    ids = (UUID(int=number) for number in count(1))
    team = Team.objects.create(id=next(ids), name="lines", created_at=AT)
    team.members.add(*User.objects.bulk_create([User(username=who.id, password="!") for who in DECIDERS]))
    for name in scenarios.NAMES:
        row = Agent(id=next(ids), name=name, team=team, role="gather", state="active", created_at=AT, permissions=PERMISSIONS)
        row.save()
    for name in (*scenarios.LINES, *scenarios.PARTS):
        pipeline = Pipeline.objects.create(id=next(ids), name=name, team=team, state="active", created_at=AT)
        Version.objects.create(id=next(ids), pipeline=pipeline, number=1, spec={}, digest="0" * 64, author="test", created_at=AT)


def _publish(laid_out: Scenario) -> None:
    """A release of its own for each pipeline of a seed: what is kept per release is kept beyond a seed."""
    for number, (name, manifest) in enumerate(laid_out.manifests.items()):
        pipeline = Pipeline.objects.get(name=name)
        version = Version.objects.get(pipeline=pipeline)
        release = UUID(int=(laid_out.seed + 1) * len((*scenarios.LINES, *scenarios.PARTS)) + number)
        digest = canonical.digest(manifest)
        Release.objects.bulk_create([Release(id=release, digest=digest, pipeline=pipeline, version=version, manifest=manifest, created_at=AT)])
        Pipeline.objects.filter(id=pipeline.id).update(current_release=release)


def _said(broken: Broken) -> str:
    again = f"python -m tests.simulation --first {broken.seed} --seeds 1"
    return f'seed {broken.seed} breaks "{broken.invariant}": {broken.what}\n' + "\n".join(broken.trace) + f"\nPlay it again: {again}"
