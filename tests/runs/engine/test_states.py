"""The tables of states: which moves exist, what every door reads, what is registered."""

from datetime import timedelta
from itertools import product

import pytest

from runs.engine.states import (
    EXIT_STATUS,
    LIVE_RUN,
    OPEN_STEP,
    OPENINGS,
    PIPELINE_CAUSES,
    PLATFORM_CAUSES,
    RETRYABLE,
    STEP_MOVES,
    Cause,
    IllegalMove,
    Integrity,
    Outcome,
    RunState,
    StepEvent,
    StepState,
    Verb,
    effective,
    moved,
)

from .factories import AT

LATER = AT + timedelta(seconds=60)


@pytest.mark.parametrize(("state", "event"), list(product(StepState, StepEvent)))
def test_a_step_moves_only_as_the_table_says(state, event):
    if (state, event) in STEP_MOVES:
        assert moved(state, event) is STEP_MOVES[state, event]
    else:
        with pytest.raises(IllegalMove, match=f"{state} can't {event}"):
            moved(state, event)


def test_only_open_steps_move_and_every_event_has_a_use():
    assert {state for state, _ in STEP_MOVES} == OPEN_STEP
    assert {event for _, event in STEP_MOVES} == set(StepEvent)


def test_every_open_step_can_be_cancelled_and_can_fail():
    assert all((state, event) in STEP_MOVES for state in OPEN_STEP for event in (StepEvent.CANCEL, StepEvent.FAIL))


def test_every_state_but_skipped_is_reached_by_a_move():
    assert set(STEP_MOVES.values()) == set(StepState) - {StepState.SKIPPED}


def test_a_cause_has_one_kind_of_owner():
    assert not PIPELINE_CAUSES & PLATFORM_CAUSES
    assert not RETRYABLE & (PIPELINE_CAUSES | PLATFORM_CAUSES)
    assert Cause.STALE not in RETRYABLE


def test_every_outcome_has_its_own_exit_status():
    assert set(EXIT_STATUS) == {*Outcome, "unfinished", Integrity.BROKEN}
    assert sorted(EXIT_STATUS.values()) == [0, 10, 11, 12, 13, 14, 15, 16]


def test_only_known_verbs_open_anything():
    assert OPENINGS.keys() <= set(Verb)


def seen(state=RunState.RUNNING, outcome=None, *, integrity=Integrity.INTACT, as_of=None, now=AT):
    return effective(state=state, outcome=outcome, deadline_at=LATER, as_of=as_of, integrity=integrity, now=now)


@pytest.mark.parametrize("state", sorted(LIVE_RUN))
def test_a_live_run_has_failed_at_its_deadline_though_nobody_wrote_it(state):
    assert seen(state, now=LATER - timedelta(microseconds=1)).outcome is None
    overdue = seen(state, now=LATER)
    assert (overdue.state, overdue.outcome, overdue.overdue) == (RunState.FINISHED, Outcome.FAILED, True)


def test_a_finished_run_keeps_its_outcome_after_its_deadline():
    assert seen(RunState.FINISHED, Outcome.VERIFIED, now=LATER).outcome is Outcome.VERIFIED


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_broken_run_reads_broken_whatever_its_row_says(outcome):
    broken = seen(RunState.FINISHED, outcome, integrity=Integrity.BROKEN)
    assert (broken.label, broken.exit_status) == ("broken", 16)


def test_a_verdict_on_the_past_says_as_of_when():
    assert seen(RunState.FINISHED, Outcome.VERIFIED, as_of=AT).label == "verified as of 2026-03-01T12:00:00Z"
    assert seen(RunState.FINISHED, Outcome.REJECTED, as_of=AT).label == "rejected"


def test_a_run_without_outcome_reads_as_its_state():
    assert (seen().label, seen().exit_status) == ("running", 13)


def test_a_run_that_waits_says_until_when_as_long_as_that_lies_ahead():
    waiting = effective(
        state=RunState.WAITING, outcome=None, deadline_at=LATER, as_of=None, integrity=Integrity.INTACT, now=AT, wake_at=AT + timedelta(minutes=5)
    )
    assert (waiting.label, waiting.exit_status) == ("waiting until 2026-03-01T12:05:00Z", 13)
    due = effective(state=RunState.WAITING, outcome=None, deadline_at=LATER, as_of=None, integrity=Integrity.INTACT, now=AT, wake_at=AT)
    assert due.label == "waiting"
