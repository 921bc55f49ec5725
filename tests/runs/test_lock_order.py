"""Whoever takes the rows of several runs takes them in one order, so that none waits for another's next row. SQLite has no rows to lock."""

import contextlib
import random
import threading
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import pytest
from django.db import Error, connection, connections, transaction

from audit import clock
from runs import services, store, sweeps
from runs.engine import machine
from runs.errors import AlreadyFinished
from runs.models import Run
from runs.store import family
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

RUNS: Final = 24
TURNS: Final = 40
OWNER: Final = uuid4()
TTL: Final = timedelta(seconds=300)
PATIENCE_S: Final = 120.0


@pytest.fixture
def held(tmp_path: Path) -> list[store.Transition]:
    """The first transitions of runs that one worker holds. Their rows lie in the table the other way round than by id, and each second one is a
    child of the one after it: what takes rows as a plan meets them, or a run before those above it, takes them in another order."""
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL locks rows")
    steps = "- {id: one, agent: same, with: {}}"
    noop = agent("same", "x:y").replace("{python: x:y}", "{inline: noop}")
    pipelines.publish(tmp_path / "p", steps=steps, agents=[noop], functions="")
    for _ in range(RUNS):
        pipelines.start()
    loaded = sorted(store.load_rows(store.claim(owner=OWNER, ttl=TTL, limit=RUNS)), key=lambda each: each.run.id)
    moves = [(each, machine.begin(each.snapshot, clock.now())) for each in loaded]
    ids = [each.run.id for each in loaded]
    for child, parent in zip(ids[::2], ids[1::2], strict=True):
        Run.objects.filter(id=child).update(parent_run=parent, root_run=parent, parent_step="sub", depth=2)
    for run in reversed(ids):
        Run.objects.filter(id=run).update(checked_at=clock.now())
    return [store.Transition(each.run.id, "platform", each.seen, move, pipelines.SYSTEM) for each, move in moves]


def all_at_once(*uses: Callable[[random.Random], object]) -> list[Error]:
    """Each use of the database again and again in a thread of its own, all from one moment on; what the database said against it."""
    said: list[Error] = []
    together = threading.Barrier(len(uses))

    def again(use: Callable[[random.Random], object], chance: random.Random) -> None:
        together.wait(timeout=PATIENCE_S)
        try:
            for _ in range(TURNS):
                use(chance)
        except Error as error:
            error.add_note(traceback.format_exc())
            said.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=again, args=(use, random.Random(seed)), daemon=True) for seed, use in enumerate(uses)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"
    return said


def test_nobody_who_takes_several_runs_waits_for_anothers_next_row(held: list[store.Transition]) -> None:
    ids = [each.run for each in held]

    def some(chance: random.Random) -> list[UUID]:
        return chance.sample(ids, RUNS // 2)

    def commit(chance: random.Random) -> None:
        """Stale after the first time, and its rows are taken all the same."""
        store.commit(chance.sample(held, RUNS // 2))

    def release(chance: random.Random) -> None:
        store.release_lease(owner=OWNER, runs=some(chance))
        for run in ids:
            Run.objects.filter(id=run).update(lease_owner=OWNER, lease_until=clock.now() + TTL)

    def settle(chance: random.Random) -> None:
        services.settle_late(run=chance.choice(ids), team="platform", ends=(), actor=pipelines.SYSTEM)

    def answer(chance: random.Random) -> None:
        """As whoever answers several, or tells a run above of its end."""
        with transaction.atomic(durable=True):
            family.lock(some(chance))

    def cancel(chance: random.Random) -> None:
        with contextlib.suppress(AlreadyFinished):
            services.cancel_run(run=str(chance.choice(ids)), actor=pipelines.SYSTEM)

    said = all_at_once(
        commit,
        commit,
        lambda chance: store.heartbeat(owner=OWNER, ttl=TTL, runs=some(chance)),
        lambda chance: store.heartbeat(owner=OWNER, ttl=TTL, runs=ids),
        release,
        lambda chance: store.forfeit_lease(owner=OWNER),
        settle,
        answer,
        cancel,
        lambda chance: sweeps.check_integrity(),
    )
    assert not said, "\n".join([str(said[0]), *said[0].__notes__])
