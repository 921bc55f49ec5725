"""Who may drive a run: one worker at a time, none after its fence moved, and not for ever without getting further."""

import asyncio
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.db.models import F

from audit import clock, reports
from runs import performers, store
from runs.engine import machine
from runs.engine.outcomes import Returned
from runs.engine.values import Plan, RunView, Step
from runs.models import Call, Run
from runs.worker import Engine, EngineOptions
from runs.worker.messages import Ended
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import orchestra, pathlib, time

def count(file: str = "", wait: str = "", **_) -> dict:
    if file:
        with open(file, "a") as counted:
            counted.write("x")
    if wait and not pathlib.Path(wait).exists():
        orchestra.progress("here")
        time.sleep(60)
    return {"n": 1}
"""
STEPS = """
- {id: one, agent: worker, with: {file: =input.file}}
- {id: fan, parallel: {a: [{id: left, agent: worker}], b: [{id: right, agent: worker}]}}
- {id: two, agent: worker, with: {file: =input.file, wait: =input.wait}}
"""
TTL = timedelta(seconds=30)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("worker", "work:count", more="cost: 0.001 USD")], steps=STEPS)
    return pipelines.start(input={"file": str(tmp_path / "count"), "wait": ""})


def verbs(run: Run) -> Counter[str]:
    return Counter(entry["verb"] for entry in reports.entries_of(run.id))


def assert_once(run: Run, tmp_path: Path) -> None:
    """Everything happened once, in one gapless chain."""
    run.refresh_from_db()
    assert (run.outcome, run.reserved_nano, run.spent_nano) == ("verified", 0, 4_000_000)
    found = verbs(run)
    assert (found["runs.run.started"], found["runs.run.finished"], found["runs.step.returned"], found["runs.step.judged"]) == (1, 1, 4, 1)
    assert (found["runs.call.dispatched"], found["runs.call.confirmed"], reports.charges_of(run.id).charges) == (5, 5, 4)
    assert reports.chain_problems(run.id) == []
    assert (tmp_path / "count").read_text() == "xx"


# --- claims --------------------------------------------------------------------------------------------------------


def test_a_run_is_claimed_by_one_worker_until_its_lease_runs_out(run: Run) -> None:
    mine, theirs = uuid4(), uuid4()
    assert store.claim(owner=mine, ttl=TTL, limit=10) == [run]
    assert store.claim(owner=theirs, ttl=TTL, limit=10) == []
    Run.objects.update(lease_until=run.created_at)
    assert store.claim(owner=theirs, ttl=TTL, limit=10) == [run]
    run.refresh_from_db()
    assert (run.fence, run.attempt, run.lease_owner) == (2, 2, theirs)
    assert store.heartbeat(owner=mine, ttl=TTL, runs=[run.id]) == set()
    assert store.heartbeat(owner=theirs, ttl=TTL, runs=[run.id]) == {run.id}


def test_a_run_that_was_started_for_an_engine_is_nobody_elses_for_one_lease_and_its_own_once(run: Run) -> None:
    mine, theirs = uuid4(), uuid4()
    kept = pipelines.start(input={}, kept_for=mine)
    assert store.claim(owner=theirs, ttl=TTL, limit=10) == [run]
    assert store.claim(owner=theirs, ttl=TTL, limit=10, only=[kept.id]) == []
    assert store.claim(owner=mine, ttl=TTL, limit=10, only=[kept.id]) == [kept]
    assert store.claim(owner=mine, ttl=TTL, limit=10, only=[kept.id]) == []  # it is driven now, and not taken again
    left = pipelines.start(input={}, kept_for=mine)
    Run.objects.filter(id=left.id).update(lease_until=left.created_at)
    assert store.claim(owner=theirs, ttl=TTL, limit=10) == [left]


def test_a_claim_takes_the_oldest_runs_first_and_no_more_than_asked(run: Run) -> None:
    second = pipelines.start(input={})
    pipelines.start(input={})
    assert set(store.claim(owner=uuid4(), ttl=TTL, limit=2)) == {run, second}


def test_two_engines_never_drive_one_run(run: Run, tmp_path: Path) -> None:
    async def both() -> None:
        options = EngineOptions(only=frozenset({run.id}), children=2)
        await asyncio.gather(Engine(options).run(), Engine(options).run())

    asyncio.run(both())
    assert_once(run, tmp_path)
    run.refresh_from_db()
    assert run.fence == 1


def test_a_run_given_back_is_no_attempt(run: Run) -> None:
    mine = uuid4()
    store.claim(owner=mine, ttl=TTL, limit=1)
    store.release_lease(owner=mine, runs=[run.id])
    run.refresh_from_db()
    assert (run.attempt, run.lease_owner, run.fence) == (0, None, 1)
    store.release_lease(owner=mine, runs=[run.id])
    run.refresh_from_db()
    assert run.attempt == 0


def test_a_connection_that_breaks_between_claim_and_read_orphans_no_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    read, reads = Engine._read, iter([True, True])

    def broken(engine: Engine, runs: Any) -> Any:
        if not next(reads, False):
            return read(engine, runs)
        if connection.vendor != "postgresql":
            raise OperationalError("the connection is gone")
        connection.ensure_connection()
        connection.connection.close()
        return read(engine, runs)  # fails as a server that went away makes it fail: Django knows then that this connection is broken

    monkeypatch.setattr(Engine, "_read", broken)
    assert pipelines.drive(run)["outcome"] == "verified"
    run.refresh_from_db()
    assert run.fence == 1


def test_a_run_dropped_before_its_driving_began_is_held_no_longer(run: Run) -> None:
    """Its lease would be prolonged for ever, and nobody would work on it."""
    loaded = store.load_rows(store.claim(owner=uuid4(), ttl=TTL, limit=1))[0]

    async def dropped_at_once() -> list[Any]:
        engine = Engine(EngineOptions(children=1))
        await engine._start(loaded)
        engine._drop([run.id], "its lease has run out")
        await asyncio.sleep(0.01)
        await engine.tools.boundary.close()
        await engine.tools.committer.close()
        return [*engine._driving, *engine._drivers]

    assert asyncio.run(dropped_at_once()) == []


# --- a stale fence -------------------------------------------------------------------------------------------------


def test_a_transition_under_an_old_fence_is_not_written_and_says_so(run: Run) -> None:
    store.claim(owner=uuid4(), ttl=TTL, limit=1)
    loaded = store.load([run.id])[0]
    Run.objects.update(lease_until=None)
    store.claim(owner=uuid4(), ttl=TTL, limit=1)
    move = machine.begin(loaded.snapshot, clock.now())
    answer = store.commit([store.Transition(run.id, "platform", loaded.seen, move, pipelines.SYSTEM)])
    assert answer == [store.Stale(lost=True)]
    assert sum(verbs(run).values()) == 1 and not run.steps.exists()


def taken_away(run: Run) -> list[Run]:
    """In one breath: a heartbeat in between would prolong the lease."""
    Run.objects.filter(id=run.id).update(lease_until=None)
    return store.claim(owner=uuid4(), ttl=TTL, limit=1, only=[run.id])


def test_a_worker_that_lost_its_run_in_a_call_writes_that_calls_own_truth_and_nothing_else(run: Run, tmp_path: Path) -> None:
    """Another worker claims the run while the first one's function is at work; the first one's answer comes late."""
    wait = tmp_path / "go"
    waiting = pipelines.start(input={"file": "", "wait": str(wait)})

    async def lose() -> None:
        async with pipelines.at_work(waiting) as (engine, driving):
            call, driver = engine.tools.committer.call, engine._drivers[waiting.id]
            assert await call(taken_away, waiting) == [waiting]
            record = next(call for call in driver.calls.values() if call.step == "two")
            end = store.confirmed(record, plan=driver.snapshot.plan, run=waiting.id, contained=None, response=None, cause=None)
            driver.inbox.put_nowait(Ended(Returned("two", 1, {"n": 1}), end))
            await asyncio.wait_for(driving, 20)

    asyncio.run(lose())
    found = [entry for entry in reports.entries_of(waiting.id) if entry["seq"] is None]
    assert [entry["verb"] for entry in found] == ["runs.call.confirmed"]
    assert Call.objects.get(run=waiting, step="two").state == "confirmed"
    assert waiting.steps.get(key="two").state == "running"
    Run.objects.filter(id=waiting.id).update(lease_until=None)
    wait.touch()
    said = pipelines.drive(waiting)
    assert (said["outcome"], reports.chain_problems(waiting.id)) == ("verified", [])
    assert reports.charges_of(waiting.id).charges == 4
    waiting.refresh_from_db()
    assert (waiting.reserved_nano, waiting.spent_nano) == (0, 4_000_000)


def test_a_worker_that_drops_a_run_writes_what_its_calls_had_been_answered(run: Run, tmp_path: Path) -> None:
    """The answer lies in the inbox, or its transaction is under way, in the moment in which the lease is lost."""
    waiting = pipelines.start(input={"file": "", "wait": str(tmp_path / "go")})

    async def drop() -> None:
        async with pipelines.at_work(waiting) as (engine, driving):
            driver, task = engine._drivers[waiting.id], engine._driving[waiting.id]
            record = next(call for call in driver.calls.values() if call.step == "two")
            end = store.confirmed(record, plan=driver.snapshot.plan, run=waiting.id, contained=None, response=None, cause=None)
            driver.inbox.put_nowait(Ended(Returned("two", 1, {"n": 1}), replace(end, late={"value": {"n": 1}})))
            engine._drop([waiting.id], "its lease could not be prolonged")
            engine._drop([waiting.id], "its lease has run out")
            await asyncio.gather(task, return_exceptions=True)
            engine.stop()
            await asyncio.wait_for(driving, 20)

    asyncio.run(drop())
    assert Call.objects.get(run=waiting, step="two").state == "confirmed"
    Run.objects.filter(id=waiting.id).update(lease_until=None)
    said = pipelines.drive(waiting)
    assert (said["outcome"], verbs(waiting)["runs.call.resent"]) == ("verified", 0)


# --- attempts ------------------------------------------------------------------------------------------------------


def test_a_run_that_was_claimed_too_often_without_a_transition_ends_lost(run: Run) -> None:
    for _ in range(store.MAX_ATTEMPTS):
        store.claim(owner=uuid4(), ttl=TTL, limit=1)
        Run.objects.update(lease_until=None)
    said = pipelines.drive(run)
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", "lost", "platform")
    assert said["failure"]["message"].startswith(f"{store.MAX_ATTEMPTS} workers in a row")


@pytest.mark.parametrize("mode", ["read", "{idempotent: =input.file}"])
def test_a_step_whose_worker_was_gone_for_longer_than_its_time_has_it_once_more(tmp_path: Path, mode: str) -> None:
    """A lease is longer than many a step's time."""
    more = f"role: {'gather' if mode == 'read' else 'act'}\nmode: {mode}"
    worker = agent("worker", "work:count", timeout="5s").replace("role: decide\n", "") + f"\n{more}"
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[worker], steps="- {id: w, agent: worker, with: {file: =input.file, wait: =input.wait}}")
    run = pipelines.start(input={"file": str(tmp_path / "count"), "wait": str(tmp_path / "go")})
    pipelines.crash(run, at="progress")
    gone = timedelta(seconds=30)
    for rows, ends in ((run.steps.all(), "deadline_at"), (Call.objects.filter(run=run), "not_after")):
        rows.update(**{ends: F(ends) - gone})
    before = Call.objects.get(run=run)
    (tmp_path / "go").touch()
    assert pipelines.drive(run)["outcome"] == "verified"
    call = Call.objects.get(run=run, step="w")
    told = next(entry for entry in reports.entries_of(run.id) if entry["verb"] == "runs.call.resent")
    assert call.key == before.key and call.not_after > before.not_after + gone and told["facts"]["not_after"] == clock.to_text(call.not_after)
    assert (tmp_path / "count").read_text() == "xx"


def test_a_run_that_kills_each_of_its_workers_ends_lost_though_each_took_it_up(tmp_path: Path) -> None:
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("worker", "work:count")], steps="- {id: w, agent: worker, with: {wait: never}}")
    run = pipelines.start()
    for _ in range(store.MAX_ATTEMPTS + 1):
        pipelines.crash(run, at="progress")
    assert pipelines.drive(run)["failure"]["cause"] == "lost"
    assert verbs(run)["runs.run.resumed"] == store.MAX_ATTEMPTS


def test_a_run_that_the_platform_fails_to_drive_ends_at_once_and_its_neighbours_go_on(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shape, neighbour = performers.shape, pipelines.start(input={"file": "", "wait": ""})

    def failing(plan: Plan, view: RunView, step: Step) -> performers.Request:
        if view.id == str(run.id) and step.key == "two":
            raise ZeroDivisionError
        return shape(plan, view, step)

    monkeypatch.setattr(performers, "shape", failing)
    asyncio.run(Engine(EngineOptions(only=frozenset({run.id, neighbour.id}), children=2)).run())
    said = pipelines.document(run)
    assert (said["failure"]["cause"], said["failure"]["owner"], said["integrity"]) == ("lost", "platform", "intact")
    assert "ZeroDivisionError" in said["failure"]["message"] and "driving it failed" in caplog.text
    assert pipelines.document(neighbour)["outcome"] == "verified"


# --- answers that were lost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("nth", range(1, 7))
def test_a_commit_that_was_written_and_said_it_was_not_repeats_and_loses_nothing(
    nth: int, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = []
    real = store.commit

    def ambiguous(batch: list[store.Transition]) -> list[store.Committed | store.Stale]:
        commits.append(batch)
        answers = real(batch)
        if len(commits) == nth:
            raise OperationalError("the connection was lost after COMMIT was sent")
        return answers

    monkeypatch.setattr("runs.store.committer.commit", ambiguous)
    pipelines.drive(run)
    assert len(commits) >= nth
    if verbs(run)["runs.run.resumed"]:  # the very first commit was the lost one: it reads as taken up again
        assert nth == 1
    assert_once(run, tmp_path)


@pytest.mark.parametrize("nth", range(1, 5))
def test_an_act_whose_intent_was_written_without_an_answer_is_sent_once_and_not_unresolved(
    nth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = [agent("worker", "work:count"), agent("actor", "work:count", role="act")]
    steps = "- {id: one, agent: worker}\n- {id: two, agent: actor, with: {file: =input.file}}"
    pipelines.publish(tmp_path / "p", functions=WORK, agents=acts, steps=steps)
    real, turns = store.commit, iter(range(1, 100))

    def ambiguous(batch: list[store.Transition]) -> list[store.Committed | store.Stale]:
        turn, answers = next(turns), real(batch)
        if turn == nth:
            raise OperationalError("the connection was lost after COMMIT was sent")
        return answers

    monkeypatch.setattr("runs.store.committer.commit", ambiguous)
    said = pipelines.drive(pipelines.start(input={"file": str(tmp_path / "count")}))
    assert (said["outcome"], (tmp_path / "count").read_text()) == ("verified", "x")


def test_a_commit_that_was_not_written_is_written_again(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, failures = store.commit, iter([False, True, False, True, True])

    def failing(batch: list[store.Transition]) -> list[store.Committed | store.Stale]:
        if next(failures, False):
            raise OperationalError("no connection")
        return real(batch)

    monkeypatch.setattr("runs.store.committer.commit", failing)
    pipelines.drive(run)
    assert_once(run, tmp_path)


def test_what_a_commit_without_an_answer_opened_is_carried_out_also_where_time_brings_something_else_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was in nobody's hands until its deadline, once the timer beside it had been written."""
    inner = "{id: both, parallel: {c: [{id: w, agent: worker, with: {file: =input.file}}], d: [{id: second, wait: {for: 300ms}}]}}"
    steps = f"- {{id: fan, parallel: {{a: [{{id: first, wait: {{for: 100ms}}}}, {inner}], b: [{{id: slow, agent: slow}}]}}}}"
    functions = f"{WORK}\ndef slow(**_) -> dict:\n    time.sleep(2)\n    return {{'n': 1}}\n"
    pipelines.publish(tmp_path / "p", functions=functions, agents=[agent("worker", "work:count"), agent("slow", "work:slow")], steps=steps)
    real, lost = store.commit, iter([True])

    def slow_and_ambiguous(batch: list[store.Transition]) -> list[store.Committed | store.Stale]:
        answers = real(batch)
        if any(call.call.step == "fan/a/both/c/w" for each in batch for call in each.opened) and next(lost, False):
            time.sleep(0.5)
            raise OperationalError("the connection was lost after COMMIT was sent")
        return answers

    monkeypatch.setattr("runs.store.committer.commit", slow_and_ambiguous)
    run = pipelines.start(input={"file": str(tmp_path / "count")})
    assert (pipelines.drive(run)["outcome"], (tmp_path / "count").read_text()) == ("verified", "x")
