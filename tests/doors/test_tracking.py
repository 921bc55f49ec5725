"""What is known of a run while somebody watches it: steps that wait and compensations among the others. No database."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

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
    assert (seen.state, seen.note, seen.at_work, seen.is_open, seen.ended) == (StepState.WAITING, said, False, True, None)
    hear(tracker, "returned", step="paid", attempt=1)
    assert tracker.steps["paid"].ended is not None


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
