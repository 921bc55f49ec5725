"""Steps that somebody has stopped: they wait, the clock stands, and their next attempt comes after the stop."""

from dataclasses import replace

from runs.engine import machine
from runs.engine.outcomes import Stopped
from runs.engine.states import Cause, RunState, StepState, WaitKind
from runs.engine.values import Answer, Snapshot, Step

from .factories import later, parallel, plan, step
from .memory import Play

STOP = "agent:worker"


def stopped(play: Play, key: str, *, sent: bool = False) -> None:
    play.take(machine.absorb(play.snapshot, Stopped(key, play.performing.pop(key), STOP, "it was stopped", sent=sent), play.now))


def lifted(snapshot: Snapshot, key: str, seconds: float) -> Snapshot:
    """As the store reads it once somebody has lifted the stop."""
    waits = snapshot.steps[key]
    assert waits.wait is not None
    answered = replace(waits, wait=replace(waits.wait, answer=Answer(later(seconds), "person:bob", {"lifted": STOP})))
    return replace(snapshot, run=replace(snapshot.run, state=RunState.RUNNING, wake_at=None), steps={**snapshot.steps, key: answered})


def after(play: Play, key: str, seconds: float) -> Step:
    return machine.decide(lifted(play.snapshot, key, seconds), later(seconds)).snapshot.steps[key]


def test_a_step_that_was_stopped_waits_and_the_work_clock_of_its_run_stands() -> None:
    play = Play(plan(step("work"), limits={"timeout_ms": 60_000, "cost_nano": None, "calls": None}))
    stopped(play, "work")
    run, work = play.snapshot.run, play.snapshot.steps["work"]
    assert work.wait is not None
    assert (work.state, work.wait.kind, work.wait.subject) == (StepState.WAITING, WaitKind.STOPPED, STOP)
    assert (run.state, run.remaining_ms) == (RunState.WAITING, 60_000)


def test_what_was_never_sent_keeps_its_attempt_and_what_was_sent_is_made_in_another() -> None:
    for sent, attempt in ((False, 1), (True, 2)):
        play = Play(plan(step("work")))
        stopped(play, "work", sent=sent)
        work = after(play, "work", 5)
        assert (work.state, work.attempt, work.wait) == (StepState.RUNNING, attempt, None)


def test_a_stop_that_nobody_lifts_fails_its_step_in_the_agents_name() -> None:
    limits = {"timeout_ms": 60_000, "max_lifetime_ms": 90_000, "cost_nano": None, "calls": None}
    play = Play(plan(step("work"), limits=limits), lifetime_until=later(90))
    stopped(play, "work")
    play.at(90)
    assert play.finish.failure is not None
    assert (play.finish.failure.cause, play.finish.failure.owner) == (Cause.STOPPED, "agent:worker")


def test_a_branch_that_is_not_stopped_goes_on() -> None:
    play = Play(plan(parallel("both", a=[step("left")], b=[step("right", "other")])))
    stopped(play, "both/a/left")
    assert play.snapshot.run.state is RunState.RUNNING
    play.returns("both/b/right", 1)
    assert play.snapshot.run.state is RunState.WAITING


def test_an_outcome_of_an_attempt_that_was_cut_short_changes_nothing() -> None:
    play = Play(plan(step("work")))
    stopped(play, "work", sent=True)
    move = machine.absorb(play.snapshot, Stopped("work", 1, STOP, "again"), play.now)
    assert move.changes_nothing


def test_a_step_that_the_end_of_a_stop_brings_back_as_its_run_is_taken_up_was_left_by_nobody():
    play = Play(plan(parallel("p", a=[step("x")], b=[step("y")])))
    stopped(play, "p/a/x", sent=True)
    move = machine.begin(lifted(play.snapshot, "p/a/x", 5), later(5))
    assert (move.perform, move.prolonged, move.gets_on) == (("p/a/x", "p/b/y"), {"p/b/y"}, True)
    assert move.facts[0].facts["deadlines"].keys() == {"p/b/y"}
