"""Transitions that are ready together are written together, and none suffers for another."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection

from audit import clock, reports
from runs import store
from runs.engine import machine
from runs.engine.commands import Fact
from runs.engine.states import Verb
from runs.models import Run
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

TTL = timedelta(seconds=30)


@pytest.fixture
def begun(tmp_path: Path) -> list[store.Transition]:
    """The first transitions of five runs, decided and not written."""
    functions = "def run(**_) -> dict:\n    return {}\n"
    pipelines.publish(tmp_path / "p", functions=functions, agents=[agent("worker", "work:run")], steps="- {id: work, agent: worker}")
    for _ in range(5):
        pipelines.start()
    loaded = store.load_rows(store.claim(owner=uuid4(), ttl=TTL, limit=5))
    moves = [(each, machine.begin(each.snapshot, clock.now())) for each in loaded]
    return [store.Transition(each.run.id, "platform", each.seen, move, pipelines.SYSTEM) for each, move in moves]


def committed(transitions: list[store.Transition]) -> list[object]:
    async def together() -> list[object]:
        committer = store.Committer()
        try:
            return await asyncio.gather(*(committer.commit(each) for each in transitions), return_exceptions=True)
        finally:
            await committer.close()

    return asyncio.run(together())


def test_what_is_ready_together_is_written_in_one_group(begun: list[store.Transition], monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr("runs.store.committer.commit", lambda batch: sizes.append(len(batch)) or store.commit(batch))
    answers = committed(begun)
    assert all(isinstance(answer, store.Committed) for answer in answers)
    assert sizes == [5]
    assert set(Run.objects.values_list("state", "seq")) == {("running", 3)}


def test_what_nobody_waits_for_any_more_is_not_written(begun: list[store.Transition]) -> None:
    """Its driver was abandoned; another one of the same run may write beside it."""

    async def abandoned() -> object:
        committer = store.Committer()
        driver = asyncio.create_task(committer.commit(begun[0]))
        await asyncio.sleep(0)
        driver.cancel()
        try:
            return await committer.commit(begun[1])
        finally:
            await committer.close()

    assert isinstance(asyncio.run(abandoned()), store.Committed)
    assert dict(Run.objects.filter(id__in=[begun[0].run, begun[1].run]).values_list("id", "state")) == {
        begun[0].run: "queued",
        begun[1].run: "running",
    }


def poisoned(transition: store.Transition, fact: Fact) -> store.Transition:
    return replace(transition, move=replace(transition.move, facts=(*transition.move.facts, fact)))


def unwritable(transition: store.Transition) -> store.Transition:
    return poisoned(transition, Fact(Verb.CALL_RESENT, "x" * 500))


def taken_place(transition: store.Transition) -> store.Transition:
    """Its step exists already: the insert breaks a constraint."""
    step = transition.move.opened[0]
    Run.objects.get(id=transition.run).steps.create(
        key=step.key, node="work", agent="worker", version=1, state="failed", started_at=step.started_at, deadline_at=step.deadline_at
    )
    return transition


@pytest.mark.parametrize(("poison", "error"), [(unwritable, Exception), (taken_place, IntegrityError)])
def test_a_poisoned_neighbour_fails_alone(
    begun: list[store.Transition], poison: Callable[[store.Transition], store.Transition], error: type[Exception]
) -> None:
    begun[2] = poison(begun[2])
    answers = committed(begun)
    assert isinstance(answers.pop(2), error)
    assert all(isinstance(answer, store.Committed) for answer in answers)
    assert Run.objects.filter(state="running").count() == 4
    assert all(reports.chain_problems(run) == [] for run in Run.objects.values_list("id", flat=True))


def test_a_stale_neighbour_is_left_out_and_told_so(begun: list[store.Transition]) -> None:
    Run.objects.filter(id=begun[1].run).update(revision=7)
    Run.objects.filter(id=begun[3].run).update(revision=7, fence=7)
    answers = committed(begun)
    assert [answers[1], answers[3]] == [store.Stale(lost=False), store.Stale(lost=True)]
    assert Run.objects.filter(state="running").count() == 3


def test_a_finished_run_is_never_moved(begun: list[store.Transition]) -> None:
    Run.objects.filter(id=begun[0].run).update(state="finished", outcome="failed")
    assert committed(begun[:1]) == [store.Stale(lost=False)]


def test_a_commit_that_comes_as_the_last_flush_ends_is_not_forgotten(begun: list[store.Transition]) -> None:
    """Whoever is answered asks for the next at once, in the same turn of the loop in which the flush ends."""

    async def one_after_another() -> None:
        committer = store.Committer()
        try:
            for transition in begun:
                await asyncio.wait_for(committer.commit(transition), 5)
        finally:
            await committer.close()

    asyncio.run(one_after_another())
    assert Run.objects.filter(state="running").count() == 5


def test_a_connection_that_broke_is_replaced(begun: list[store.Transition]) -> None:
    async def break_and_commit() -> object:
        committer = store.Committer()
        committer._threads = 1
        try:
            with pytest.raises(DatabaseError):
                await committer.call(_broken)
            return await committer.commit(begun[0])
        finally:
            await committer.close()

    assert isinstance(asyncio.run(break_and_commit()), store.Committed)


def _broken() -> None:
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    raise OperationalError("gone")
