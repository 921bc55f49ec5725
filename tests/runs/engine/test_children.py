"""Nodes that are runs of other pipelines, without a database: what they start, what stops meanwhile, and what their ends make of the run above."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from runs.engine import machine, planner
from runs.engine.answers import Answer
from runs.engine.families import Child, Start
from runs.engine.limits import start_of
from runs.engine.patterns import children
from runs.engine.states import Cause, Outcome, RunState, StepState
from runs.engine.values import Plan, RunView, Snapshot
from tests.runs.engine import factories
from tests.runs.engine.factories import AT, later, manifest, step
from tests.runs.engine.memory import Play

DAY = 86_400_000


def pin(**said: Any) -> dict[str, Any]:
    limits = {"timeout_ms": 60_000, "cost_nano": None, "calls": None}
    return {"release": "c" * 64, "input": {"type": "object"}, "limits": limits, "acts": False, "height": 1, "workers": [], **said}


def node(name: str = "sub", **said: Any) -> dict[str, Any]:
    return {"kind": "pipeline", "id": name, "pipeline": "inner", "with": {}, "timeout_ms": None, "on_failure": "stop", "when": None, **said}


def plan(*nodes: dict[str, Any], inner: dict[str, Any] | None = None, agents: tuple[dict[str, Any], ...] = ()) -> Plan:
    said = manifest(*nodes, agents=agents)
    return planner.compiled({**said, "engine_abi": 2, "pipelines": {"inner": inner or pin()}}, digest="d" * 64)


def answered(play: Play, key: str = "sub", **said: Any) -> None:
    """The child has ended, and the run is taken up again."""
    given = {"run": "r2", "outcome": "verified", "gave": True, "result": {"n": 1}, "as_of": None, "best_before": None, "missing": [], "failure": None}
    wait = play.snapshot.steps[key].wait
    assert wait is not None
    waiting = replace(play.snapshot.steps[key], wait=replace(wait, answer=Answer(play.now, "system:system", {**given, **said})))
    run = replace(play.snapshot.run, state=RunState.RUNNING, remaining_ms=None, wake_at=None)
    play.snapshot = replace(play.snapshot, run=run, steps={**play.snapshot.steps, key: waiting})
    play.take(machine.decide(play.snapshot, play.now))


def test_a_node_starts_a_run_and_waits_for_it_while_the_clock_runs_on() -> None:
    play = Play(plan(node(), step("after")))
    opened = play.snapshot.steps["sub"]
    assert (opened.state, opened.start is not None, opened.wait is not None and opened.wait.works) == (StepState.WAITING, True, True)
    run = play.snapshot.run
    assert (run.state, run.remaining_ms, run.deadline_at) == (RunState.WAITING, None, later(600))
    assert play.verbs[-3:] == ["step.started", "step.waiting", "run.waiting"]


def test_the_clock_stands_where_the_child_s_does() -> None:
    play = Play(plan(node()))
    opened = play.snapshot.steps["sub"]
    assert opened.wait is not None
    standing = replace(opened, wait=replace(opened.wait, works=False))
    run = replace(play.snapshot.run, state=RunState.RUNNING, wake_at=None)
    move = machine.decide(replace(play.snapshot, run=run, steps={"sub": standing}), play.now)
    assert (move.snapshot.run.state, move.snapshot.run.remaining_ms) == (RunState.WAITING, 600_000)


def test_a_child_s_result_is_the_node_s_and_as_old_as_the_oldest_behind_it() -> None:
    play = Play(plan(node(), step("after", given={"x": "=steps.sub"})))
    answered(play, as_of="2026-03-01T11:00:00Z")
    held = play.snapshot.steps["sub"].held
    assert held is not None
    assert (held.value, held.as_of) == ({"n": 1}, AT - timedelta(hours=1))
    assert play.snapshot.steps["after"].arguments == {"x": {"n": 1}}


FAILURE = {"cause": "exception", "message": "it broke", "owner": "agent:x", "team": "xs", "step": "work", "details": {}, "branches": []}


def test_a_child_s_failure_is_the_node_s_with_its_cause_and_owner() -> None:
    play = Play(plan(node()))
    answered(play, outcome="failed", gave=False, result=None, failure=FAILURE)
    failed = play.finish.failure
    assert failed is not None
    assert (play.outcome, failed.cause, failed.owner, failed.team, failed.step) == (Outcome.FAILED, Cause.EXCEPTION, "agent:x", "xs", "sub")
    assert [(branch.step, branch.owner) for branch in failed.branches] == [("work", "agent:x")]


def test_what_a_child_goes_without_makes_the_run_above_degraded() -> None:
    play = Play(plan(node()))
    answered(play, outcome="degraded", missing=[FAILURE])
    play.judged("pass")
    assert (play.outcome, [part["step"] for part in play.finished_facts()["missing"]]) == (Outcome.DEGRADED, ["sub"])


def test_a_child_is_not_started_over_data_that_is_too_old() -> None:
    reader = factories.stamped("reader", 5)
    play = Play(plan(step("read", "reader"), step("other", "worker"), node(**{"with": {"x": "=steps.read"}}), agents=(reader,)))
    play.returns("read", factories.stamp())
    play.now = later(9)
    play.returns("other")
    assert (play.outcome, play.cause) == (Outcome.FAILED, Cause.STALE)


def test_an_overdue_run_ends_and_leaves_nobody_waiting() -> None:
    play = Play(plan(node()), lifetime_until=later(9_999))
    move = play.at(600)
    assert (play.outcome, play.cause, dict(move.closed)) == (Outcome.FAILED, Cause.DEADLINE, {"sub": "cancelled"})


# --- what a child may take -------------------------------------------------------------------------------------------

INNER = Child("inner", "c" * 64, factories.planner.contracts.compiled({}), timeout_ms=60_000, lifetime_ms=DAY, cost_limit=50, calls_limit=None)


def run(**said: Any) -> RunView:
    return RunView(id="r", state=RunState.RUNNING, input={}, created_at=AT, deadline_at=later(40), **said)


@pytest.mark.parametrize(
    ("above", "cost", "calls", "held"),
    [
        ({}, 50, None, (0, 0)),
        ({"cost_limit": 200, "calls_limit": 9}, 50, 9, (50, 9)),
        ({"cost_limit": 60, "spent": 15, "reserved": 5, "calls_limit": 9, "calls": 4}, 40, 5, (40, 5)),
        ({"cost_limit": 60, "spent": 80, "calls_limit": 3, "calls": 3}, 0, 0, (0, 0)),
    ],
)
def test_a_child_gets_its_own_limit_or_what_is_left(above: dict[str, int], cost: int, calls: int | None, held: tuple[int, int]) -> None:
    start = start_of(INNER, INNER.timeout_ms, run(**above), AT)
    assert (start.cost_limit, start.calls_limit, (start.held_nano, start.held_calls)) == (cost, calls, held)


@pytest.mark.parametrize(
    ("timeout_ms", "lifetime", "deadline"),
    [(60_000, None, later(40)), (30_000, None, later(30)), (30_000, later(20), later(20))],
)
def test_a_child_ends_with_its_own_time_or_with_the_run_above_it(timeout_ms: int, lifetime: Any, deadline: Any) -> None:
    start: Start = start_of(INNER, timeout_ms, run(lifetime_until=lifetime), AT)
    assert (start.deadline_at, start.lifetime_until) == (deadline, lifetime or AT + timedelta(days=1))


def test_what_is_held_for_a_child_stands_in_the_account_at_once() -> None:
    limits = {"timeout_ms": 60_000, "cost_nano": 30, "calls": 4}
    play = Play(plan(node(), inner=pin(limits=limits)), cost_limit=100, calls_limit=10)
    assert (play.snapshot.run.reserved, play.snapshot.run.calls) == (30, 4)


# --- what an ended run says ------------------------------------------------------------------------------------------


def said_by(play: Play) -> dict[str, Any]:
    return children.answer_of(play.snapshot, play.finish)


def test_a_draft_that_passes_gives_its_result_to_the_draft_above() -> None:
    play = Play(factories.plan(step("work")), draft=True)
    play.returns("work", 7)
    play.judged("pass")
    assert (said_by(play)["outcome"], said_by(play)["gave"], said_by(play)["result"]) == ("unverified", True, 7)


@pytest.mark.parametrize(
    ("word", "outcome", "cause", "owner"),
    [("fail", "rejected", "rejected", "agent:worker"), ("inconclusive", "unverified", "unverified", "pipeline:line")],
)
def test_a_verdict_that_does_not_pass_is_a_failure_of_whoever_it_blames(word: str, outcome: str, cause: str, owner: str) -> None:
    play = Play(factories.plan(step("work")))
    play.returns("work", 7)
    play.judged(word)
    said = said_by(play)
    assert (said["outcome"], said["gave"], said["failure"]["cause"], said["failure"]["owner"]) == (outcome, False, cause, owner)


def test_a_cancelled_run_says_who_cancelled_it() -> None:
    play = Play(factories.plan(step("work")))
    play.is_cancelled()
    assert (said_by(play)["failure"]["cause"], said_by(play)["failure"]["message"]) == ("stopped", "the run was cancelled by alice")


def test_a_node_of_a_pipeline_that_the_release_does_not_hold_is_refused() -> None:
    with pytest.raises(planner.PlanError, match="names pipeline 'other', which is not in this release"):
        plan(node(pipeline="other"))


def test_a_snapshot_of_rows_takes_a_child_up_where_it_was() -> None:
    play = Play(plan(node(), step("after")))
    woken = replace(play.snapshot.run, state=RunState.RUNNING, wake_at=None)  # as another answer would leave its row
    rows = Snapshot(play.snapshot.plan, woken, play.snapshot.steps, play.snapshot.open)
    move = machine.begin(rows, play.now)
    assert (move.opened, move.snapshot.steps["sub"].state) == ((), StepState.WAITING)
