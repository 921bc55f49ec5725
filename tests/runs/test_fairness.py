"""Many runs and little room: whoever floods takes what the others leave."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from audit import clock
from runs import store
from runs.models import Run
from runs.store import fairness
from runs.store.fairness import Queue
from runs.worker import Engine, EngineOptions
from tests import pipelines
from tests.pipelines import agent

A, B = uuid4(), uuid4()
ONE, TWO, THREE = sorted(uuid4() for _ in range(3))
TTL = timedelta(seconds=30)


def test_teams_share_alike_whatever_they_have_queued() -> None:
    queues = [Queue(A, ONE, 0, 64), Queue(A, TWO, 0, 64), Queue(B, THREE, 0, 64)]
    assert fairness.shares(queues, {}, 8) == {ONE: 2, TWO: 2, THREE: 4}


def test_who_holds_much_already_waits() -> None:
    queues = [Queue(A, ONE, 0, 64), Queue(B, THREE, 0, 2)]
    assert fairness.shares(queues, {(A, ONE): 100}, 4) == {THREE: 2, ONE: 2}


def test_a_high_priority_goes_first_and_starves_nobody() -> None:
    queues = [Queue(A, ONE, 1, 64), Queue(A, TWO, 0, 64), Queue(A, THREE, -1, 64)]
    assert fairness.shares(queues, {}, 9 * 8 + 1) == {ONE: 64, TWO: 8, THREE: 1}


def test_no_more_is_taken_than_there_is() -> None:
    assert fairness.shares([Queue(A, ONE, 0, 2)], {}, 8) == {ONE: 2}
    assert fairness.shares([], {}, 8) == {}


@pytest.fixture
def two(tmp_path: Path) -> Callable[[int, int], tuple[UUID, UUID]]:
    """Runs of two pipelines, queued one after the other: first all of the flood, then the others."""

    def queued(flood: int, others: int) -> tuple[UUID, UUID]:
        keys: list[UUID] = []
        for name, count, more in (("flood", flood, ""), ("quiet", others, "")):
            steps = "- {id: one, agent: same, with: {}}"
            noop = agent("same", "x:y").replace("{python: x:y}", "{inline: noop}")
            pipelines.publish(tmp_path / name, name=name, steps=steps, agents=[noop], functions="", more=more)
            keys += [pipelines.start(name).pipeline_id for _ in range(count)]
        return keys[0], keys[-1]

    return queued


@pytest.mark.django_db(transaction=True)
def test_a_flood_leaves_the_others_their_places(two: Callable[[int, int], tuple[UUID, UUID]]) -> None:
    flood, quiet = two(20, 3)
    first = store.claim(owner=uuid4(), ttl=TTL, limit=8)
    assert Counter(run.pipeline_id for run in first) == {flood: 8}
    held = Counter((run.team_id, run.pipeline_id) for run in first)
    then = store.claim(owner=uuid4(), ttl=TTL, limit=4, held=held)
    assert Counter(run.pipeline_id for run in then) == {quiet: 3, flood: 1}


@pytest.mark.django_db(transaction=True)
def test_of_a_pipeline_runs_that_have_begun_come_before_those_that_have_not(two: Callable[[int, int], tuple[UUID, UUID]]) -> None:
    flood, _ = two(3, 0)
    begun = Run.objects.latest("created_at")
    Run.objects.filter(id=begun.id).update(state="running", lease_until=clock.now() - timedelta(seconds=1))
    assert [run.id for run in store.claim(owner=uuid4(), ttl=TTL, limit=1, held=Counter())] == [begun.id]
    assert Counter(run.pipeline_id for run in store.claim(owner=uuid4(), ttl=TTL, limit=9, held=Counter())) == {flood: 2}


@pytest.mark.django_db(transaction=True)
def test_a_flood_that_has_begun_leaves_the_others_their_places_too(two: Callable[[int, int], tuple[UUID, UUID]]) -> None:
    """As when a signal that many wait for comes to all of them, or many workers have died."""
    flood, quiet = two(20, 1)
    Run.objects.filter(pipeline=flood).update(state="running")
    assert Counter(run.pipeline_id for run in store.claim(owner=uuid4(), ttl=TTL, limit=8, held=Counter())) == {flood: 7, quiet: 1}


UNREADY: dict[str, dict[str, Any]] = {
    "leased": {"lease_until": clock.now() + timedelta(days=1)},
    "broken": {"integrity": "broken"},
    "of another engine": {"engine_abi": 999},
    "over": {"deadline_at": clock.now() - timedelta(days=1)},
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", UNREADY.values(), ids=UNREADY.keys())
def test_runs_that_nobody_can_take_are_given_no_room(two: Callable[[int, int], tuple[UUID, UUID]], change: dict[str, Any]) -> None:
    flood, quiet = two(4, 4)
    Run.objects.filter(pipeline=flood).update(**change)
    assert Counter(run.pipeline_id for run in store.claim(owner=uuid4(), ttl=TTL, limit=4, held=Counter())) == {quiet: 4}


@pytest.mark.django_db(transaction=True)
def test_who_is_first_in_a_queue_is_the_first_that_can_be_taken(two: Callable[[int, int], tuple[UUID, UUID]]) -> None:
    """Its priority is that of its pipeline's turn."""
    flood, quiet = two(3, 2)
    first, second, _ = Run.objects.filter(pipeline=flood).order_by("created_at")
    Run.objects.filter(id=first.id).update(priority=1, integrity="broken")
    taken = store.claim(owner=uuid4(), ttl=TTL, limit=2, held=Counter())
    assert Counter(run.pipeline_id for run in taken) == {flood: 1, quiet: 1}
    assert second in taken


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("held", [None, Counter[fairness.Place]()], ids=["room for all", "crowded"])
def test_runs_that_were_claimed_in_vain_are_taken_apart_from_the_others(
    two: Callable[[int, int], tuple[UUID, UUID]], held: Counter[fairness.Place] | None
) -> None:
    """One of them may be what kills workers: the others must not be lost with it."""
    flood, _ = two(16, 2)
    ids = list(Run.objects.filter(pipeline=flood).order_by("created_at").values_list("id", flat=True))
    Run.objects.filter(id__in=ids[:3]).update(attempt=4, state="running")
    Run.objects.filter(id__in=ids[3:14]).update(attempt=3, state="running")
    owner = uuid4()

    def claimed(*driven: Run, limit: int = 100, ago: timedelta = timedelta(0)) -> list[Run]:
        """And how it has been with what it drives: taken so long ago, without progress."""
        taken = [(run.attempt, run.lease_until and run.lease_until - ago) for run in driven]
        return store.claim(owner=owner, ttl=TTL, limit=limit, held=held, driven=taken)

    alone = claimed()
    assert [run.attempt for run in alone] == [5] and claimed(*alone) == []
    named = next(run.id for run in Run.objects.filter(state="queued"))  # whoever drives one run in a process of its own waits for what is below it
    assert [run.id for run in store.claim(owner=owner, ttl=TTL, limit=9, only={named}, driven=[(5, alone[0].lease_until)])] == [named]
    Run.objects.filter(id=named).update(attempt=0, lease_until=None, lease_owner=None)
    longer = claimed(*alone, ago=2 * TTL)  # it hasn't killed its worker: it has a long call
    assert [run.attempt for run in longer] == [5]
    Run.objects.filter(attempt=4).update(lease_until=clock.now() + timedelta(hours=1))  # the third one of them is somebody else's
    few = claimed(limit=10)
    assert Counter(run.attempt for run in few) == {4: store.TOGETHER, 1: 2}
    assert Counter(run.attempt for run in claimed(*few)) == {1: 2}
    assert Counter(run.attempt for run in claimed(*few, ago=2 * TTL, limit=1)) == {4: 1}


@pytest.mark.django_db(transaction=True)
def test_what_kills_its_worker_again_and_again_ends_and_takes_no_other_with_it(two: Callable[[int, int], tuple[UUID, UUID]]) -> None:
    flood, _ = two(12, 1)
    poison = Run.objects.filter(pipeline=flood).earliest("created_at").id
    for _ in range(40):
        owner = uuid4()
        taken = {run.id for run in store.claim(owner=owner, ttl=TTL, limit=100)}
        Run.objects.filter(id__in=taken).update(state="running")
        if poison not in taken:  # what is taken without it gets on, unless it is killed with the rest
            Run.objects.filter(id__in=taken).update(attempt=0, lease_until=clock.now() + timedelta(hours=1))
        elif Run.objects.get(id=poison).attempt > store.MAX_ATTEMPTS:
            break
        else:
            store.forfeit_lease(owner=owner)
    assert max(Run.objects.exclude(id=poison).values_list("attempt", flat=True)) < store.MAX_ATTEMPTS


@pytest.mark.django_db(transaction=True)
def test_a_run_of_high_priority_is_done_before_a_flood_that_was_claimed_with_it(tmp_path: Path) -> None:
    """There is room for all of them to be driven, and one child for their functions."""
    work = "import time\n\ndef run() -> dict:\n    time.sleep(0.05)\n    return {}\n"
    for name, priority in (("flood", "low"), ("urgent", "high")):
        steps = f"- {{id: one, agent: {name}-worker, with: {{}}}}"
        agents = [agent(f"{name}-worker", "work:run")]
        pipelines.publish(tmp_path / name, name=name, steps=steps, agents=agents, functions=work, more=f"priority: {priority}")
    flood = [pipelines.start("flood").id for _ in range(12)]
    urgent = pipelines.start("urgent").id
    asyncio.run(Engine(EngineOptions(children=1, idle_s=0.5)).run())
    ended = list(Run.objects.filter(outcome="verified").order_by("finished_at").values_list("id", flat=True))
    assert len(ended) == 13 and ended.index(urgent) < len(flood) // 2
