"""A run's life between begin and finish: what moves it, what is never used, who owns a failure, what a crash leaves."""

from dataclasses import replace

import pytest

from runs.engine import machine
from runs.engine.outcomes import Failed, Returned
from runs.engine.states import Cause, IllegalMove, Outcome, RunState, StepState
from runs.engine.values import instant_text

from .factories import AT, agent, later, parallel, plan, run, step
from .memory import Play, finishing

LINE = (step("a", given={"x": "=input.x"}), step("b", "other", given={"x": "=steps.a"}))


def line(**said):
    return Play(plan(*LINE), {"x": 1}, **said)


def done(play):
    play.passes("a", "b")
    return play


# --- the straight way -------------------------------------------------------------------------------------------------


def test_a_line_of_steps_ends_verified_with_the_last_ones_result():
    play = done(line())
    play.judged("pass")
    assert (play.outcome, play.result) == (Outcome.VERIFIED, "b")
    assert play.verbs == [
        "run.started", "step.started", "step.returned", "step.started", "step.returned", "step.started", "step.judged", "run.finished"
    ]  # fmt: skip


def test_the_finish_is_written_once_and_last():
    play = done(line())
    play.judged("pass")
    assert finishing(play.rows.facts) == [len(play.rows.facts) - 1]


def test_what_is_at_work_is_cancelled_before_the_finish_is_written():
    play = Play(plan(parallel("p", a=[step("x")], b=[step("y")])))
    play.fails("p/a/x")
    assert play.verbs[-3:] == ["step.failed", "step.cancelled", "run.finished"]


def test_the_finishing_entry_names_the_digests_of_result_and_verdict():
    play = done(line())
    play.judged("pass")
    facts = play.finished_facts()
    assert (facts["outcome"], len(facts["result"]), len(facts["verdict"])) == ("verified", 64, 64)
    assert facts["result"] == play.finish.result_digest


def test_a_run_of_skipped_steps_is_still_verified():
    play = Play(plan(step("a", when="false")))
    play.judged("pass")
    assert (play.outcome, play.result) == (Outcome.VERIFIED, None)


# --- finished is final; illegal moves ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "move",
    [
        machine.begin,
        machine.rebuild,
        machine.decide,
        lambda s, t: machine.absorb(s, Returned("b", 1, 1), t),
        lambda s, t: machine.failed_run(s, Cause.LOST, "gone", t),
    ],
)
def test_finished_is_final(move):
    play = done(line())
    play.judged("pass")
    before = replace(play.snapshot)
    with pytest.raises(IllegalMove, match="finished is final"):
        move(play.snapshot, later(1))
    assert play.snapshot == before


def test_an_outcome_for_a_step_that_is_not_there_is_illegal_and_changes_nothing():
    play = line()
    before = replace(play.snapshot, steps=dict(play.snapshot.steps), frames=dict(play.snapshot.frames))
    with pytest.raises(IllegalMove, match="no step 'gone'"):
        machine.absorb(play.snapshot, Returned("gone", 1, 1), AT)
    assert play.snapshot == before


def test_a_move_leaves_the_snapshot_it_was_made_over_as_it_was():
    play = line()
    before = replace(play.snapshot, steps=dict(play.snapshot.steps), frames=dict(play.snapshot.frames))
    over = play.snapshot
    play.passes("a")
    assert over == before


def test_time_alone_changes_nothing_before_it_is_due():
    play = line()
    assert play.after(9).changes_nothing
    assert machine.wake_at(play.snapshot) == later(10)


# --- late results -----------------------------------------------------------------------------------------------------


def test_a_result_of_an_earlier_attempt_is_never_used():
    play = Play(plan(step("a", retry={"max": 1, "backoff_ms": 0})))
    play.fails("a")
    play.after(0)
    assert play.returns("a", "late", attempt=1).changes_nothing
    play.returns("a", "right")
    play.judged("pass")
    assert play.result == "right"


def test_a_result_that_comes_while_a_retry_is_pending_is_never_used():
    play = Play(plan(step("a", retry={"max": 1, "backoff_ms": 1000})))
    play.fails("a")
    assert play.returns("a", "late", attempt=1).changes_nothing
    assert play.returns("a", "early", attempt=2).changes_nothing


def test_a_second_result_of_one_attempt_is_never_used():
    play = line()
    play.returns("a", "first")
    assert play.returns("a", "second", attempt=1).changes_nothing
    assert play.step("b").arguments == {"x": "first"}


def test_a_result_after_the_steps_deadline_is_not_used_though_nobody_noticed_yet():
    play = line()
    play.now = later(10)
    play.returns("a", "late")
    assert (play.outcome, play.cause) == (Outcome.FAILED, Cause.DEADLINE)


# --- contracts --------------------------------------------------------------------------------------------------------

NUMBER = (agent("worker", output={"type": "number"}),)


def test_a_result_that_breaks_its_contract_fails_its_agent_and_nobody_reads_it():
    play = Play(plan(*LINE, agents=NUMBER), {"x": 1})
    play.returns("a", "one")
    failure = play.finish.failure
    assert (failure.cause, failure.owner, failure.team, failure.step) == (Cause.CONTRACT, "agent:worker", "worker-team", "a")
    assert "contract of 'worker'" in failure.message
    assert "b" not in play.snapshot.steps


@pytest.mark.parametrize("value", [2**60, float("nan"), {1: 2}, {"x": object()}, "\ud800"])
def test_a_result_that_is_no_json_breaks_its_contract(value):
    play = line()
    play.returns("a", value)
    assert play.cause is Cause.CONTRACT


def test_an_input_that_breaks_the_agents_contract_is_the_pipelines_fault_and_is_never_sent():
    play = Play(plan(step("a", given={"x": "=input.x"}), agents=(agent("worker", input={"properties": {"x": {"type": "string"}}}),)), {"x": 1})
    assert (play.cause, play.finish.failure.owner, play.finish.failure.team) == (Cause.INPUT, "pipeline:line", "liners")
    assert play.running == []
    assert play.step("a").state is StepState.FAILED


def test_an_input_that_names_what_is_not_there_says_so():
    play = Play(plan(step("a", given={"x": "=input.gone"})), {"here": 1})
    assert (play.cause, "there is: here" in play.finish.failure.message) == (Cause.INPUT, True)


def test_a_wiring_failure_may_be_declared_to_degrade():
    play = Play(plan(step("a", given={"x": "=input.gone"}, on_failure="degrade"), step("b")))
    assert play.running == ["b"]


# --- deadlines and cancels --------------------------------------------------------------------------------------------


def test_a_step_is_failed_at_its_deadline_with_its_owner():
    play = line()
    play.at(10)
    failure = play.finish.failure
    assert (failure.cause, failure.owner, failure.step) == (Cause.DEADLINE, "agent:worker", "a")
    assert failure.message == "step 'a' had 10 s and did not finish in time"


def test_a_step_never_outlives_its_run():
    assert Play(plan(step("a"), limits={"timeout_ms": 4_000})).step("a").deadline_at == later(4)


def test_a_run_past_its_deadline_has_failed_and_names_who_was_at_work():
    play = Play(plan(step("a", "other", timeout_ms=60_000), limits={"timeout_ms": 30_000}))
    play.at(30)
    failure = play.finish.failure
    assert (play.outcome, failure.cause, failure.owner) == (Outcome.FAILED, Cause.DEADLINE, "agent:other")
    assert "30 s (limits.timeout)" in failure.message


def test_a_queued_run_past_its_deadline_fails_without_having_started():
    play = Play(plan(), begin=False)
    play.now = later(600)
    play.take(machine.begin(play.snapshot, play.now))
    assert (play.outcome, play.cause, play.finish.failure.owner) == (Outcome.FAILED, Cause.DEADLINE, "pipeline:line")
    assert play.verbs == ["run.finished"]


@pytest.mark.parametrize("outcome", [Returned("a", 1, 1), Failed("a", 1, Cause.EXCEPTION, "late")])
@pytest.mark.parametrize("why", ["deadline", "cancel"])
def test_nothing_opens_after_the_runs_deadline_or_a_cancel_whatever_comes_in(outcome, why):
    play = Play(plan(step("a", timeout_ms=600_000, on_failure="degrade", retry={"max": 1, "backoff_ms": 0}), step("b")))
    play.performing.pop("a")
    over = play.snapshot
    if why == "cancel":
        over = replace(over, run=replace(over.run, cancel_by="alice"))
    move = machine.absorb(over, outcome, later(600) if why == "deadline" else AT)
    assert (move.opened, move.perform) == ((), ())
    assert move.finish.outcome is (Outcome.CANCELLED if why == "cancel" else Outcome.FAILED)


def test_a_retry_does_not_wait_past_the_runs_deadline():
    play = Play(plan(step("a", retry={"max": 3, "backoff_ms": 60_000}), limits={"timeout_ms": 20_000}))
    play.fails("a")
    assert play.last.wake_at == later(20)
    play.at(20)
    assert (play.outcome, play.step("a").state) == (Outcome.FAILED, StepState.CANCELLED)


def test_a_cancel_ends_the_run_and_abandons_what_is_at_work():
    play = line()
    move = play.is_cancelled()
    assert (play.outcome, move.abandon, move.perform) == (Outcome.CANCELLED, ("a",), ())
    assert play.finish.failure is None


def test_a_run_cancelled_before_it_began_never_starts():
    play = line(begin=False, cancel_by="alice")
    play.take(machine.begin(play.snapshot, AT))
    assert (play.outcome, play.verbs) == (Outcome.CANCELLED, ["run.finished"])


def test_a_run_ends_for_the_platforms_reasons_with_its_owner():
    play = line()
    play.take(machine.failed_run(play.snapshot, Cause.LOST, "nobody could", AT))
    assert (play.outcome, play.finish.failure.owner, play.finish.failure.team) == (Outcome.FAILED, "platform", None)


# --- owners -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "owner", "team"),
    [(cause, "agent:worker", "worker-team") for cause in ("stale", "missing", "contract", "deadline", "stalled", "exception", "crashed", "refused")]
    + [(cause, "pipeline:line", "liners") for cause in ("input", "budget")]
    + [(cause, "platform", None) for cause in ("lost", "unresolved", "tampered", "diverged", "incompatible")],
)
def test_every_cause_has_its_owner(cause, owner, team):
    play = line()
    play.fails("a", Cause(cause))
    assert (play.finish.failure.owner, play.finish.failure.team, play.finished_facts()["failure"]["cause"]) == (owner, team, cause)


def test_a_tools_failure_belongs_to_the_tool():
    play = line()
    play.fails("a", Cause.UPSTREAM, owner="tool:fetch")
    assert (play.finish.failure.owner, play.finish.failure.team) == ("tool:fetch", None)


# --- taken up again ---------------------------------------------------------------------------------------------------


def test_a_resumed_run_performs_what_was_at_work_and_opens_nothing_twice():
    play = Play(plan(parallel("p", a=[step("x"), step("y")], b=[step("z")])))
    play.passes("p/a/x")
    move = play.crashes()
    assert (move.perform, move.opened, play.verbs[-1]) == (("p/a/y", "p/b/z"), (), "run.resumed")


@pytest.mark.parametrize(("limit", "until"), [(600, 19), (12, 12)], ids=["the whole", "within the run's"])
def test_what_was_at_work_has_its_time_once_more_which_is_no_progress(limit, until):
    play = Play(plan(step("a"), limits={"timeout_ms": limit * 1000}))
    play.now = later(9)
    move = play.crashes()
    assert play.step("a").deadline_at == later(until)
    assert (move.prolonged, move.gets_on) == ({"a"}, False)
    assert move.facts[0].facts["deadlines"] == {"a": instant_text(later(until))}
    play.passes("a")
    assert play.step("a").state is StepState.RETURNED


def test_a_pending_retry_survives_a_crash():
    play = Play(plan(step("a", retry={"max": 1, "backoff_ms": 1000})))
    play.fails("a")
    play.crashes()
    assert (play.running, machine.wake_at(play.snapshot)) == ([], later(1))
    play.at(1)
    assert play.running == ["a"]


@pytest.mark.parametrize("crash", [False, True])
def test_a_run_that_fails_with_its_work_done_keeps_its_result_after_a_crash_too(crash):
    play = Play(plan(step("soft", on_failure="degrade"), step("last"), verify={"agent": "judge", "with": {}, "timeout_ms": 900_000}))
    play.fails("soft")
    play.passes("last")
    play.now = later(600)
    if crash:
        play.crashes()
    else:
        play.after(0)
    assert (play.outcome, play.result, len(play.finished_facts()["missing"])) == (Outcome.FAILED, "last", 1)


def test_rebuilding_a_snapshot_that_has_frames_changes_nothing():
    play = Play(plan(step("soft", on_failure="degrade"), parallel("p", a=[step("x")], b=[step("y")])))
    play.fails("soft")
    again = machine.rebuild(play.snapshot, play.now)
    assert again.snapshot == play.snapshot
    assert again.changes_nothing


def test_a_run_view_says_against_which_instant_it_is_judged():
    assert run(plan()).reference(later(5)) == later(5)
    assert run(plan(), as_of=AT).reference(later(5)) == AT


def test_the_snapshot_of_a_finished_run_is_finished():
    play = done(line())
    play.judged("pass")
    assert (play.snapshot.run.state, play.snapshot.run.finished_at, play.snapshot.open) == (RunState.FINISHED, AT, frozenset())
