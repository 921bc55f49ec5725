"""Time bounds: what is over has failed, whether or not anybody lives to write it."""

import time
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from audit import clock, reports
from audit.actors import Actor
from runs import services, store, sweeps
from runs.models import Call, Outcome, Run
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import orchestra, time

def run(how: str = "", **_) -> dict:
    if how == "hang":
        orchestra.progress("here")
        time.sleep(60)
    if how == "silent":
        time.sleep(60)
    if how == "loud":
        for _ in range(8):
            orchestra.progress("still here")
            time.sleep(0.2)
    return {}
"""
ONE = "- {id: work, agent: worker, with: {how: =input.how}}"


def publish(path: Path, *, steps: str = ONE, timeout: str = "1s", limits: str = "", more: str = "") -> None:
    worker = agent("worker", "work:run", timeout=timeout, more=more)
    pipelines.publish(path / "p", functions=WORK, agents=[worker], steps=steps, more=limits)


def start(how: str) -> Run:
    return pipelines.start(input={"how": how})


def seconds(said: dict[str, str]) -> float:
    return (clock.from_text(said["finished_at"]) - clock.from_text(said["started_at"])).total_seconds()


def overdue(run: Run) -> Run:
    """As if its time had passed since then."""
    Run.objects.filter(id=run.id).update(deadline_at=clock.now() - timedelta(seconds=2), lease_until=None)
    run.refresh_from_db()
    return run


def test_a_hung_function_fails_at_its_deadline_give_or_take_a_second(tmp_path: Path) -> None:
    publish(tmp_path, timeout="1s")
    said = pipelines.drive(start("hang"))
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("deadline", "agent:worker")
    assert 1.0 <= seconds(said) < 2.0


def test_the_runs_own_deadline_bounds_every_step(tmp_path: Path) -> None:
    publish(tmp_path, timeout="50s", limits="limits: {timeout: 1s}")
    run = start("hang")
    said = pipelines.drive(run)
    assert (said["outcome"], said["failure"]["cause"]) == ("failed", "deadline")
    assert seconds(said) < 2.0
    assert not Call.objects.filter(run=run, state="dispatched").exists()


def test_a_function_that_goes_silent_has_stalled_and_one_that_tells_has_not(tmp_path: Path) -> None:
    publish(tmp_path, timeout="20s", steps="- {id: work, agent: worker, with: {how: =input.how}, progress_timeout: 700ms}")
    begun = time.monotonic()
    said = pipelines.drive(start("silent"))
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("stalled", "agent:worker")
    assert time.monotonic() - begun < 5
    assert pipelines.drive(start("loud"))["outcome"] == "verified"


def test_a_step_that_waits_for_a_child_fails_at_its_deadline_and_was_never_sent(tmp_path: Path) -> None:
    steps = """
    - id: fan
      parallel:
        a: [{id: first, agent: worker, with: {how: hang}, timeout: 5s}]
        b: [{id: second, agent: worker, with: {how: hang}, timeout: 500ms}]
      min_success: all
    """
    publish(tmp_path, steps=steps, timeout="5s")
    run = start("")
    said = pipelines.drive(run, children=1)
    assert (said["failure"]["cause"], said["failure"]["step"]) == ("deadline", "fan/b/second")
    assert list(Call.objects.filter(run=run).values_list("step", flat=True)) == ["fan/a/first"]


# --- nobody lives to say so ----------------------------------------------------------------------------------------


def test_an_overdue_run_reads_failed_everywhere_though_no_worker_runs(tmp_path: Path) -> None:
    publish(tmp_path)
    run = overdue(start("hang"))
    now = clock.now()
    said = pipelines.document(run)
    assert (said["state"], said["outcome"], said["exit_status"], said["failure"]["cause"]) == ("finished", "failed", 12, "deadline")
    assert run.effective(now).overdue and run.outcome is None
    assert list(Run.objects.ended_as(Outcome.FAILED, now)) == [run]
    assert not Run.objects.ready(now).exists()
    assert sum(1 for _ in reports.entries_of(run.id)) == 1  # reading wrote nothing


def test_the_sweep_writes_an_overdue_runs_end_once(tmp_path: Path) -> None:
    publish(tmp_path)
    run = overdue(start("hang"))
    assert [sweeps.end_overdue(), sweeps.end_overdue()] == [1, 0]
    said = pipelines.document(run)
    assert (said["outcome"], said["failure"]["cause"], said["integrity"]) == ("failed", "deadline", "intact")
    verbs = [entry["verb"] for entry in reports.entries_of(run.id)]
    assert verbs == ["runs.run.queued", "runs.run.finished"]


def test_the_sweep_settles_a_call_that_was_under_way(tmp_path: Path) -> None:
    publish(tmp_path, timeout="20s", more="cost: 0.002 USD")
    run = start("hang")
    pipelines.crash(run, at="progress")
    overdue(run)
    assert sweeps.end_overdue() == 1
    run.refresh_from_db()
    assert (run.spent_nano, run.reserved_nano, Call.objects.get(run=run).state) == (2_000_000, 0, "refused")
    assert reports.charges_of(run.id).estimated_nano == 2_000_000
    assert run.steps.get().state == "cancelled"
    assert reports.chain_problems(run.id) == []


def test_a_run_that_is_not_over_is_not_ended_by_anybody(tmp_path: Path) -> None:
    publish(tmp_path)
    run = start("")
    assert not services.end_unattended(run.id, actor=Actor.system("sweep"))
    assert sweeps.end_overdue() == 0


def test_a_cancelled_run_that_somebody_has_just_taken_is_theirs_to_end(tmp_path: Path) -> None:
    publish(tmp_path)
    run, ttl = start(""), timedelta(seconds=30)
    assert store.claim(owner=uuid4(), ttl=ttl, limit=1) == [run]
    Run.objects.filter(id=run.id).update(cancel_requested_at=clock.now(), cancel_requested_by="person:alice")
    assert not services.end_unattended(run.id, actor=Actor.system("sweep"))
    Run.objects.filter(id=run.id).update(lease_until=clock.now() - ttl)
    assert services.end_unattended(run.id, actor=Actor.system("sweep"))


def test_a_worker_whose_run_was_ended_by_a_sweep_stops_and_changes_nothing(tmp_path: Path) -> None:
    publish(tmp_path, timeout="20s")
    run = start("hang")
    pipelines.crash(run, at="progress")
    overdue(run)
    sweeps.end_overdue()
    run.refresh_from_db()
    seq = run.seq
    pipelines.drive(run)
    run.refresh_from_db()
    assert (run.seq, run.outcome) == (seq, "failed")
