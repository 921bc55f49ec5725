"""Another attempt: when it is made, when never, and the fallback."""

from datetime import timedelta

import pytest

from runs.engine import machine
from runs.engine.states import Cause, Outcome, StepState

from .factories import agent, later, plan, step
from .memory import Play

TRIES = step("a", retry={"max": 2, "backoff_ms": 1000})


def test_a_failed_attempt_is_made_again_after_its_back_off():
    play = Play(plan(TRIES))
    play.fails("a", chance=0.5)
    assert (play.running, play.step("a").state, play.step("a").attempt) == ([], StepState.RETRYING, 2)
    assert machine.wake_at(play.snapshot) == later(1)
    assert play.at(0.999).changes_nothing
    play.at(1)
    assert (play.running, play.step("a").deadline_at) == (["a"], later(11))


def test_the_back_off_doubles_and_the_attempts_end():
    play = Play(plan(TRIES))
    play.fails("a")
    play.after(1)
    play.fails("a")
    assert play.step("a").not_before == play.now + timedelta(seconds=2)
    play.after(2)
    play.fails("a", Cause.UPSTREAM)
    assert (play.outcome, play.cause) == (Outcome.FAILED, Cause.UPSTREAM)


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 0.5), (0.5, 1.0), (0.999, 1.499)])
def test_chance_spreads_the_back_off(chance, pause):
    play = Play(plan(TRIES))
    play.fails("a", chance=chance)
    assert play.step("a").not_before == later(pause)


@pytest.mark.parametrize(("backoff_ms", "attempts", "pause"), [(50_000, 2, 60), (600_000, 1, 600)])
def test_the_back_off_grows_to_a_minute_and_is_never_less_than_declared(backoff_ms, attempts, pause):
    play = Play(plan(step("a", retry={"max": 5, "backoff_ms": backoff_ms}), limits={"timeout_ms": 86_400_000}))
    for attempt in range(attempts):
        play.fails("a")
        if attempt < attempts - 1:
            play.after(600)
    assert play.step("a").not_before == play.now + timedelta(seconds=pause)


@pytest.mark.parametrize("cause", [Cause.STALE, Cause.INPUT, Cause.DENIED, Cause.REFUSED, Cause.BUDGET, Cause.LOST, Cause.UNRESOLVED, Cause.DIVERGED])
def test_what_another_attempt_can_not_cure_is_not_tried_again(cause):
    play = Play(plan(TRIES))
    play.fails("a", cause)
    assert (play.outcome, play.cause) == (Outcome.FAILED, cause)


def test_an_attempt_whose_calls_may_have_acted_is_not_made_again():
    play = Play(plan(step("a", retry={"max": 2, "backoff_ms": 0}, fallback="other")))
    play.fails("a", retry_safe=False)
    assert play.outcome is Outcome.FAILED


def test_an_attempt_that_may_be_made_again_by_its_own_agent_alone_does_not_fall_back():
    play = Play(plan(step("a", fallback="other")))
    play.fails("a", fallback_safe=False)
    assert play.outcome is Outcome.FAILED


ACTS = agent("worker", role="act", mode="at_most_once", output={"type": "number"})


@pytest.mark.parametrize("said", [{"retry": {"max": 2, "backoff_ms": 0}}, {"fallback": "other"}])
def test_an_act_that_answered_out_of_contract_has_acted_and_is_not_made_again(said):
    play = Play(plan(step("a", **said), agents=(ACTS,)))
    play.returns("a", "done, but not a number")
    assert (play.outcome, play.cause) == (Outcome.FAILED, Cause.CONTRACT)


@pytest.mark.parametrize("said", [{"retry": {"max": 2, "backoff_ms": 0}}, {"fallback": "other"}])
@pytest.mark.parametrize("late", ["nobody answers", "the answer comes late"])
def test_an_act_that_ran_out_of_time_may_have_acted_and_is_not_made_again(said, late):
    play = Play(plan(step("a", **said), agents=(ACTS,)))
    if late == "nobody answers":
        play.after(10)
    else:
        play.now = later(11)
        play.returns("a", 1)
    assert (play.outcome, play.cause) == (Outcome.FAILED, Cause.DEADLINE)


def test_a_read_that_ran_out_of_time_is_tried_again():
    play = Play(plan(TRIES))
    move = play.at(10)
    assert (move.abandon, play.step("a").state) == (("a",), StepState.RETRYING)


def test_a_fallback_has_one_attempt_after_the_agents_own():
    play = Play(plan(step("a", retry={"max": 1, "backoff_ms": 0}, fallback="other")))
    for expected in ("worker", "worker", "other"):
        assert play.step("a").agent == expected
        play.fails("a")
        if play.outcome is None:
            play.after(0)
    assert (play.outcome, play.finish.failure.owner) == (Outcome.FAILED, "agent:other")


def test_a_fallback_has_one_attempt_though_the_agent_used_none_of_its_retries():
    play = Play(plan(step("a", retry={"max": 2, "backoff_ms": 0}, fallback="other")))
    play.fails("a", Cause.STALE)
    play.after(0)
    play.fails("a", Cause.EXCEPTION)
    assert (play.outcome, play.finish.failure.owner) == (Outcome.FAILED, "agent:other")


def test_a_fallback_takes_over_stale_data():
    play = Play(plan(step("a", fallback="other")))
    play.fails("a", Cause.STALE)
    play.after(0)
    play.returns("a", "fresh")
    play.judged("pass")
    assert play.outcome is Outcome.VERIFIED


def test_a_fallback_is_held_to_its_own_input_contract():
    picky = agent("other", input={"properties": {"x": {"type": "string"}}})
    play = Play(plan(step("a", given={"x": "=input.x"}, fallback="other"), agents=(picky,)), {"x": 1})
    play.fails("a")
    play.after(0)
    assert (play.outcome, play.cause, play.running) == (Outcome.FAILED, Cause.INPUT, [])
    assert "contract of 'other'" in play.finish.failure.message


def test_a_step_that_came_right_in_the_end_carries_no_failure():
    play = Play(plan(TRIES, step("b")))
    play.fails("a")
    play.after(1)
    play.returns("a", 1)
    assert play.step("a").failure is None


def test_the_failure_of_every_attempt_is_recorded():
    play = Play(plan(TRIES))
    play.fails("a")
    play.after(1)
    play.returns("a", 1)
    assert play.verbs[1:6] == ["step.started", "step.retried", "step.started", "step.returned", "step.started"]
