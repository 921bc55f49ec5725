"""Runs that can't be read, or not be prepared where a worker runs: each ends, aloud and in bounded time, and keeps nobody else from going on."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from audit import clock, reports
from runs import performers, store, sweeps
from runs.models import Call, Run, Wait
from runs.worker import Engine, EngineOptions
from tests import families, pipelines
from tests.pipelines import agent
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import orchestra, pathlib, time

def run(go: str = "", **_) -> dict:
    if go and not pathlib.Path(go).exists():
        orchestra.progress("here")
        time.sleep(60)
    return {"n": 1}
"""


@pytest.fixture(autouse=True)
def published(tmp_path: Path) -> None:
    steps = "- {id: one, agent: worker, with: {go: =input.go}}"
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("worker", "work:run")], steps=steps)


@pytest.fixture
def odd(tmp_path: Path) -> Run:
    """Its worker has died in a call, whose row says a word that no engine knows."""
    run = pipelines.start(input={"go": str(tmp_path / "go")})
    pipelines.crash(run, at="progress")
    Call.objects.filter(run=run).update(kind="odd")
    return run


def last_claim(run: Run) -> None:
    """The next claim is one too many."""
    Run.objects.filter(id=run.id).update(attempt=store.MAX_ATTEMPTS, lease_until=None)


def test_a_run_that_no_driver_can_begin_with_is_tried_again_and_its_neighbour_goes_on(odd: Run, caplog: pytest.LogCaptureFixture) -> None:
    neighbour = pipelines.start(input={"go": ""})
    asyncio.run(Engine(EngineOptions(only=frozenset({odd.id, neighbour.id}), children=2)).run())
    assert pipelines.document(neighbour)["outcome"] == "verified"
    odd.refresh_from_db()
    assert (odd.state, odd.integrity) == ("running", "intact")
    assert f"run {odd.id} can't be prepared here; it is taken again when its lease has run out (claim 1, and after 5 it ends)" in caplog.text


def test_after_as_many_claims_as_any_run_has_it_reads_broken_and_nobody_takes_it(odd: Run, caplog: pytest.LogCaptureFixture) -> None:
    last_claim(odd)
    pipelines.drive(odd)
    assert (pipelines.document(odd)["label"], Run.objects.ready(clock.now()).exists()) == ("broken", False)
    assert "its rows can't be read (ValueError)" in caplog.text
    assert [entry["verb"] for entry in reports.entries_of(odd.id)].count("runs.run.broken") == 1


def test_a_run_that_is_over_and_cannot_be_read_is_marked_by_the_first_sweep(odd: Run, caplog: pytest.LogCaptureFixture) -> None:
    Run.objects.filter(id=odd.id).update(deadline_at=clock.now() - timedelta(minutes=1))
    for _ in range(3):
        sweeps.end_overdue()
    assert pipelines.document(odd)["label"] == "broken"
    assert caplog.text.count("its end can't be written") == 2  # with its traceback, and what it means for the run


def test_what_a_step_of_a_run_says_in_no_known_word_ends_the_run_as_the_platforms_failure(tmp_path: Path) -> None:
    steps = "- {id: sleep, wait: {for: 500ms}}\n- {id: one, agent: worker, with: {}}"
    pipelines.publish(tmp_path / "w", name="waits", functions=WORK, agents=[agent("worker", "work:run")], steps=steps)
    run = pipelines.start("waits")
    pipelines.drive(run)
    Wait.objects.filter(run=run).update(kind="odd")
    until(lambda: Run.objects.ready(clock.now()).exists(), "the end of the wait")
    said = pipelines.drive(run)
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", "lost", "platform")
    assert "can't read this run (ValueError)" in said["failure"]["message"]


def test_trouble_of_one_machine_is_left_to_others_and_ends_the_run_where_all_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run, unpacked = pipelines.start(input={"go": ""}), performers.unpacked

    def full(digests: Any) -> Any:
        raise OSError("no space left on device")

    monkeypatch.setattr(performers, "unpacked", full)
    assert pipelines.drive(run)["outcome"] is None
    last_claim(run)
    said = pipelines.drive(run)
    assert (said["outcome"], said["failure"]["cause"], said["integrity"]) == ("failed", "lost", "intact")
    assert said["failure"]["message"].startswith("5 workers in a row") and "OSError" in said["failure"]["message"]
    other = pipelines.start(input={"go": ""})
    pipelines.drive(other)
    Run.objects.filter(id=other.id).update(lease_until=None)
    monkeypatch.setattr(performers, "unpacked", unpacked)
    assert pipelines.drive(other)["outcome"] == "verified"


def test_an_unreadable_child_keeps_nobody_in_the_process_that_drives_the_run_above(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    inner = families.pipeline("inner", "- {id: work, agent: slow, with: {log: =input.log}}")
    outer = ("- {id: sub, pipeline: inner, with: {log: =input.log}}",)
    families.publish(tmp_path / "f", inner, steps=outer, name="outer")
    run = pipelines.start("outer", input={"log": str(tmp_path / "log")})
    pipelines.crash(run, at=(tmp_path / "log").exists)
    child = families.child_of(run)
    Call.objects.filter(run=child).update(kind="odd")
    last_claim(child)
    said = pipelines.drive(run)  # it comes back
    assert (said["state"], pipelines.document(child)["label"]) == ("waiting", "broken")
