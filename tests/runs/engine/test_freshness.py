"""The age of data (R2): judged when a result is absorbed, and again when an act or a verify step consumes it."""

import pytest

from runs.engine.limits import combined
from runs.engine.states import Cause, Outcome
from runs.engine.values import BestBefore, Held

from .factories import AT, agent, for_each, judge, later, parallel, plan, stamp, stamped, step, verify
from .memory import Play

READER = stamped("reader", 60)
FEED = (step("read", "reader"), step("write", given={"x": "=steps.read"}))


def feed(*nodes, agents=(), **run):
    verifies = {"agent": "judge", "with": {"claim": "=result"}, "timeout_ms": 3_600_000}
    return Play(plan(*(nodes or FEED), agents=(READER, *agents), verify=verifies, limits={"timeout_ms": 7_200_000}), **run)


@pytest.mark.parametrize("seconds", [60, 0, -60])
def test_data_within_its_age_is_taken_in(seconds):
    play = feed()
    play.returns("read", stamp(seconds))
    assert play.step("read").held.as_of == later(seconds)


def test_stale_data_fails_the_reader_and_names_both_ages():
    play = feed()
    play.returns("read", stamp(-61))
    failure = play.finish.failure
    assert (play.outcome, failure.cause, failure.owner, failure.step) == (Outcome.FAILED, Cause.STALE, "agent:reader", "read")
    assert "is 1 min 1 s old (2026-03-01T11:58:59Z); 'reader' allows 1 min" in failure.message


def test_data_from_the_future_is_stale():
    play = feed()
    play.returns("read", stamp(61))
    assert (play.cause, "stamped 1 min 1 s after" in play.finish.failure.message) == (Cause.STALE, True)


@pytest.mark.parametrize("value", [{"as_of": "yesterday"}, {"as_of": "2026-03-01T12:00:00"}])
def test_a_stamp_that_is_no_instant_breaks_the_contract(value):
    play = feed()
    play.returns("read", value)
    assert (play.cause, "freshness can't be judged" in play.finish.failure.message) == (Cause.CONTRACT, True)


def test_a_missing_stamp_breaks_the_contract():
    play = feed(agents=(stamped("reader", output={}),))
    play.returns("read", {})
    assert (play.cause, "no instant at 'as_of'" in play.finish.failure.message) == (Cause.CONTRACT, True)


def test_history_is_judged_as_of_its_own_time():
    play = feed(as_of=later(-86_400))
    play.returns("read", stamp(-86_430))
    play.now = later(3_000)
    play.returns("write", 1) if play.step("write").deadline_at > play.now else play.fails("write")
    assert play.step("read").held.as_of == later(-86_430)


@pytest.mark.parametrize("seconds", [-86_400 + 61, -86_400 - 61])
def test_history_has_a_future_and_a_past_of_its_own(seconds):
    play = feed(as_of=later(-86_400))
    play.returns("read", stamp(seconds))
    assert play.cause is Cause.STALE


def test_a_result_is_as_old_as_the_oldest_of_its_inputs():
    play = feed(parallel("both", a=[step("new", "reader")], b=[step("old", "reader")]), step("write", given={"x": "=steps.both"}))
    play.returns("both/a/new", stamp(-5))
    play.returns("both/b/old", stamp(-40))
    play.returns("write", "text")
    assert play.step("write").held.as_of == later(-40)
    assert play.step("write").held.best_before.at == later(20)
    assert play.step("write").held.best_before.step == "both/b/old"


def test_an_own_stamp_does_not_make_old_inputs_new():
    play = feed(step("read", "reader"), step("write", "reader", given={"x": "=steps.read"}))
    play.returns("read", stamp(-40))
    play.returns("write", stamp(0))
    assert (play.step("write").held.as_of, play.step("write").held.best_before.at) == (later(-40), later(20))


def test_loop_items_carry_the_age_of_their_list():
    play = feed(step("read", "reader"), for_each("each", "=steps.read.list", step("look", given={"x": "=item"})))
    play.returns("read", {**stamp(-10), "list": [1, 2]})
    assert play.step("each/1/look").inherited.as_of == later(-10)


def test_a_verifier_does_not_consume_what_has_gone_stale_meanwhile():
    play = feed(step("read", "reader"), step("write", given={"x": "=steps.read"}, timeout_ms=600_000))
    play.returns("read", stamp())
    play.now = later(61)
    play.returns("write", 1)
    failure = play.finish.failure
    assert (play.outcome, failure.cause, failure.owner, failure.team) == (Outcome.FAILED, Cause.STALE, "agent:reader", "reader-team")
    assert play.running == []


def test_a_verifier_of_history_consumes_it_whenever_it_comes():
    play = feed(step("read", "reader"), step("write", given={"x": "=steps.read"}, timeout_ms=600_000), as_of=AT)
    play.returns("read", stamp())
    play.now = later(599)
    play.returns("write", 1)
    play.judged("pass")
    assert play.outcome is Outcome.VERIFIED


def test_a_verify_node_does_not_consume_stale_data_either():
    play = feed(step("read", "reader"), step("slow", timeout_ms=600_000), verify("proof", given={"x": "=steps.read"}))
    play.returns("read", stamp())
    play.now = later(61)
    play.returns("slow", 1)
    assert (play.outcome, play.cause) == (Outcome.FAILED, Cause.STALE)


ACTOR = agent("actor", role="act", mode="read")
ACT = (step("read", "reader"), step("act", "actor", given={"x": "=steps.read"}, retry={"max": 1, "backoff_ms": 1000}))


def test_an_act_does_not_consume_stale_data():
    slow = step("slow", timeout_ms=600_000)
    play = feed(ACT[0], slow, ACT[1], agents=(ACTOR,))
    play.returns("read", stamp())
    play.now = later(61)
    play.returns("slow", 1)
    assert (play.cause, play.running) == (Cause.STALE, [])


def test_a_second_attempt_of_an_act_does_not_consume_what_has_gone_stale_meanwhile():
    play = feed(*ACT, agents=(ACTOR,))
    play.returns("read", stamp(-55))
    play.now = later(4.5)
    play.fails("act")
    play.after(1)
    assert (play.outcome, play.cause, play.finish.failure.owner) == (Outcome.FAILED, Cause.STALE, "agent:reader")


def test_a_decision_may_rest_on_data_that_is_no_longer_fresh():
    play = feed(step("read", "reader"), step("slow", timeout_ms=600_000), step("write", given={"x": "=steps.read"}))
    play.returns("read", stamp())
    play.now = later(61)
    play.returns("slow", 1)
    assert play.running == ["write"]


def test_a_resumed_run_does_not_hand_its_verifier_what_has_gone_stale_meanwhile():
    play = feed()
    play.returns("read", stamp())
    play.returns("write", 1)
    assert play.running == ["verify"]
    play.now = later(61)
    move = play.crashes()
    assert (play.outcome, play.cause, play.finish.failure.owner) == (Outcome.FAILED, Cause.STALE, "agent:reader")
    assert (move.perform, "verify" in move.abandon) == ((), True)


def test_two_stale_verify_nodes_of_a_resumed_run_fail_their_parallel_once():
    proofs = {name: [verify(f"proof_{name}", given={"x": "=steps.read"}, timeout_ms=600_000)] for name in "ab"}
    play = feed(FEED[0], parallel("both", on_failure="degrade", **proofs), step("next"))
    play.returns("read", stamp())
    play.now = later(61)
    move = play.crashes()
    assert (play.running, sorted(move.abandon)) == (["next"], ["both/a/proof_a", "both/b/proof_b"])


def test_an_act_refuses_history_unless_the_pipeline_may_be_replayed():
    play = Play(plan(step("act", "actor"), agents=(ACTOR,)), as_of=AT)
    assert (play.outcome, play.cause, play.running) == (Outcome.FAILED, Cause.INPUT, [])
    assert Play(plan(step("act", "actor"), agents=(ACTOR,), replayable=True), as_of=AT).running == ["act"]


def test_a_fallback_that_acts_refuses_history_too():
    play = Play(plan(step("act", fallback="actor"), agents=(ACTOR,)), as_of=AT)
    play.fails("act")
    play.after(0)
    assert (play.outcome, play.cause) == (Outcome.FAILED, Cause.INPUT)


def test_a_verifier_that_finds_an_older_source_rejects():
    play = feed(FEED[0], agents=(judge(),))
    play.returns("read", stamp())
    play.judged("pass", as_of=later(-120).isoformat())
    assert play.outcome is Outcome.REJECTED


def test_of_two_that_spoil_at_once_the_same_is_named_in_every_process():
    one, two = (Held(1, best_before=BestBefore(AT, name)) for name in ("a", "b"))
    assert combined((two, one), None).best_before.step == combined((one, two), None).best_before.step == "a"
