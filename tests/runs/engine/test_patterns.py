"""Composites: what opens when, what they give, and what one failed part does to the others."""

import pytest

from runs.engine.patterns import fan
from runs.engine.states import Cause, Outcome, StepState

from .factories import for_each, later, parallel, plan, stamp, stamped, step, switch
from .memory import Play

TWO = (step("read"), parallel("both", a=[step("left")], b=[step("right")]))


def each(*do, **said):
    return for_each("each", "=input.list", *(do or (step("look", given={"x": "=item"}),)), **said)


def over(items, *nodes, **said):
    return Play(plan(*nodes, **said), {"list": items})


@pytest.mark.parametrize(("said", "parts", "need"), [("all", 0, 0), ("all", 4, 4), ("any", 0, 0), ("any", 4, 1), (3, 4, 3), (3, 2, 2), (3, 0, 0)])
def test_how_many_parts_must_succeed(said, parts, need):
    assert fan.needed(said, parts) == need


# --- parallel ------------------------------------------------------------------------------------------------------


def test_branches_open_together_once_what_is_before_them_is_done():
    play = Play(plan(*TWO))
    assert play.running == ["read"]
    play.passes("read")
    assert play.running == ["both/a/left", "both/b/right"]


def test_a_parallel_gives_an_object_of_its_branches_in_any_order_of_ending():
    play = Play(plan(*TWO))
    play.passes("read", "both/b/right")
    assert play.running == ["both/a/left"]
    play.passes("both/a/left")
    play.judged("pass")
    assert play.result == {"a": "both/a/left", "b": "both/b/right"}
    assert play.outcome is Outcome.VERIFIED


def test_a_branch_is_a_sequence_that_sees_its_own_and_the_outer_steps():
    inner = [step("one", given={"x": "=steps.read"}), step("two", given={"x": "=steps.read", "y": "=steps.one"})]
    play = Play(plan(step("read"), parallel("both", a=inner, b=[step("right")])))
    play.passes("read", "both/a/one")
    assert play.step("both/a/two").arguments == {"x": "read", "y": "both/a/one"}


def test_one_failed_branch_of_all_cancels_its_siblings_at_once():
    play = Play(plan(*TWO))
    play.passes("read")
    move = play.fails("both/a/left")
    assert (play.outcome, play.cause) == (Outcome.FAILED, Cause.EXCEPTION)
    assert move.abandon == ("both/b/right",)
    assert play.step("both/b/right").state is StepState.CANCELLED


def test_a_failed_parallel_carries_its_branches_causes_and_the_owner_of_the_first():
    play = Play(plan(parallel("both", "any", a=[step("left", "other")], b=[step("right")])))
    play.fails("both/b/right", Cause.CRASHED)
    play.fails("both/a/left", Cause.UPSTREAM)
    failure = play.finish.failure
    assert [part.cause for part in failure.branches] == [Cause.UPSTREAM, Cause.CRASHED]
    assert (failure.cause, failure.owner, failure.team) == (Cause.UPSTREAM, "agent:other", "other-team")
    assert failure.message.startswith("2 of 2 parts of 'both' failed and at least 1 must succeed")


def test_enough_successful_branches_make_a_degraded_run_with_null_where_one_failed():
    play = Play(plan(parallel("both", 1, a=[step("left")], b=[step("right")])))
    play.fails("both/a/left")
    play.passes("both/b/right")
    play.judged("pass")
    assert (play.outcome, play.result) == (Outcome.DEGRADED, {"a": None, "b": "both/b/right"})
    assert [part["step"] for part in play.finished_facts()["missing"]] == ["both/a/left"]


def test_a_parallel_fails_as_soon_as_too_few_branches_are_left():
    play = Play(plan(parallel("p", 2, a=[step("x")], b=[step("y")], c=[step("z")])))
    play.fails("p/a/x")
    assert play.running == ["p/b/y", "p/c/z"]
    play.fails("p/c/z")
    assert play.outcome is Outcome.FAILED


def test_a_parallel_of_any_waits_for_all_that_are_at_work():
    play = Play(plan(parallel("p", "any", a=[step("x")], b=[step("y")])))
    play.passes("p/a/x")
    assert play.running == ["p/b/y"]


def test_a_degrading_parallel_gives_null_and_the_run_goes_on():
    play = Play(plan(parallel("p", on_failure="degrade", a=[step("x")], b=[step("y")]), step("next", given={"p": "=steps.p"})))
    play.fails("p/a/x")
    assert play.step("next").arguments == {"p": None}
    assert play.running == ["next"]


def test_a_step_that_opens_and_is_cancelled_in_one_turn_is_never_performed():
    """The first branch's step is opened before the second branch's wiring fails and takes the parallel down."""
    bad = [step("bad", given={"x": "=steps.read.gone"})]
    play = Play(plan(step("read"), parallel("p", on_failure="degrade", a=[step("x")], b=bad), step("next")))
    move = play.returns("read", {})
    assert move.perform == ("next",)
    assert play.step("p/a/x").state is StepState.CANCELLED


def test_a_part_missing_inside_a_part_that_fails_is_named_once():
    branch = [step("soft", on_failure="degrade"), step("hard")]
    play = Play(plan(parallel("p", "any", a=branch, b=[step("y")])))
    play.fails("p/a/soft")
    play.fails("p/a/hard")
    play.passes("p/b/y")
    play.judged("pass")
    assert [part["step"] for part in play.finished_facts()["missing"]] == ["p/a/hard"]


# --- for_each ------------------------------------------------------------------------------------------------------


def test_a_loop_keeps_its_window_and_the_order_of_its_input():
    play = over([10, 11, 12, 13], each(wide=2))
    assert play.running == ["each/0/look", "each/1/look"]
    play.returns("each/1/look", "b")
    assert play.running == ["each/0/look", "each/2/look"]
    play.returns("each/2/look", "c")
    play.returns("each/3/look", "d")
    play.returns("each/0/look", "a")
    play.judged("pass")
    assert play.result == ["a", "b", "c", "d"]


def test_each_turn_of_a_loop_gets_its_own_item_exactly():
    play = over([{"n": 1}, None, [2.5], True], each())
    assert [play.step(f"each/{number}/look").arguments["x"] for number in range(4)] == [{"n": 1}, None, [2.5], True]


def test_a_loop_over_nothing_gives_an_empty_list_at_once():
    play = over([], each())
    assert play.running == ["verify"]
    play.judged("pass")
    assert (play.result, play.outcome) == ([], Outcome.VERIFIED)


def test_a_window_wider_than_the_list_opens_the_list():
    assert over([1, 2], each(wide=256)).running == ["each/0/look", "each/1/look"]


def test_a_failed_turn_is_null_in_its_place():
    play = over([1, 2, 3], each(min_success=2))
    play.fails("each/1/look")
    play.passes("each/2/look", "each/0/look")
    play.judged("pass")
    assert (play.result, play.outcome) == (["each/0/look", None, "each/2/look"], Outcome.DEGRADED)


def test_a_loop_of_all_stops_at_the_first_failure_and_opens_no_more():
    play = over([1, 2, 3, 4], each(wide=2))
    play.fails("each/1/look")
    assert play.outcome is Outcome.FAILED
    assert sorted(play.snapshot.steps) == ["each/0/look", "each/1/look"]


def test_the_first_part_leads_a_loops_failure_whoever_failed_first():
    play = over([1, 2, 3], each(min_success="any"))
    for number, cause in ((2, Cause.CRASHED), (0, Cause.MISSING), (1, Cause.UPSTREAM)):
        play.fails(f"each/{number}/look", cause)
    assert [part.cause for part in play.finish.failure.branches] == [Cause.MISSING, Cause.UPSTREAM, Cause.CRASHED]
    assert play.cause is Cause.MISSING


@pytest.mark.parametrize("items", [None, {"a": 1}, "abc", 3])
def test_a_loop_over_what_is_no_list_is_the_pipelines_fault(items):
    play = over(items, each())
    assert (play.outcome, play.cause, play.finish.failure.owner) == (Outcome.FAILED, Cause.INPUT, "pipeline:line")
    assert "not a list" in play.finish.failure.message


def test_ten_thousand_items_that_are_all_skipped_end_in_one_turn():
    play = over([0] * 10_000, each(step("look", when="item > 0")))
    assert play.running == ["verify"]


def test_an_empty_loop_is_as_old_as_its_list():
    play = Play(plan(step("read", "reader"), for_each("each", "=steps.read.list", step("look")), agents=(stamped("reader"),)))
    play.returns("read", {**stamp(-30), "list": []})
    assert play.step("verify").inherited.as_of == later(-30)


def test_a_loop_may_have_the_name_of_a_step():
    """What was read counts: the step of that name, not the item."""
    loop = each(step("look", "other", given={"x": "=steps.twin"}), item="twin")
    play = over([1], step("twin", "reader"), loop, agents=(stamped("reader"),))
    play.returns("twin", stamp(-30))
    assert play.step("each/0/look").inherited.as_of == later(-30)


# --- switch --------------------------------------------------------------------------------------------------------

PICK = switch("pick", ("input.n > 10", [step("go", given={"case": "big"})]), ("input.n > 5", [step("go", given={"case": "middle"})]))


@pytest.mark.parametrize(("n", "key"), [(11, "pick/0/go"), (7, "pick/1/go")])
def test_a_switch_takes_the_first_case_that_holds_and_ids_repeat_across_cases(n, key):
    play = Play(plan(PICK), {"n": n})
    assert play.running == [key]
    play.returns(key, n)
    play.judged("pass")
    assert (play.result, play.outcome) == (n, Outcome.VERIFIED)


def test_a_switch_without_a_case_that_holds_is_null_and_nothing_is_missing():
    play = Play(plan(PICK), {"n": 1})
    play.judged("pass")
    assert (play.result, play.outcome) == (None, Outcome.VERIFIED)


def test_a_default_case_is_taken_when_no_other_is():
    assert Play(plan(switch("pick", ("input.n > 10", [step("big")]), (None, [step("rest")]))), {"n": 1}).running == ["pick/1/rest"]


def test_a_failed_case_fails_the_switch_with_its_own_failure():
    play = Play(plan(PICK), {"n": 11})
    play.fails("pick/0/go", Cause.CRASHED)
    assert (play.cause, play.finish.failure.branches) == (Cause.CRASHED, ())


def test_a_case_that_can_not_be_decided_is_wiring():
    play = Play(plan(PICK), {"n": "many"})
    assert (play.outcome, play.cause) == (Outcome.FAILED, Cause.INPUT)


def test_a_case_that_gives_null_is_taken_all_the_same():
    play = Play(plan(PICK), {"n": 11})
    play.returns("pick/0/go", None)
    play.judged("pass")
    assert (play.result, play.outcome) == (None, Outcome.VERIFIED)


# --- when, skip, degrade, nesting ----------------------------------------------------------------------------------


def test_a_step_whose_condition_does_not_hold_is_skipped_and_null():
    play = Play(plan(step("maybe", when="input.go"), step("next", given={"x": "=steps.maybe", "y": "=steps.maybe.deep.in"})), {"go": False})
    assert play.step("maybe").state is StepState.SKIPPED
    assert play.step("next").arguments == {"x": None, "y": None}


def test_a_skipped_part_is_not_missing():
    play = Play(plan(step("maybe", when="input.go"), step("next")), {"go": False})
    play.passes("next")
    play.judged("pass")
    assert play.outcome is Outcome.VERIFIED


@pytest.mark.parametrize("node", [parallel("c", a=[step("x")], when="false"), each(when="false"), switch("c", (None, [step("x")]), when="false")])
def test_a_skipped_composite_opens_nothing(node):
    play = over([1], node, step("last"))
    assert play.running == ["last"]
    assert sorted(play.snapshot.steps) == ["last"]


def test_a_condition_that_gives_no_yes_or_no_is_wiring():
    assert Play(plan(step("maybe", when="1 + 1"))).cause is Cause.INPUT


def test_a_degraded_step_is_null_and_the_run_degraded():
    play = Play(plan(step("soft", on_failure="degrade"), step("next", given={"x": "=steps.soft"})))
    play.fails("soft")
    assert play.step("next").arguments == {"x": None}
    play.passes("next")
    play.judged("pass")
    assert (play.outcome, play.finished_facts()["missing"][0]["cause"]) == (Outcome.DEGRADED, "exception")


def test_three_levels_deep_values_and_failures_find_their_way():
    inner = switch("pick", ("item > 1", [step("big", given={"x": "=item"})]), (None, [step("small")]))
    loop = for_each("each", "=steps.read", inner, min_success="any")
    play = Play(plan(step("read"), parallel("p", a=[loop], b=[step("flat")]), step("end", given={"all": "=steps.p"})))
    play.returns("read", [1, 2])
    assert play.running == ["p/a/each/0/pick/1/small", "p/a/each/1/pick/0/big", "p/b/flat"]
    play.fails("p/a/each/0/pick/1/small")
    play.returns("p/b/flat", "f")
    play.returns("p/a/each/1/pick/0/big", "B")
    assert play.step("end").arguments == {"all": {"a": [None, "B"], "b": "f"}}
    play.passes("end")
    play.judged("pass")
    assert play.outcome is Outcome.DEGRADED


def test_a_failure_deep_inside_cancels_everything_beside_it():
    loop = for_each("each", "=input.list", parallel("q", a=[step("x")], b=[step("y")]))
    play = over([1, 2], parallel("p", a=[loop], b=[step("flat")]))
    play.fails("p/a/each/1/q/b/y")
    assert play.outcome is Outcome.FAILED
    assert {step.state for step in play.snapshot.steps.values()} == {StepState.FAILED, StepState.CANCELLED}
