"""What the boundary refuses, and what a call costs whatever becomes of it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest

from agents import registry
from agents.models import Agent
from audit import clock, reports
from runs import performers, store
from runs.boundary import Reply, Request
from runs.boundary.values import Used
from runs.engine.states import CallKind, Cause, Mode, Verb
from runs.models import Call, Run, Step
from runs.performers import Boundary, Standing
from tests import pipelines
from tests.pipelines import agent
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import os, time
import orchestra

def run(how: str = "", **_) -> dict:
    if how == "raise":
        raise ValueError("no")
    if how == "exit":
        os._exit(3)
    if how == "fetch":
        orchestra.call("fetch", {"url": "https://feed.example/"})
    if how == "hang":
        orchestra.progress("here")
        time.sleep(60)
    return {"how": how}
"""
PRICE = 2_000_000
PRICED = "cost: 0.002 USD"


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., None]:
    def published(
        more: str = "", *, steps: str = "- {id: work, agent: worker, with: {how: =input.how}}", limits: str = "", **agent_options: Any
    ) -> None:
        pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("worker", "work:run", more=more, **agent_options)], steps=steps, more=limits)

    return published


def start(how: str = "") -> Run:
    return pipelines.start(input={"how": how})


def account(run: Run) -> tuple[int, int]:
    run.refresh_from_db()
    return run.spent_nano, run.reserved_nano


# --- grants and the stop switch ------------------------------------------------------------------------------------


@pytest.mark.parametrize("permission", ["allow read feed:metrics/cpu", "allow read feed:metrics/*", "allow read feed:*"])
def test_what_a_permission_names_exactly_or_by_its_beginning_may_be_used(publish: Callable[..., None], permission: str) -> None:
    publish(f'uses: ["read feed:metrics/{{input.how}}"]\npermissions: ["{permission}"]')
    assert pipelines.drive(start("cpu"))["outcome"] == "verified"


@pytest.mark.parametrize("permission", ["allow read feed:metrics/c", "allow read feed:metrics/cpu/*"])
def test_what_no_permission_names_is_denied_to_the_agent_before_anything_is_sent(publish: Callable[..., None], permission: str) -> None:
    publish(f'uses: ["read feed:metrics/{{input.how}}"]\npermissions: ["{permission}"]')
    run = start("cpu")
    said = pipelines.drive(run)
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", "denied", "agent:worker")
    assert "may not read feed:metrics/cpu" in said["failure"]["message"]
    assert not Call.objects.filter(run=run).exists()


def test_a_use_that_the_input_cannot_fill_in_is_the_pipelines_fault(publish: Callable[..., None]) -> None:
    publish('uses: ["read feed:{input.feed}"]\npermissions: ["allow read feed:*"]')
    said = pipelines.drive(start())
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("input", "pipeline:sample")


def test_what_was_sent_before_a_crash_is_not_sent_again_once_its_agent_is_suspended(publish: Callable[..., None]) -> None:
    """Nor where a child of it is warm: it is not asked for one. The act may have been done, and the run's account says so."""
    publish(role="act", more="mode: {idempotent: =input.how}")
    run = start("hang")
    pipelines.crash(run, at="progress")
    registry.suspend("worker", actor=pipelines.SYSTEM, reason="odd")
    said = pipelines.drive(run)
    assert (said["state"], [wait["kind"] for wait in said["waits"]]) == ("waiting", ["stopped"])
    assert Verb.CALL_RESENT not in [entry["verb"] for entry in reports.entries_of(run.id)]
    assert (Call.objects.get(run=run).state, account(run)[1]) == ("refused", 0)


def test_a_suspended_agent_is_stopped_live_whatever_the_release_says(publish: Callable[..., None]) -> None:
    publish()
    run = start()
    registry.suspend("worker", actor=pipelines.SYSTEM, reason="odd")
    said = pipelines.drive(run)
    assert (said["state"], [(wait["kind"], wait["subject"]) for wait in said["waits"]]) == ("waiting", [("stopped", "agent:worker")])
    assert not Call.objects.filter(run=run).exists()


def test_a_retired_agent_is_sent_nothing_and_its_run_fails_since_nobody_lets_it_go_on(publish: Callable[..., None]) -> None:
    publish()
    run = start()
    Agent.objects.filter(name="worker").update(state="retired")
    said = pipelines.drive(run)
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", "stopped", "agent:worker")
    assert not Call.objects.filter(run=run).exists()


# --- the run's own account -----------------------------------------------------------------------------------------

TWO = """
- {id: one, agent: worker}
- {id: two, agent: worker}
"""


def test_a_call_over_the_limit_of_calls_is_refused_with_the_numbers(publish: Callable[..., None]) -> None:
    publish(steps=TWO, limits="limits: {calls: 1}")
    said = pipelines.drive(start())
    assert (said["failure"]["cause"], said["failure"]["owner"], said["calls"]) == ("budget", "pipeline:sample", 1)
    assert said["failure"]["message"] == "step 'two' would exceed the run's limit of 1 calls (limits.calls; made 1)"


def test_a_call_over_the_cost_limit_is_refused_with_the_numbers(publish: Callable[..., None]) -> None:
    publish(PRICED, steps=TWO, limits="limits: {cost: 0.003 USD}")
    run = start()
    said = pipelines.drive(run)
    assert said["failure"]["cause"] == "budget"
    assert said["failure"]["message"].endswith("cost limit of 0.003 USD (limits.cost; spent and reserved 0.002 USD, asked 0.002 USD)")
    assert account(run) == (PRICE, 0)


def test_parallel_steps_together_never_exceed_the_limit(publish: Callable[..., None]) -> None:
    branches = ", ".join(f"b{n}: [{{id: w{n}, agent: worker}}]" for n in range(4))
    publish(PRICED, steps=f"- {{id: fan, parallel: {{{branches}}}, min_success: any}}", limits="limits: {cost: 0.005 USD}")
    run = start()
    said = pipelines.drive(run)
    assert said["outcome"] == "degraded"
    assert [part["cause"] for part in said["missing"]] == ["budget", "budget"]
    assert (account(run), reports.charges_of(run.id).charges) == ((2 * PRICE, 0), 2)


def test_a_verifier_that_may_not_be_paid_leaves_the_run_unverified(publish: Callable[..., None]) -> None:
    publish(limits="limits: {calls: 1}")
    said = pipelines.drive(start())
    assert (said["outcome"], said["exit_status"], said["failure"]["cause"]) == ("unverified", 15, "budget")


@pytest.mark.parametrize(("how", "estimated"), [("", 0), ("raise", 0), ("exit", PRICE), ("hang", PRICE)])
def test_a_call_is_paid_once_and_estimated_where_nobody_answered(publish: Callable[..., None], how: str, estimated: int) -> None:
    publish(PRICED, timeout="1s")
    run = start(how)
    pipelines.drive(run)
    spent = reports.charges_of(run.id)
    assert (spent.amount_nano, spent.estimated_nano, spent.charges) == (PRICE, estimated, 1)
    assert account(run) == (PRICE, 0)


def test_a_worker_that_dies_leaves_the_reservation_and_its_successor_pays_once(publish: Callable[..., None]) -> None:
    publish(PRICED, timeout="3s")
    run = start("hang")
    pipelines.crash(run, at="progress")
    assert account(run) == (0, PRICE)
    assert reports.charges_of(run.id).charges == 0
    pipelines.drive(run)
    assert account(run) == (PRICE, 0)
    assert reports.charges_of(run.id).charges == 1


def test_each_decided_retry_is_a_call_of_its_own_and_paid(publish: Callable[..., None]) -> None:
    publish(PRICED, steps="- {id: work, agent: worker, with: {how: =input.how}, retry: {max: 2, backoff: 10ms}}")
    run = start("raise")
    said = pipelines.drive(run)
    assert [call["attempt"] for call in pipelines.step(said, "work")["calls"]] == [1, 2, 3]
    assert (account(run), reports.charges_of(run.id).charges) == ((3 * PRICE, 0), 3)
    assert [entry["verb"] for entry in reports.entries_of(run.id)].count("runs.step.retried") == 2


# --- acts that can't be repeated -----------------------------------------------------------------------------------


def test_an_act_that_hangs_is_unresolved_and_not_tried_again(publish: Callable[..., None]) -> None:
    publish(role="act", timeout="1s")
    run = start("hang")
    said = pipelines.drive(run)
    assert (said["state"], said["waits"][0]["kind"], said["waits"][0]["step"]) == ("waiting", "unresolved", "work")
    assert Call.objects.get(run=run).state == "unresolved"
    assert [entry["verb"] for entry in reports.entries_of(run.id)].count("runs.call.unresolved") == 1


def test_an_act_in_flight_when_its_worker_died_is_unresolved_also_after_its_deadline(publish: Callable[..., None]) -> None:
    publish(role="act", timeout="1s")
    run = start("hang")
    pipelines.crash(run, at="progress")
    until(lambda: clock.now() > Step.objects.get(run=run).deadline_at, "the step's deadline")
    said = pipelines.drive(run)
    assert (said["waits"][0]["kind"], Call.objects.get(run=run).state) == ("unresolved", "unresolved")


def test_an_inline_check_without_what_it_needs_fails_as_input(tmp_path: Path) -> None:
    same = agent("same", "x:y", role="check", more=f"input: {pipelines.ANY}").replace("run: {python: x:y}", "run: {inline: same}")
    worker = agent("worker", "work:run")
    verify = "verify: {agent: same, with: {left: =result}}"
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[worker, same], steps="- {id: work, agent: worker}", verify=verify)
    said = pipelines.run()
    assert (said["outcome"], said["failure"]["cause"]) == ("unverified", "input")
    assert "'right'" in said["failure"]["message"]


def test_a_standing_that_was_asked_for_earlier_and_comes_later_replaces_nothing() -> None:
    boundary, now = Boundary(children=1), clock.now()
    suspended, active = Standing("suspended", ()), Standing("active", ())
    boundary.learn({"one": suspended}, asked_at=now)
    boundary.learn({"one": active, "two": active}, asked_at=now - timedelta(seconds=1))
    assert boundary.standings == {"one": suspended, "two": active}
    boundary.learn({"one": active}, asked_at=now + timedelta(seconds=1))
    assert boundary.standings["one"] is active


async def called(request: Request, folders: Any, standing: str = "active", on_call: Any = None) -> Reply:
    """The function, in a child of its own."""
    boundary = Boundary(children=1)
    boundary.folders.update(folders)
    boundary.around.take(request.run, (), None)
    boundary.standings["worker"] = Standing(standing, ())
    try:
        return await boundary.call_function(request, on_call=on_call or AsyncMock(), on_progress=lambda *_: None)
    finally:
        await boundary.close()


def test_a_function_that_ends_as_its_own_call_did_has_answered(publish: Callable[..., None]) -> None:
    """That call ran into its deadline, the function didn't: nobody has to be asked whether it acted."""
    publish()
    run = start("fetch")
    plan, _ = store.plan_of(run.release_id)
    how, until = {"how": "fetch"}, clock.now() + timedelta(seconds=20)
    request = Request(*(run.id, "work", 1, 0, plan.agents["worker"], CallKind.FUNCTION, "work:run", how, Mode.AT_MOST_ONCE, until, PRICE))
    late = AsyncMock(side_effect=performers.CallError("deadline", "no answer in time"))
    reply = asyncio.run(called(request, performers.unpacked(sorted(performers.artifacts(plan))), on_call=late))
    assert (reply.cause, reply.answered, reply.details["from_call"]) == (Cause.DEADLINE, True, True)


@pytest.mark.parametrize("sent_before", [True, False])
@pytest.mark.parametrize("cause", [Cause.DEADLINE, Cause.STOPPED])
def test_a_call_that_only_waited_for_a_child_was_not_sent_unless_a_worker_before_had_sent_it(
    publish: Callable[..., None], cause: Cause, sent_before: bool
) -> None:
    """Whether it acted the first time nobody knows, so then it is paid for, and no attempt is made anew that might act twice."""
    publish()
    run = start()
    plan, _ = store.plan_of(run.release_id)
    left = timedelta(seconds=0 if cause is Cause.DEADLINE else 20)
    request = Request(
        *(run.id, "work", 1, 0, plan.agents["worker"], CallKind.FUNCTION, "work:run", {"how": ""}, Mode.READ, clock.now() + left, PRICE),
        sent_before=sent_before,
    )
    folders, standing = performers.unpacked(sorted(performers.artifacts(plan))), "suspended" if cause is Cause.STOPPED else "active"

    reply = asyncio.run(called(request, folders, standing))
    assert (reply.cause, reply.sent, reply.used) == (cause, sent_before, None if sent_before else Used(0))
