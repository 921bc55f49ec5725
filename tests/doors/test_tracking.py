"""What is known of a run while somebody watches it: steps that wait and compensations among the others. No database."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from audit import clock
from runs.engine.commands import Fact
from runs.engine.states import Verb
from runs.management.terminal import progress, results, steps, tracking
from runs.management.terminal.tracking import Tracker
from runs.models import Step, StepState
from runs.worker import Event

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUN = uuid4()
UNDO = {"agent": "canceller", "with": {}}
SPEC = {"steps": [{"id": "book", "agent": "booker", "compensate": UNDO}, {"id": "paid", "kind": "wait"}], "verify": {"agent": "judge"}}


@pytest.fixture
def tracker() -> Tracker:
    run: Any = SimpleNamespace(id=RUN, release=SimpleNamespace(manifest={"pipeline": {"spec": SPEC}}))
    return Tracker(run)


def hear(tracker: Tracker, verb: str, **facts: Any) -> None:
    tracker.hear(Event(RUN, f"runs.step.{verb}", f"step:{facts['step']}", facts))


@pytest.mark.parametrize(
    ("kind", "subject", "said"),
    [
        ("signal", "payment", "waits for the signal payment until 2026-03-01T14:00:00Z"),
        ("timer", "", "waits until 2026-03-01T14:00:00Z"),
        ("unresolved", "o1", "waits for a word on a call until 2026-03-01T14:00:00Z"),
    ],
)
def test_a_step_that_waits_says_for_what_and_is_not_at_work(tracker: Tracker, kind: str, subject: str, said: str) -> None:
    hear(tracker, "waiting", step="paid", attempt=1, kind=kind, subject=subject, until="2026-03-01T14:00:00.000000Z")
    seen = tracker.steps["paid"]
    assert (seen.state, seen.note, seen.at_work, seen.is_open, seen.took) == (StepState.WAITING, said, False, True, None)
    hear(tracker, "returned", step="paid", attempt=1)
    assert tracker.steps["paid"].took is not None


def test_a_step_has_taken_what_its_row_says_by_the_time_that_this_is_told(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(minutes=5))
    told: list[str] = []
    tracker.told = lambda seen: told.append(progress._said(seen))
    for verb, ended in (("started", None), ("returned", NOW + timedelta(seconds=83.5))):
        tracker.hear(Event(RUN, f"runs.step.{verb}", "step:book", {"step": "book", "attempt": 1}, began=NOW, ended=ended))
    row = Step(key="paid", agent="", state="returned", attempt=1, started_at=NOW, finished_at=NOW + timedelta(seconds=7), deadline_at=NOW)
    tracker.read([row], NOW + timedelta(minutes=1), {})
    assert told == ["started by booker", "returned after 83.5 s", "returned after 7.00 s"]


def test_an_event_has_the_times_of_its_steps_row_and_one_of_the_run_has_none() -> None:
    step: Any = SimpleNamespace(started_at=NOW, finished_at=None)
    heard = [Event.of(RUN, Fact(Verb.STEP_STARTED, "step:book", facts=facts), {"book": step}) for facts in ({"step": "book"}, {})]
    assert [(event.began, event.ended) for event in heard] == [(NOW, None), (None, None)]


def test_the_time_that_a_step_has_waited_is_said_beside_its_time(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    at = [100.0]
    monkeypatch.setattr(tracking.time, "monotonic", lambda: at[0])
    for after, verb in ((0.0, "started"), (2.0, "waiting"), (60.0, "started"), (3.0, "returned")):
        at[0] += after
        hear(tracker, verb, step="book", attempt=1)
    assert progress._said(tracker.steps["book"]) == "returned after 65.0 s, waited 60.0 s"


@pytest.mark.parametrize(("seconds", "waited", "said"), [("65.000", "60.000", "65.0 s\nwaited 60.0 s"), ("0.200", None, "0.20 s"), (None, None, "–")])
def test_the_table_of_steps_says_how_long_one_has_waited(seconds: str | None, waited: str | None, said: str) -> None:
    step = {"key": "book", "agent": "booker", "state": "returned", "judges": False, "result": None, "failure": None, "attempt": 1, "cost_nano": "0"}
    [row] = steps._rows([{**step, "seconds": seconds, "waited_seconds": waited}])
    assert row[4].plain == said


def test_a_compensation_is_its_own_agents_turn_and_takes_none_from_the_verifier(tracker: Tracker) -> None:
    for key in ("book", "undo:book", "each/0/book", "undo:each/0/book", "verify"):
        hear(tracker, "started", step=key, attempt=1)
    assert [seen.agent for seen in tracker.steps.values()] == ["booker", "canceller", "booker", "canceller", "judge"]


@pytest.mark.parametrize(
    ("waits", "said"),
    [({}, "waits until 2026-03-01T14:00:00Z"), ({"paid": ("signal", "payment")}, "waits for the signal payment until 2026-03-01T14:00:00Z")],
)
def test_rows_of_somebody_elses_run_say_for_what_and_until_when_a_step_waits(tracker: Tracker, waits: Any, said: str) -> None:
    row = Step(key="paid", agent="", state="waiting", attempt=1, started_at=NOW, deadline_at=NOW + timedelta(hours=2))
    tracker.read([row], NOW + timedelta(minutes=1), waits)
    assert tracker.steps["paid"].note == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "1 item"), (7, "7 items")],
)
def test_one_is_said_in_the_singular(count: int, said: str) -> None:
    many = [{"of": "x" * 200}] * count
    assert [value for _, value in results._rows({"series": many, "one": many[0], "two": {"a": many, "b": 1}})] == [said, "1 field", "2 fields"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("2014-02-28T14:22:00.000000Z", "2014-02-28T14:22:00Z"),
        ("2014-02-28T14:22:00.120000Z", "2014-02-28T14:22:00.120000Z"),
        ("at 2014-02-28T14:22:00.000000Z", "at 2014-02-28T14:22:00.000000Z"),
    ],
)
def test_an_instant_among_the_results_reads_as_in_the_headline(value: str, said: str) -> None:
    assert results.compact(value, 100) == said
