"""Waits and what is undone, at the bounds of a run's time: nothing outlives them, nothing is opened past them, nothing done is left untold."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from runs.engine import limits, machine
from runs.engine.states import Cause, Outcome
from runs.engine.values import Plan

from .factories import agent, later, parallel, plan, step
from .memory import Play

ACTORS = (agent("actor", role="act", mode="at_most_once"), agent("undoer", role="act", mode={"idempotent": "=input.x"}))
UNDO = {"agent": "undoer", "with": {"x": "=steps.book"}, "timeout_ms": None}


def wait(name: str, **said: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("for_ms", "until", "signal", "timeout_ms", "output", "when"))
    return {"kind": "wait", "id": name, **nothing, "on_expiry": "fail", "on_failure": "stop", **said}


def booked(*after: dict[str, Any]) -> Plan:
    return plan(step("book", "actor", compensate=UNDO), *after, agents=ACTORS, limits={"timeout_ms": 60_000, "cost_nano": None, "calls": None})


def test_a_wait_that_failed_a_run_whose_time_is_over_by_now_ends_it_and_opens_nothing() -> None:
    """Nobody came between the end of the wait and the deadline: a compensation that begins now would never end, and the run neither."""
    play = Play(booked(wait("paid", signal="paid", timeout_ms=5_000)))
    play.returns("book", 1)
    play.now = later(100)
    move = machine.decide(play.snapshot, play.now)
    assert move.finish is not None
    assert move.finish.failure is not None
    assert (move.finish.outcome, move.finish.failure.cause, move.opened) == (Outcome.FAILED, Cause.EXPIRED, ())
    assert move.facts[-1].facts["not_undone"] == [{"step": "book", "why": "no time was left"}]


def test_a_wait_that_went_on_opens_nothing_once_the_run_is_over() -> None:
    play = Play(booked(wait("pause", for_ms=5_000), step("work")))
    play.returns("book", 1)
    play.now = later(100)
    move = machine.decide(play.snapshot, play.now)
    assert move.finish is not None
    assert move.finish.failure is not None
    assert (move.finish.failure.cause, move.opened) == (Cause.DEADLINE, ())


@pytest.mark.parametrize(("cancelled_after_s", "comes_to"), [(4, Outcome.CANCELLED), (6, Outcome.FAILED)])
def test_of_a_waits_end_and_a_cancel_the_one_that_came_first_decides_whoever_writes_it_when(cancelled_after_s: int, comes_to: Outcome) -> None:
    """The wait was over after five seconds; nobody has looked until both had happened."""
    play = Play(booked(wait("paid", signal="paid", timeout_ms=5_000)))
    play.returns("book", 1)
    asked = replace(play.snapshot.run, cancel_by="alice", cancel_at=later(cancelled_after_s))
    move = machine.decide(replace(play.snapshot, run=asked), later(7))
    assert move.finish is not None and move.finish.outcome is comes_to


def test_a_waiting_run_is_over_when_its_lifetime_is() -> None:
    limits = {"timeout_ms": 60_000, "max_lifetime_ms": 90_000, "cost_nano": None, "calls": None}
    play = Play(plan(wait("pause", for_ms=80_000), step("work"), limits=limits), lifetime_until=later(90))
    assert play.snapshot.run.deadline_at == later(90)
    play.at(80)
    play.at(90)
    assert play.finish.failure is not None
    assert "the run had 90 s (limits.max_lifetime)" in play.finish.failure.message


def test_an_act_that_was_stopped_on_its_way_is_not_left_untold() -> None:
    both = parallel("both", a=[step("book", "actor")], b=[step("work")])
    play = Play(plan(both, agents=ACTORS))
    play.fails("both/b/work")
    assert play.finished_facts()["not_undone"] == [{"step": "both/a/book", "why": "it may have acted, and nobody knows with what result"}]


def test_an_act_that_failed_may_have_acted_before_and_one_that_was_refused_has_not() -> None:
    for cause, told in ((Cause.EXCEPTION, ["book"]), (Cause.DENIED, [])):
        play = Play(booked())
        play.fails("book", cause)
        assert [each["step"] for each in play.finished_facts().get("not_undone", [])] == told


@pytest.mark.parametrize("ms", [1_014, 1_015, 1_016, 8_202, 33_333])
def test_what_is_left_of_a_clock_that_stands_is_told_to_the_millisecond(ms: int) -> None:
    """A float of seconds would lose one: 1.015 * 1000 is less than 1015."""
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert limits.left_ms(limits.later(now, ms), now) == ms
    assert limits.left_ms(now, limits.later(now, ms)) == 0
