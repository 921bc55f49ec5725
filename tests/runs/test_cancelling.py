"""A cancel is written at once, felt in two seconds, and final."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest

from audit import clock, reports
from runs import services, store, sweeps
from runs.errors import AlreadyFinished
from runs.models import Call, Run
from tests import pipelines
from tests.pipelines import agent
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import orchestra, time

def run(beats: str = "", **_) -> dict:
    if beats:
        orchestra.progress("here")
        with open(beats, "a") as file:
            while True:
                file.write("x")
                file.flush()
                time.sleep(0.01)
    return {}
"""
STEPS = """
- {id: one, agent: worker, with: {beats: =input.beats}}
- {id: two, agent: worker}
"""


def publish(path: Path, more: str = "") -> None:
    pipelines.publish(path / "p", functions=WORK, agents=[agent("worker", "work:run", more=more)], steps=STEPS)


def cancel(run: Run) -> Run:
    return services.cancel_run(run=str(run.id), actor=pipelines.SYSTEM)


def cancelled_while_at_work(run: Run) -> float:
    """Drive the run, cancel it from another thread once its function is at work; seconds from the cancel to its end."""

    async def drive() -> None:
        async with pipelines.at_work(run) as (engine, driving):
            await engine.tools.committer.call(cancel, run)
            await asyncio.wait_for(driving, 10)

    asyncio.run(drive())
    run.refresh_from_db()
    assert run.finished_at is not None and run.cancel_requested_at is not None
    return (run.finished_at - run.cancel_requested_at).total_seconds()


def is_still(file: Path) -> bool:
    """Nobody writes to it any more."""
    size = file.stat().st_size
    time.sleep(0.1)
    return file.stat().st_size == size


def test_a_cancel_is_felt_within_two_seconds_and_leaves_no_child_and_no_open_call(tmp_path: Path) -> None:
    publish(tmp_path, "cost: 0.002 USD")
    run = pipelines.start(input={"beats": str(tmp_path / "beats")})
    assert cancelled_while_at_work(run) < 2.0
    said = pipelines.document(run)
    assert (said["outcome"], said["exit_status"], said["failure"]) == ("cancelled", 14, None)
    assert [step["state"] for step in said["steps"]] == ["cancelled"]
    assert Call.objects.get(run=run).state == "refused"
    assert (run.spent_nano, run.reserved_nano, reports.charges_of(run.id).estimated_nano) == (2_000_000, 0, 2_000_000)
    until(lambda: is_still(tmp_path / "beats"), "the end of the child", seconds=5)
    verbs = [entry["verb"] for entry in reports.entries_of(run.id)]
    assert verbs[-4:] == ["runs.run.cancel_requested", "runs.call.refused", "runs.step.cancelled", "runs.run.finished"]
    assert reports.chain_problems(run.id) == []


def test_a_queued_run_that_nobody_drives_is_cancelled_on_the_spot(tmp_path: Path) -> None:
    publish(tmp_path)
    run = cancel(pipelines.start(input={"beats": ""}))
    assert (run.outcome, run.cancel_requested_by) == ("cancelled", "system:system")


def test_a_run_whose_worker_died_is_cancelled_on_the_spot_with_its_calls_settled(tmp_path: Path) -> None:
    publish(tmp_path)
    run = pipelines.start(input={"beats": str(tmp_path / "beats")})
    pipelines.crash(run, at="progress")
    assert cancel(run).outcome == "cancelled"
    assert Call.objects.get(run=run).state == "refused"


def test_asking_twice_is_the_same_as_asking_once(tmp_path: Path) -> None:
    publish(tmp_path)
    run = pipelines.start(input={"beats": ""})
    Run.objects.filter(id=run.id).update(lease_until=clock.now() + timedelta(seconds=30))  # somebody holds it
    cancel(run)
    cancel(run)
    verbs = [entry["verb"] for entry in reports.entries_of(run.id)]
    assert verbs == ["runs.run.queued", "runs.run.cancel_requested"]
    Run.objects.filter(id=run.id).update(lease_until=None)
    assert sweeps.end_overdue() == 1
    run.refresh_from_db()
    assert run.outcome == "cancelled"


def test_finished_is_final(tmp_path: Path) -> None:
    publish(tmp_path)
    run = pipelines.start(input={"beats": ""})
    pipelines.drive(run)
    run.refresh_from_db()
    with pytest.raises(AlreadyFinished, match="finished is final"):
        cancel(run)
    assert Run.objects.get(id=run.id).revision == run.revision
    refused = reports.entries_of(run.id)[-1]
    assert (refused["verb"], refused["seq"], refused["facts"]) == ("runs.cancel.refused", None, {"code": "already-finished"})


def test_an_overdue_run_has_failed_and_can_no_longer_be_cancelled(tmp_path: Path) -> None:
    publish(tmp_path)
    run = pipelines.start(input={"beats": ""})
    Run.objects.filter(id=run.id).update(deadline_at=clock.now() - timedelta(seconds=2))
    with pytest.raises(AlreadyFinished, match="failed"):
        cancel(run)
    sweeps.end_overdue()
    run.refresh_from_db()
    assert run.outcome == "failed"


def test_a_cancel_that_comes_with_the_end_of_a_step_opens_no_further_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row moves between the decision and its commit: the same outcome is absorbed again, and nothing new goes out."""
    publish(tmp_path)
    run = pipelines.start(input={"beats": ""})
    real, turns = store.commit, iter(range(100))

    def interrupted(batch: list[store.Transition]) -> list[store.Committed | store.Stale]:
        if next(turns) == 1:  # the commit of the first step's result, with the second's intent
            cancel(run)
        return real(batch)

    monkeypatch.setattr("runs.store.committer.commit", interrupted)
    said = pipelines.drive(run)
    assert said["outcome"] == "cancelled"
    assert list(Call.objects.filter(run=run).values_list("step", "state")) == [("one", "confirmed")]
    assert reports.chain_problems(run.id) == []
