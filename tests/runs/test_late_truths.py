"""What a worker that has lost its run was answered to a call that may be made at most once, after others have given that call up."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from agents.prices import Used
from audit import clock, reports
from audit.actors import Actor
from audit.models import Charge
from runs import services, store
from runs.engine.outcomes import Unresolved
from runs.engine.states import Cause
from runs.models import Call, Resolution, Run, Step, Wait
from runs.services import Settlement
from runs.store import transitions
from runs.worker import Engine, EngineOptions
from runs.worker.driver import Driver
from runs.worker.messages import Ended, Input
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import orchestra, time
from pathlib import Path

def act(log: str, fails: bool = False) -> dict:
    with Path(log).open("a") as file:
        file.write("acted\\n")
    orchestra.progress("acting")
    while not Path(log + ".go").exists():
        time.sleep(0.01)
    if fails:
        raise ValueError("the bank says no")
    return {"paid": True}
"""
BOB = Actor(kind="person", id="bob", auth="test", teams=frozenset({"platform"}))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    payer = agent("payer", "work:act", role="act", timeout="60s")
    pipelines.publish(tmp_path / "p", steps="- {id: pay, agent: payer, with: {log: =input.log, fails: =input.fails}}", agents=[payer], functions=WORK)
    return pipelines.start(input={"log": str(tmp_path / "log"), "fails": False})


def verbs(run: Run) -> list[str]:
    return [entry["verb"] for entry in reports.entries_of(run.id)]


def told(run: Run) -> dict[str, Any]:
    call = services.find_call(str(Call.objects.filter(run=run).earliest("dispatched_at").id), actor=BOB)
    return dict(services.call_document(call)["told_late"])


async def nothing() -> None:
    """In the place of a look: this worker stands still, but for what its function answers."""


async def lost(run: Run, go: Path, between: Callable[[], Awaitable[None]]) -> None:
    """One worker is at work on the act; `between` others have the run; then the act is answered to the first one."""
    async with pipelines.at_work(run) as (engine, driving):
        engine._look = nothing  # type: ignore[method-assign]
        engine._draining = True
        await engine.tools.committer.call(Run.objects.filter(id=run.id).update, lease_until=None)
        await between()
        await asyncio.to_thread(go.touch)
        await asyncio.wait_for(driving, 20)


def answered_late(run: Run, tmp_path: Path, then: Callable[[], Any] = lambda: None) -> None:
    """The next worker gives the call up, `then` something happens, and then its answer comes to the first one."""

    async def between() -> None:
        await Engine(EngineOptions(only=frozenset({run.id}), children=2)).run()
        await asyncio.to_thread(then)

    asyncio.run(lost(run, tmp_path / "log.go", between))


def settle(run: Run, decision: Resolution, result: Any = None) -> None:
    Call.objects.filter(run=run).update(not_after=clock.now() - timedelta(minutes=1))
    services.settle_call(call=Call.objects.get(run=run).key, settlement=Settlement(decision, result, "looked at the bank"), actor=BOB)


def test_a_true_answer_to_a_call_that_was_given_up_settles_the_wait_for_it(run: Run, tmp_path: Path) -> None:
    answered_late(run, tmp_path)
    call, wait = Call.objects.get(run=run, step="pay"), Wait.objects.get(run=run)
    assert (call.state, wait.state, wait.answered_by) == ("resolved_done", "answered", "system:system")
    said = pipelines.drive(run)
    assert (said["outcome"], said["result"], (tmp_path / "log").read_text()) == ("verified", {"paid": True}, "acted\n")
    assert (verbs(run).count("runs.call.told_late"), verbs(run).count("runs.call.resolved")) == (1, 1)
    assert reports.chain_problems(run.id) == []


def test_a_result_that_comes_late_is_held_against_the_contract_like_any_other(run: Run, tmp_path: Path) -> None:
    pipelines.crash(run, at="progress")
    end = ended(run, late={"value": "paid"})
    pipelines.drive(run)
    tell(run, end)
    assert pipelines.drive(run)["failure"]["cause"] == "contract"


def test_an_answer_with_a_failure_settles_nothing_and_is_shown_to_whoever_does(tmp_path: Path, run: Run) -> None:
    failing = pipelines.start(input={"log": str(tmp_path / "log"), "fails": True})
    answered_late(failing, tmp_path)
    assert (Call.objects.get(run=failing).state, Wait.objects.get(run=failing).state) == ("unresolved", "open")
    assert (told(failing)["said"], told(failing)["cause"]) == ("failed", "exception")
    screen = StringIO()
    call_command("waits", run=str(failing.id), stdout=screen)
    assert "it was answered with a failure (exception)" in screen.getvalue()
    settle(failing, Resolution.DONE, {"paid": True})
    assert pipelines.drive(failing)["outcome"] == "verified"


def test_what_a_person_has_said_stays_and_what_comes_late_stands_beside_it(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def wrongly() -> None:
        settle(run, Resolution.NOT_DONE)
        services.cancel_run(run=str(run.id), actor=BOB)

    answered_late(run, tmp_path, then=wrongly)
    assert (Call.objects.get(run=run).state, pipelines.document(run)["outcome"]) == ("resolved_not_done", "cancelled")
    assert (told(run)["said"], told(run)["result"]) == ("done", {"paid": True})
    assert "is resolved_not_done, and its own worker says now: done" in caplog.text
    entry = next(entry for entry in reports.entries_of(run.id) if entry["verb"] == "runs.call.told_late")
    assert (entry["seq"], entry["facts"]["state"], entry["facts"]["said"]) == (None, "resolved_not_done", "done")
    assert reports.chain_problems(run.id) == []


def test_a_truth_that_agrees_with_what_a_person_has_said_disturbs_nobody(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def rightly() -> None:
        settle(run, Resolution.DONE, {"paid": True})

    answered_late(run, tmp_path, then=rightly)
    assert pipelines.drive(run)["outcome"] == "verified"
    assert told(run)["said"] == "done" and "its own worker says now" not in caplog.text


def test_the_record_of_a_run_that_has_ended_is_put_right(run: Run, tmp_path: Path) -> None:
    answered_late(run, tmp_path, then=lambda: services.cancel_run(run=str(run.id), actor=BOB))
    assert (Call.objects.get(run=run).state, pipelines.document(run)["outcome"]) == ("resolved_done", "cancelled")
    assert reports.chain_problems(run.id) == []


def test_a_truth_that_comes_between_giving_up_and_waiting_is_taken_when_the_step_waits(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second worker has written that nobody knows, and its next transition, which parks the step, finds a new revision."""
    react, seen = Driver._react, []

    async def told_before(driver: Driver, event: Input) -> None:
        if isinstance(event, Ended) and isinstance(event.result, Unresolved):
            seen.append(await driver.tools.committer.call(lambda: Step.objects.get(run=run).state))
            (tmp_path / "log.go").touch()
            async with asyncio.timeout(20):
                while not await driver.tools.committer.call(Call.objects.filter(run=run, response_entry__isnull=False).exists):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        await react(driver, event)

    monkeypatch.setattr(Driver, "_react", told_before)
    answered_late(run, tmp_path)
    assert seen == ["running"]
    assert (Call.objects.get(run=run, step="pay").state, Wait.objects.get(run=run).state) == ("resolved_done", "answered")
    assert pipelines.drive(run)["outcome"] == "verified"
    assert (verbs(run).count("runs.call.told_late"), (tmp_path / "log").read_text()) == (1, "acted\n")


# --- what an end says ------------------------------------------------------------------------------------------------


def record_of(run: Run) -> tuple[store.CallRecord, store.Loaded]:
    loaded = store.load([run.id])[0]
    return next(iter(store.call_records(loaded.calls.values()).values())), loaded


def ended(run: Run, **more: Any) -> store.CallSettled:
    """As its first worker has it, to whom the call is still out."""
    record, loaded = record_of(run)
    end = store.confirmed(record, plan=loaded.snapshot.plan, run=run.id, contained=None, response=None, cause=None)
    return replace(end, **more)


def never_sent(run: Run, *, sent: bool) -> transitions.CallSettled:
    record, loaded = record_of(run)
    return store.failed(record, plan=loaded.snapshot.plan, run=run.id, contained=None, cause=Cause.STOPPED, message="withdrawn", sent=sent)


def tell(run: Run, *ends: store.CallSettled) -> None:
    services.settle_late(run=run.id, team="platform", ends=ends, actor=pipelines.SYSTEM)


def test_a_call_that_never_went_out_is_made_anew(run: Run, tmp_path: Path) -> None:
    pipelines.crash(run, at="progress")
    (tmp_path / "log").unlink()
    end = never_sent(run, sent=False)
    pipelines.drive(run)
    tell(run, end)
    (tmp_path / "log.go").touch()
    assert (pipelines.drive(run)["outcome"], (tmp_path / "log").read_text()) == ("verified", "acted\n")
    assert list(Call.objects.filter(run=run, step="pay").order_by("attempt").values_list("state", flat=True)) == ["resolved_not_done", "confirmed"]


def test_a_worker_that_knows_no_more_than_others_says_nothing(run: Run) -> None:
    pipelines.crash(run, at="progress")
    end = never_sent(run, sent=True)
    pipelines.drive(run)
    tell(run, end)
    assert (Wait.objects.get(run=run).state, "runs.call.told_late" in verbs(run)) == ("open", False)


def test_what_is_told_twice_is_recorded_once(run: Run) -> None:
    pipelines.crash(run, at="progress")
    end = ended(run, late={"value": {"paid": True}})
    pipelines.drive(run)
    for _ in range(2):
        tell(run, end)
    assert (verbs(run).count("runs.call.told_late"), verbs(run).count("runs.wait.answered")) == (1, 1)


@pytest.mark.parametrize("given_up", [True, False], ids=["given up", "still out"])
def test_a_value_that_cannot_be_written_keeps_nothing_else_from_being_written(run: Run, given_up: bool) -> None:
    pipelines.crash(run, at="progress")
    end = ended(run, late={"value": {"n": 2**60}})
    if given_up:
        pipelines.drive(run)
    tell(run, end)
    if given_up:
        assert (told(run)["said"], told(run)["cause"]) == ("failed", "contract")
    else:
        assert Call.objects.get(run=run).state == "confirmed"


# --- what it has cost ------------------------------------------------------------------------------------------------


@pytest.fixture
def priced(tmp_path: Path) -> Run:
    """Its call may be made again, has a price, and was out when its worker died; then somebody has cancelled the run."""
    payer = agent("payer", "work:act", role="act", timeout="60s", more="cost: 0.30 USD\nmode: {idempotent: =input.log}")
    pipelines.publish(tmp_path / "p", steps="- {id: pay, agent: payer, with: {log: =input.log, fails: false}}", agents=[payer], functions=WORK)
    run = pipelines.start(input={"log": str(tmp_path / "log"), "fails": False})
    pipelines.crash(run, at="progress")
    return run


def unsent(run: Run) -> transitions.CallSettled:
    record, loaded = record_of(run)
    free = Used(0)
    return store.failed(record, plan=loaded.snapshot.plan, run=run.id, contained=None, cause=Cause.STOPPED, message="", sent=False, used=free)


def money_of(run: Run) -> tuple[int, int, int, int]:
    """What the call, its charges and its run say, and how many corrections there are."""
    charges = Charge.objects.filter(run=run.id)
    run.refresh_from_db()
    call = Call.objects.get(run=run)
    return call.cost_nano, sum(charge.amount_nano for charge in charges), run.spent_nano, charges.filter(corrects__isnull=False).count()


def given_up(run: Run) -> None:
    services.cancel_run(run=str(run.id), actor=BOB)
    assert money_of(run) == (300_000_000, 300_000_000, 300_000_000, 0)


def test_a_call_that_was_paid_for_when_it_was_given_up_and_never_went_out_gets_its_money_back_once(priced: Run) -> None:
    end = unsent(priced)
    given_up(priced)
    for _ in range(2):
        tell(priced, end)
    assert money_of(priced) == (0, 0, 0, 1)
    (correction,) = Charge.objects.filter(run=priced.id, corrects__isnull=False)
    assert (correction.amount_nano, correction.agent, correction.call, correction.estimated) == (-300_000_000, "payer", end.call.id, False)
    assert verbs(priced).count("runs.call.corrected") == 1 and Call.objects.get(run=priced).state == "refused"
    assert reports.chain_problems(priced.id) == []


def test_a_call_of_which_nobody_knows_whether_it_went_out_stays_paid(priced: Run) -> None:
    end = never_sent(priced, sent=True)
    given_up(priced)
    tell(priced, end)
    assert money_of(priced) == (300_000_000, 300_000_000, 300_000_000, 0)


def test_a_call_that_another_worker_has_sent_again_stays_paid(priced: Run) -> None:
    end = unsent(priced)
    pipelines.crash(priced, at="progress")
    assert "runs.call.resent" in verbs(priced)
    given_up(priced)
    tell(priced, end)
    assert money_of(priced) == (300_000_000, 300_000_000, 300_000_000, 0)
