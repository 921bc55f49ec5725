"""A loop that spreads, without a database: whatever its items do, the run above comes to what it would have come to without."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runs.engine import machine, places
from runs.engine.answers import Answer
from runs.engine.families import ShareNode
from runs.engine.patterns import children, spreading
from runs.engine.states import Cause, RunState, StepState
from runs.engine.values import BestBefore, Block, BlockFrame, Held, Plan, StepNode
from tests.runs.engine import factories
from tests.runs.engine.factories import for_each, later, parallel, step
from tests.runs.engine.memory import Play

BODY = (step("soft", given={"x": "=item"}, on_failure="degrade"), step("one", given={"x": "=item", "base": "=steps.base"}))


def plan(*do: dict[str, Any], more: tuple[dict[str, Any], ...] = (), **said: Any) -> Plan:
    return factories.plan(step("base"), for_each("each", "=input.list", *(do or BODY), **said), *more, step("after", given={"all": "=steps.each"}))


def wide(count: int) -> dict[str, Any]:
    return {"list": list(range(count))}


def child_of(play: Play, key: str) -> Play:
    """The run of a share, begun from what its step was told."""
    share_plan = places.share_of(play.snapshot.plan, key)
    assert share_plan is not None
    given, held, share = spreading.read(play.snapshot.steps[key].arguments)
    return Play(share_plan, given, share=share, work=(held, ()), parent="r1")


def answer(play: Play, key: str, said: dict[str, Any]) -> None:
    """The run of a share has ended, and the one above is taken up again."""
    waiting = play.snapshot.steps[key]
    if waiting.state is not StepState.WAITING or play.rows.finish is not None:
        return  # its part of the run has ended without it
    assert waiting.wait is not None
    heard = replace(waiting, wait=replace(waiting.wait, answer=Answer(play.now, "system:system", said)))
    run = replace(play.snapshot.run, state=RunState.RUNNING, remaining_ms=None, wake_at=None)
    play.snapshot = replace(play.snapshot, run=run, steps={**play.snapshot.steps, key: heard})
    play.take(machine.decide(play.snapshot, play.now))


def done(play: Play, key: str, bad: set[str]) -> None:
    child = child_of(play, key)
    work_until_verify(child, bad)
    answer(play, key, children.answer_of(child.snapshot, child.finish))


def shares(play: Play) -> list[str]:
    return [key for key, each in play.snapshot.steps.items() if isinstance(each.node, ShareNode)]


def judged(play: Play, bad: set[str]) -> tuple[Any, ...]:
    """What the run comes to once its verifier passes it."""
    work_until_verify(play, bad)
    if play.rows.finish is None:
        play.judged("pass")
    finish = play.finish
    missing = sorted((part.step or "", str(part.cause)) for part in play.snapshot.missing)
    return finish.outcome, None if finish.result is None else finish.result.value, missing, play.cause


def work_until_verify(play: Play, bad: set[str]) -> None:
    """Every step returns its input, but for those at the places named."""
    while [key for key in play.running if key != "verify"]:
        key = next(key for key in play.running if key != "verify")
        if key in bad:
            play.fails(key)
        else:
            play.returns(key, {"of": dict(play.step(key).arguments)})


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_spread_loop_comes_to_what_the_loop_comes_to(data: st.DataObject) -> None:
    count, runs = data.draw(st.integers(0, 9)), data.draw(st.integers(2, 5))
    need = data.draw(st.sampled_from(["all", "any", 1, 3, 6]))
    soft = data.draw(st.sets(st.integers(0, 8)))
    hard = data.draw(st.sets(st.integers(0, 8), max_size=4 if need != "all" else 1))
    bad = {f"each/{item}/soft" for item in soft} | {f"each/{item}/one" for item in hard}
    plain, spread = (Play(plan(min_success=need, **more), wide(count)) for more in ({}, {"spread": runs}))
    for play in (plain, spread):
        work_until_verify(play, bad)
    for key in data.draw(st.permutations(shares(spread))):
        done(spread, key, bad)
    one, other = judged(plain, bad), judged(spread, bad)
    assert one[0] == other[0]
    if plain.finish.failure is None:
        assert one == other
    else:
        assert one[3] == other[3]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_crash_at_any_moment_changes_nothing(data: st.DataObject) -> None:
    count, bad = data.draw(st.integers(1, 7)), {f"each/{item}/one" for item in data.draw(st.sets(st.integers(0, 6), max_size=2))}
    play, steady = (Play(plan(min_success="any", spread=3), wide(count)) for _ in range(2))
    for each in (play, steady):
        work_until_verify(each, bad)
    for key in data.draw(st.permutations(shares(play))):
        if data.draw(st.booleans()):
            reloaded(play)
        done(play, key, bad)
        done(steady, key, bad)
    if play.rows.finish is None:
        reloaded(play)
    assert judged(play, bad) == judged(steady, bad)


def reloaded(play: Play) -> None:
    """The rows are read again: what the memory's rows don't hold of waits and shares stays as it is."""
    kept = play.snapshot.steps
    rows = play.rows.load()
    steps = {key: replace(each, wait=kept[key].wait, lacks=kept[key].lacks, arguments=kept[key].arguments) for key, each in rows.steps.items()}
    play.snapshot = machine.rebuild(replace(rows, steps=steps), play.now).snapshot


@given(st.integers(0, 400), st.integers(2, 64))
def test_every_item_is_in_one_share_and_shares_differ_by_one_at_most(count: int, runs: int) -> None:
    parts = spreading.shares(count, runs)
    assert [item for part in parts for item in part] == list(range(count))
    sizes = {len(part) for part in parts}
    assert len(parts) == min(runs, count)
    assert max(sizes, default=0) - min(sizes, default=0) <= 1


def test_a_limit_is_shared_out_whole() -> None:
    play = Play(plan(spread=3), wide(8), calls_limit=101, cost_limit=1_000)
    work_until_verify(play, set())
    starts = [play.snapshot.steps[key].start for key in shares(play)]
    # what the first steps used is gone by then; the memory's worker makes no calls
    assert [start.held_calls for start in starts if start is not None] == [25, 38, 38]
    assert play.snapshot.run.calls == 101
    assert play.snapshot.run.reserved == 1_000


def test_the_age_of_what_is_around_goes_with_it() -> None:
    source = Held([1, 2], later(-60), BestBefore(later(30), "base"))
    around = {"base": Held({"n": 1}, later(-90), BestBefore(later(5), "base"))}
    node = plan(spread=2).root.nodes[1]
    assert node.spread is not None
    record = spreading.told(node, [1, 2], source, [frame(around)], factories.run(plan(), {}))[1].given
    _, held, share = spreading.read(record)
    assert (held, share.source) == (around, replace(source, value=None))


def frame(held: dict[str, Held]) -> Any:
    return BlockFrame("", Block(()), None, held=held)


def test_an_act_in_a_share_refuses_what_has_become_too_old_meanwhile() -> None:
    acting = factories.agent("actor", role="act", mode="at_most_once")
    reader = factories.stamped("reader", 60)
    said = factories.plan(
        step("base", "reader"),
        for_each("each", "=input.list", step("one", "actor", given={"base": "=steps.base"}), spread=2),
        agents=(acting, reader),
    )
    play = Play(said, wide(2))
    play.returns("base", factories.stamp())
    key = shares(play)[0]
    share_plan = places.share_of(said, key)
    given_, held, share = spreading.read(play.snapshot.steps[key].arguments)
    assert share_plan is not None
    child = Play(share_plan, given_, share=share, work=(held, ()), begin=False)
    child.take(machine.begin(child.snapshot, later(61)))
    assert child.cause is Cause.STALE


def test_a_share_whose_run_came_to_nothing_is_said_once_and_counts_for_each_of_its_items() -> None:
    play = Play(plan(spread=2, min_success=2, more=()), wide(4))
    work_until_verify(play, set())
    first, second = shares(play)
    failed = {"cause": "lost", "message": "gone", "owner": "platform", "team": None, "step": None, "details": {}, "branches": []}
    answer(
        play,
        first,
        {"run": "r2", "outcome": "failed", "gave": False, "result": None, "as_of": None, "best_before": None, "missing": [], "failure": failed},
    )
    done(play, second, set())
    assert [(part.step, part.cause) for part in play.snapshot.missing] == [("each/0-1", Cause.LOST)]


@pytest.mark.parametrize("key", ["each/0-3", "both/a/each/2-2"])
def test_the_step_of_a_share_has_its_place_in_the_plan(key: str) -> None:
    nested = factories.plan(
        for_each("each", "=input.list", step("a"), spread=2), parallel("both", a=[for_each("each", "=input.list", step("b"), spread=2)])
    )
    node = places.node_at(nested.root, key)
    assert isinstance(node, ShareNode)
    share = places.share_of(nested, key)
    assert share is not None
    assert isinstance(places.node_at(share.root, "each/2/" + ("a" if key.startswith("each") else "b")), StepNode)


@pytest.mark.parametrize("key", ["each/x", "each/0-", "each/0-1/one", "base/0-1", "plain/0-1"])
def test_what_is_no_share_has_no_such_place(key: str) -> None:
    said = factories.plan(step("base"), for_each("each", "=input.list", step("one"), spread=2), for_each("plain", "=input.list", step("two")))
    assert not isinstance(places.node_at(said.root, key), ShareNode)


def test_what_is_left_is_parted_by_what_is_left_of_the_items() -> None:
    found = spreading.told(plan(spread=2).root.nodes[1], [1, 2, 3], Held(None), [], factories.run(plan(), {}))
    assert [one.part for one in found] == [Fraction(1, 3), Fraction(1)]


def test_a_plan_that_spreads_says_that_its_runs_start_others() -> None:
    assert (plan(spread=2).starts_runs, plan().starts_runs) == (True, False)
