"""Verdicts and the outcomes they give; the second judgement of a stored result."""

import pytest

from runs.engine import machine, planner
from runs.engine.states import Cause, Outcome

from .factories import AT, judge, parallel, plan, step, verify
from .memory import Play, finishing

LINE = (step("a", given={"x": "=input.x"}), step("b", "other", given={"x": "=steps.a"}))


def line(**said):
    return Play(plan(*LINE), {"x": 1}, **said)


def done(play):
    play.passes("a", "b")
    return play


# --- verdicts and outcomes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "draft", "outcome"),
    [
        (["pass"], False, Outcome.VERIFIED),
        (["pass"], True, Outcome.UNVERIFIED),
        (["fail"], False, Outcome.REJECTED),
        (["fail"], True, Outcome.REJECTED),
        (["inconclusive"], False, Outcome.UNVERIFIED),
        ([], False, Outcome.UNVERIFIED),
    ],
)
def test_the_final_verdict_decides_the_outcome(words, draft, outcome):
    play = done(line(draft=draft))
    play.judged(*words)
    assert (play.outcome, play.result, play.finish.failure) == (outcome, "b", None)


def test_criteria_are_checked_over_the_result_and_the_steps():
    play = Play(plan(*LINE, criteria={"same": {"expression": "result == steps.b && steps.a == 'a' && input.x == 1"}}), {"x": 1})
    done(play)
    play.judged("pass")
    assert play.outcome is Outcome.VERIFIED


def test_a_verifier_that_asks_for_the_criteria_gets_them():
    asking = judge(input={"properties": {"criteria": {"type": "array"}}})
    play = Play(plan(agents=(asking,), criteria={"short": {"expression": "size(result) < 9"}, "kind": {"judged": "It is kind"}}))
    play.passes("work")
    assert play.step("verify").arguments["criteria"] == [
        {"name": "short", "expression": "size(result) < 9"},
        {"name": "kind", "judged": "It is kind"},
    ]


@pytest.mark.parametrize("cause", [Cause.EXCEPTION, Cause.CRASHED, Cause.MISSING, Cause.DENIED, Cause.UNRESOLVED])
def test_a_verifier_that_fails_leaves_the_result_unverified(cause):
    play = done(line())
    play.fails("verify", cause)
    assert (play.outcome, play.cause, play.result) == (Outcome.UNVERIFIED, cause, "b")


@pytest.mark.parametrize("said", ["yes", {"checks": "all"}, {"checks": [{"criterion": "a", "verdict": "maybe", "why": "", "read": []}]}])
def test_a_verifier_that_gives_no_verdict_leaves_the_result_unverified(said):
    play = done(line())
    play.returns("verify", said)
    assert (play.outcome, play.cause) == (Outcome.UNVERIFIED, Cause.CONTRACT)


def test_a_verifier_that_runs_out_of_time_leaves_the_result_unverified():
    play = done(line())
    play.at(10)
    assert (play.outcome, play.cause) == (Outcome.UNVERIFIED, Cause.DEADLINE)


def test_a_verifier_that_can_not_be_asked_leaves_the_result_unverified():
    play = Play(plan(verify={"agent": "judge", "with": {"x": "=input.gone"}, "timeout_ms": None}))
    play.passes("work")
    assert (play.outcome, play.cause, play.result) == (Outcome.UNVERIFIED, Cause.INPUT, "work")


MIDWAY = (step("a"), verify("proof", given={"claim": "=steps.a"}), step("b"))


def test_a_passing_verify_node_lets_the_work_go_on():
    play = Play(plan(*MIDWAY))
    play.passes("a")
    play.judged("pass", key="proof")
    assert play.running == ["b"]
    play.passes("b")
    play.judged("pass")
    assert play.outcome is Outcome.VERIFIED


@pytest.mark.parametrize(("word", "outcome"), [("fail", Outcome.REJECTED), ("inconclusive", Outcome.UNVERIFIED)])
def test_a_verify_node_that_does_not_pass_ends_the_run_there(word, outcome):
    play = Play(plan(*MIDWAY))
    play.passes("a")
    play.judged(word, key="proof")
    assert (play.outcome, play.result, "b" in play.snapshot.steps) == (outcome, None, False)
    assert play.finished_facts()["verdict"] is not None


def test_a_verify_node_that_can_not_be_asked_leaves_the_run_unverified_though_its_branch_could_fail():
    branch = [verify("proof", given={"x": "=input.gone"})]
    play = Play(plan(parallel("p", "any", a=branch, b=[step("x")])))
    assert play.outcome is Outcome.UNVERIFIED


def test_a_verify_node_blames_the_node_before_it():
    play = Play(plan(*MIDWAY))
    play.passes("a")
    play.judged("fail", key="proof")
    assert play.step("proof").held.value["checks"][0]["blames"] == "a"


def test_two_verifiers_that_fail_at_once_end_the_run_once():
    play = Play(plan(parallel("p", a=[verify("one")], b=[verify("two")])))
    play.at(10)
    assert play.outcome is Outcome.UNVERIFIED
    assert finishing(play.rows.facts) == [len(play.rows.facts) - 1]


def test_the_verdict_that_ended_the_run_is_the_one_recorded():
    """A verify node that passed is not the verdict of a run that failed later, crash or no crash."""
    ends = []
    for crash in (False, True):
        play = Play(plan(*MIDWAY))
        play.passes("a")
        play.judged("pass", key="proof")
        if crash:
            play.crashes()
        play.fails("b")
        ends.append(play.finished_facts())
    assert ends[0] == ends[1]
    assert ends[0]["verdict"] is None


# --- reverify ---------------------------------------------------------------------------------------------------------


def test_a_reverification_judges_the_stored_result_alone():
    whole = plan(*LINE)
    old = done(line())
    old.fails("verify")
    work = machine.work_of(old.rows.load(), AT)
    assert {name: held.value for name, held in work[0].items()} == {"a": "a", "b": "b"}
    again = Play(planner.verification_only(whole), {"x": 1}, begin=False, work=work)
    again.take(machine.begin(again.snapshot, AT))
    assert again.running == ["verify"]
    again.judged("pass")
    assert (again.outcome, again.result) == (Outcome.VERIFIED, "b")


def test_a_reverification_of_work_with_a_missing_part_is_at_best_degraded():
    whole = plan(step("a", on_failure="degrade"), step("b", "other", given={"x": 1}))
    old = Play(whole)
    old.fails("a")
    old.passes("b")
    old.fails("verify")
    again = Play(planner.verification_only(whole), begin=False, work=machine.work_of(old.rows.load(), AT))
    again.take(machine.begin(again.snapshot, AT))
    again.judged("pass")
    assert again.outcome is Outcome.DEGRADED


def test_a_run_that_is_judged_as_of_then_tells_its_steps():
    play = Play(plan(step("a", given={"at": "=run.as_of", "draft": "=run.draft"})), as_of=AT)
    assert play.step("a").arguments == {"at": "2026-03-01T12:00:00.000000Z", "draft": False}
