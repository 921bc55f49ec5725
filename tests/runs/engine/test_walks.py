"""Random walks: whatever happens in whatever order, these hold at every moment (DESIGN §5).

`Play` holds some of them at every move: nothing after the finish, no step twice, only running steps performed.
"""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.engine import machine
from runs.engine.outcomes import Returned
from runs.engine.states import OPEN_STEP, IllegalMove, Outcome, StepState, Verb
from runs.engine.values import FanFrame, Snapshot

from .memory import Play, finishing
from .random_runs import ABSENT, OPEN, Journey, Model

SEEDS = st.integers(0, 2**32)
ENDS_WITH_A_VERDICT = (Outcome.VERIFIED, Outcome.DEGRADED)


def shown(snapshot: Snapshot) -> tuple[object, ...]:
    """What must be the same after a crash; failures in the order of parts, not of time."""
    frames = {
        key: replace(frame, failures=tuple(sorted(frame.failures, key=lambda each: each[0]))) if isinstance(frame, FanFrame) else frame
        for key, frame in snapshot.frames.items()
    }
    return frames, snapshot.open, sorted(snapshot.missing, key=lambda part: part.step or "")


@given(SEEDS, st.booleans(), st.sampled_from([0.0, 0.2]), st.sampled_from([0.0, 0.02]))
def test_a_run_ends_once_and_by_its_deadline_whatever_happens(seed, fresh, crash, stop):
    play = Journey(seed, fresh=fresh, crash=crash, stop=stop).to_its_end()
    assert finishing(play.rows.facts) == [len(play.rows.facts) - 1]
    assert play.now <= play.rows.run.deadline_at
    assert not any(row.step.state in OPEN_STEP for row in play.rows.steps.values())
    with pytest.raises(IllegalMove):
        machine.decide(play.snapshot, play.now)


@given(SEEDS, st.booleans())
def test_at_every_moment_the_rows_give_the_snapshot_that_was_lost(seed, fresh):
    for play in Journey(seed, fresh=fresh).moments():
        if play.outcome is None:
            again = machine.rebuild(play.rows.load(), play.now)
            assert again.changes_nothing
            assert shown(again.snapshot) == shown(play.snapshot)


@given(SEEDS, st.booleans())
def test_a_run_with_crashes_writes_what_it_would_have_written_without(seed, kindly):
    calm = Journey(seed, kindly=kindly, longest=9.0).to_its_end()
    shaken = Journey(seed, kindly=kindly, longest=9.0, crash=0.3).to_its_end()
    assert [fact for fact in shaken.rows.facts if fact.verb is not Verb.RUN_RESUMED] == calm.rows.facts
    assert shaken.finish == calm.finish


@given(SEEDS, st.booleans(), st.sampled_from([0.0, 0.2]))
def test_while_a_run_lives_every_node_whose_predecessors_are_done_exists(seed, kindly, crash):
    for play in Journey(seed, kindly=kindly, crash=crash).moments():
        status = Model(play).status
        assert status != ABSENT or play.outcome is not None
        assert status == OPEN or play.outcome is not None


@given(SEEDS, st.booleans(), st.sampled_from([0.0, 0.2]))
def test_a_run_is_degraded_exactly_when_a_declared_part_is_missing(seed, fresh, crash):
    play = Journey(seed, fresh=fresh, kindly=True, crash=crash).to_its_end()
    if play.outcome in ENDS_WITH_A_VERDICT:
        assert play.outcome is (Outcome.DEGRADED if Model(play).failures else Outcome.VERIFIED)
        assert bool(play.finished_facts()["missing"]) == (play.outcome is Outcome.DEGRADED)


@given(SEEDS, st.booleans())
def test_no_run_is_verified_without_a_passing_verdict(seed, crash):
    play = Journey(seed, kindly=True, crash=0.2 * crash).to_its_end()
    if play.outcome in ENDS_WITH_A_VERDICT:
        final = play.step("verify")
        assert final.state is StepState.RETURNED
        assert final.held is not None and final.held.value["verdict"] == "pass"
        assert play.finish.result_digest is not None


def late(play: Play, random: Random) -> Returned:
    """A result of an attempt that is over: of an older attempt, or of a step that has ended or waits."""
    key = random.choice(sorted(play.snapshot.steps))
    step = play.step(key)
    is_running = step.state is StepState.RUNNING
    return Returned(key, random.randint(0, step.attempt - 1) if is_running else random.randint(1, step.attempt), "LATE")


@given(SEEDS, st.booleans())
def test_what_comes_late_changes_nothing(seed, kindly):
    random = Random(seed)
    for play in Journey(seed, kindly=kindly).moments():
        if play.outcome is None and play.snapshot.steps:
            move = machine.absorb(play.snapshot, late(play, random), play.now)
            assert move.changes_nothing
            assert (move.snapshot, move.perform, move.abandon) == (play.snapshot, (), ())


@given(SEEDS, st.booleans(), st.sampled_from([0.0, 0.2]))
def test_an_act_that_may_not_be_repeated_is_attempted_again_only_where_its_call_says_so(seed, kindly, crash):
    play = Journey(seed, kindly=kindly, crash=crash).to_its_end()
    for fact in play.rows.facts:
        if fact.verb is Verb.STEP_RETRIED and fact.agent == "actor":
            assert fact.facts["cause"] not in ("deadline", "contract")
