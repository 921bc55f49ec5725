"""Manifests to plans: every kind of node, places in a run, and what must not run at all."""

import pytest

from runs.engine import places, planner
from runs.engine.states import Mode
from runs.engine.values import ForEachNode, ParallelNode, StepNode, SwitchNode

from .factories import agent, for_each, judge, manifest, parallel, plan, step, switch, verify

NESTED = plan(
    step("read"),
    parallel("both", a=[step("one")], b=[for_each("each", "=steps.read", switch("pick", ("item > 1", [step("big")]), (None, [step("small")])))]),
)


def only(*nodes, **said):
    return plan(*nodes, **said).root.nodes[0]


def test_a_step_is_compiled_with_its_bounds_and_what_it_reads():
    node = only(
        step("work", given={"a": "=steps.read.x", "b": "=item.y + input.z", "c": "==literal"}, timeout_ms=5, retry={"max": 2, "backoff_ms": 7}),
        step("late"),
    )
    assert isinstance(node, StepNode)
    assert (node.timeout_ms, node.retries, node.backoff_ms, node.degrades, node.judges) == (5, 2, 7, False, False)
    assert node.reads == {"steps.read", "item", "input"}


def test_a_step_takes_its_agents_timeout_where_it_says_none():
    assert only(step("work")).timeout_ms == 10_000


def test_a_step_without_any_timeout_is_no_plan():
    with pytest.raises(planner.PlanError, match="no timeout"):
        plan(step("work", "slow"), agents=(agent("slow", timeout_ms=None),))


def test_fallback_degrade_and_when_are_kept():
    node = only(step("work", fallback="other", on_failure="degrade", when="input.go"), step("last"))
    assert (node.fallback, node.degrades, node.when) == ("other", True, "input.go")


@pytest.mark.parametrize(("said", "need"), [("all", 3), ("any", 1), (2, 2), (9, 3)])
def test_a_parallel_knows_how_many_branches_it_needs(said, need):
    node = only(parallel("both", said, a=[step("a")], b=[step("b")], c=[step("c")]))
    assert isinstance(node, ParallelNode)
    assert node.need == need


def test_branches_stand_by_name_whatever_order_a_database_gives_them_back_in():
    node = only(parallel("both", zebra=[step("one")], ant=[step("two")]))
    assert isinstance(node, ParallelNode)
    assert [name for name, _ in node.branches] == ["ant", "zebra"]


def test_a_loop_is_compiled_with_its_window_and_what_its_items_come_from():
    node = only(for_each("each", "=steps.read.list", step("do"), item="x", wide=3))
    assert isinstance(node, ForEachNode)
    assert (node.name, node.max_concurrency, node.reads) == ("x", 3, {"steps.read"})


def test_a_switch_keeps_its_cases_in_order():
    node = only(switch("pick", ("input.a", [step("one")]), (None, [step("two")])))
    assert isinstance(node, SwitchNode)
    assert [when for when, _ in node.cases] == ["input.a", None]


def test_the_final_verify_comes_last_and_reads_the_result():
    final = plan(step("a"), step("b")).root.nodes[-1]
    assert (final.id, final.judges, final.final, final.reads) == ("verify", True, True, {"steps.b"})


def test_a_verify_node_judges_and_does_not_end_the_run():
    node = only(verify("proof"), step("after"))
    assert (node.judges, node.final, node.retries) == (True, False, 0)


def test_an_agent_knows_its_mode():
    known = plan(step("a", "keyed"), agents=(agent("keyed", mode={"idempotent": "=input.path"}),)).agents
    assert (known["keyed"].mode, known["worker"].mode) == (Mode.IDEMPOTENT, Mode.READ)


def test_another_engines_release_is_incompatible():
    with pytest.raises(planner.IncompatiblePlan, match="ABI 5, and this one carries out 1, 2, 3, 4"):
        planner.compiled({**manifest(), "engine_abi": 5}, digest="d")


def test_a_node_of_an_unknown_kind_is_incompatible():
    with pytest.raises(planner.IncompatiblePlan, match="magentic"):
        plan({"kind": "magentic", "id": "lead"})


def test_an_unrunnable_plan_names_its_owner_and_has_no_steps():
    shell = planner.unrunnable(manifest(), digest="d")
    assert (shell.pipeline, shell.team, shell.root.nodes) == ("line", "liners", ())


def test_a_reverification_is_the_final_verify_alone():
    whole = plan(step("a"), step("b"))
    again = planner.verification_only(whole)
    assert [node.id for node in again.root.nodes] == ["verify"]
    assert (again.last, again.criteria, again.agents) == (whole.last, whole.criteria, whole.agents)


# --- places --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["read", "verify", "both/a/one", "both/b/each/0/pick/0/big", "both/b/each/17/pick/1/small"])
def test_a_place_of_the_plan_is_found_by_its_key(key):
    assert places.node_at(NESTED.root, key).id == key.rpartition("/")[2]


@pytest.mark.parametrize(
    "key",
    (
        " gone both read/x read/ both/c/one both/a/gone both/b/each/x/pick/0/big both/b/each/0/pick/2/big both/b/each/0/pick/0/small "
        "both/b/each/0/pick both/b/each/0/pick/x/big both/b/each//pick/0/big"
    ).split(" "),
)
def test_a_key_without_a_place_finds_nothing(key):
    assert places.node_at(NESTED.root, key) is None


# --- what must not run ---------------------------------------------------------------------------------------------


def refused(*nodes, agents=(), match="R4", **spec):
    with pytest.raises(planner.PlanError, match=match):
        plan(*nodes, agents=agents, **spec)


def test_a_performer_does_not_verify():
    refused(step("work", "judge"))


def test_a_fallback_had_a_part_in_the_work_too():
    refused(step("work", fallback="judge"))


def test_a_performer_deep_inside_does_not_verify():
    refused(parallel("p", a=[for_each("e", "=input", switch("s", (None, [step("deep", "judge")])))]))


def test_a_copy_under_another_name_does_not_verify():
    refused(step("work"), agents=(judge(executable=agent("worker")["spec"]["executable"]),))


def test_a_verify_node_is_held_to_the_same_rule():
    refused(step("work"), verify("proof", "twin"), agents=(judge("twin", executable=agent("worker")["spec"]["executable"]),))


@pytest.mark.parametrize(("mine", "theirs"), [("worker", None), (None, "judge"), ("old", "worker")])
def test_descent_in_either_direction_is_a_copy(mine, theirs):
    refused(step("work"), agents=(judge(derived_from=mine), agent("worker", derived_from=theirs), agent("old", derived_from="worker")))


def test_two_copies_of_one_original_do_not_judge_each_other():
    refused(step("work"), agents=(judge(derived_from="original"), agent("worker", derived_from="original")))


def test_descent_in_a_circle_ends():
    assert plan(step("work"), agents=(agent("worker", derived_from="other"), agent("other", derived_from="worker"))).last == "work"


@pytest.mark.parametrize("node", [step("work", "nobody"), step("work", "nobody", timeout_ms=5), step("work", fallback="nobody")])
def test_an_agent_that_the_release_lacks_is_no_plan(node):
    with pytest.raises(planner.PlanError):
        plan(node)


@pytest.mark.parametrize("node", [step("verify"), verify("verify"), parallel("verify", a=[step("x")])])
def test_no_step_takes_the_place_of_the_final_verification(node):
    refused(node, step("last"), match="place of the final verification")
