"""Whoever takes the rows of several runs takes them in one order, so that none waits for another's next row. SQLite has no rows to lock."""

import contextlib
import random
import threading
import traceback
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import pytest
from django.db import Error, connection, connections, transaction

from audit import clock
from runs import services, store, sweeps
from runs.engine.commands import Fact, Move
from runs.engine.states import Verb
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
def ids(tmp_path: Path) -> list[UUID]:
    """Runs that one worker holds. Their rows lie in the table the other way round than by id, and each second one is a child of the one before
    it: what takes rows as a plan meets them, or a run before those above it, takes them in another order."""
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL locks rows")
    steps = "- {id: one, agent: same, with: {}}"
    noop = agent("same", "x:y").replace("{python: x:y}", "{inline: noop}")
    pipelines.publish(tmp_path / "p", steps=steps, agents=[noop], functions="")
    for _ in range(RUNS):
        pipelines.start()
    ids = sorted(run.id for run in store.claim(owner=OWNER, ttl=TTL, limit=RUNS))
    for parent, child in zip(ids[::2], ids[1::2], strict=True):
        Run.objects.filter(id=child).update(parent_run=parent, root_run=parent, parent_step="sub", depth=2)
    for run in reversed(ids):
        Run.objects.filter(id=run).update(checked_at=clock.now())
    return ids


def said(each: store.Loaded) -> store.Transition:
    """Something that changes nothing else."""
    move = Move(each.snapshot, facts=(Fact(Verb.RUN_RESUMED, each.run.subject),))
    return store.Transition(each.run.id, "platform", each.seen, move, pipelines.SYSTEM)


def all_at_once(*uses: Callable[[random.Random], object]) -> list[Error]:
    """Each use of the database again and again in a thread of its own, all from one moment on; what the database said against it."""
    against: list[Error] = []
    together = threading.Barrier(len(uses))

    def again(use: Callable[[random.Random], object], chance: random.Random) -> None:
        together.wait(timeout=PATIENCE_S)
        try:
            for _ in range(TURNS):
                use(chance)
        except Error as error:
            error.add_note(traceback.format_exc())
            against.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=again, args=(use, random.Random(seed)), daemon=True) for seed, use in enumerate(uses)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"
    return against


def some(ids: list[UUID], chance: random.Random) -> list[UUID]:
    return chance.sample(ids, RUNS // 2)


def commit(ids: list[UUID], chance: random.Random) -> None:
    """Something of each that lives, over what its row says by now; where another was quicker, a stale one takes its row all the same."""
    with connection.cursor() as cursor:
        cursor.execute("SET enable_nestloop = off; SET enable_mergejoin = off")  # a plan that meets rows as they lie, as for many runs
    live = [each for each in store.load(some(ids, chance)) if each.run.state != "finished"]
    store.commit([said(each) for each in live])


def release(ids: list[UUID], chance: random.Random) -> None:
    store.release_lease(owner=OWNER, runs=some(ids, chance))
    for run in ids:
        Run.objects.filter(id=run).update(lease_owner=OWNER, lease_until=clock.now() + TTL)


def settle(ids: list[UUID], chance: random.Random) -> None:
    services.settle_late(run=chance.choice(ids), team="platform", ends=(), actor=pipelines.SYSTEM)


def answer(ids: list[UUID], chance: random.Random) -> None:
    """As whoever answers several, or tells a run above of its end."""
    with transaction.atomic(durable=True):
        family.lock(some(ids, chance))


def cancel(ids: list[UUID], chance: random.Random) -> None:
    with contextlib.suppress(AlreadyFinished):
        services.cancel_run(run=str(chance.choice(ids)), actor=pipelines.SYSTEM)


def test_nobody_who_takes_several_runs_waits_for_anothers_next_row(ids: list[UUID]) -> None:
    against = all_at_once(
        *(partial(use, ids) for use in (commit, commit, release, settle, answer, cancel)),
        lambda chance: store.heartbeat(owner=OWNER, ttl=TTL, runs=some(ids, chance)),
        lambda chance: store.heartbeat(owner=OWNER, ttl=TTL, runs=ids),
        lambda chance: store.forfeit_lease(owner=OWNER),
        lambda chance: sweeps.check_integrity(),
    )
    assert not against, "\n".join([str(against[0]), *against[0].__notes__])
