"""Calls whose intent is written while their child still answers another: never more than may be sent again, and asked again before they go."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from agents import registry
from agents.children import turns
from audit import reports
from audit.models import Charge
from runs import services
from runs.models import Call, Run
from runs.worker import Engine
from tests import pipelines
from tests.pipelines import agent
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import pathlib, time

def run(place: str, name: str, hold: bool = False) -> dict:
    pathlib.Path(place, name).write_text("sent")
    while hold and not pathlib.Path(place, "released").exists():
        time.sleep(0.01)
    return {"ok": True}
"""
STEPS = """
- {id: warm, agent: worker, with: {place: =input.place, name: warm}}
- id: both
  parallel:
    a: [{id: one, agent: worker, with: {place: =input.place, name: one, hold: true}}]
    b: [{id: two, agent: worker, with: {place: =input.place, name: two, hold: true}}]
"""


@pytest.fixture(autouse=True)
def every_child_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "AHEAD_S", 1e9)


def begun(tmp_path: Path, *, more: str = "") -> Run:
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("worker", "work:run", more=more)], steps=STEPS)
    return pipelines.start(input={"place": str(tmp_path)})


def held(tmp_path: Path, run: Run, meanwhile: Callable[[Engine], Awaitable[None]]) -> dict[str, Any]:
    """One child: one of the two steps holds it, the other waits; then `meanwhile` happens and they are released."""

    async def drive() -> None:
        at = lambda: any((tmp_path / name).exists() for name in ("one", "two"))  # noqa: E731 - one look
        async with pipelines.at_work(run, at=at, children=1) as (engine, driving):
            await meanwhile(engine)
            (tmp_path / "released").touch()
            await asyncio.wait_for(driving, timeout=30)

    asyncio.run(drive())
    return pipelines.document(run)


def out(run: Run) -> list[Call]:
    return list(Call.objects.filter(run=run, step__startswith="both").order_by("step"))


def test_calls_wait_for_a_quick_child_with_their_intent_written(tmp_path: Path) -> None:
    run, seen = begun(tmp_path), list[str]()

    async def look(_: Engine) -> None:
        seen.extend([call.state for call in await sync_to_async(out)(run)])

    assert held(tmp_path, run, look)["outcome"] == "verified"
    assert seen == ["dispatched", "dispatched"]
    assert [call.state for call in out(run)] == ["confirmed", "confirmed"]


def test_what_is_never_sent_twice_has_no_intent_until_there_is_a_child_for_it(tmp_path: Path) -> None:
    run, seen = begun(tmp_path, more="mode: at_most_once"), list[str]()

    async def look(_: Engine) -> None:
        seen.extend([call.state for call in await sync_to_async(out)(run)])

    assert held(tmp_path, run, look)["outcome"] == "verified"
    assert seen == ["dispatched"]


def test_a_call_that_waited_is_not_sent_once_its_agent_is_suspended_and_costs_nothing(tmp_path: Path) -> None:
    run = begun(tmp_path, more="cost: 0.10 USD")

    async def suspend(engine: Engine) -> None:
        await engine.tools.committer.call(registry.suspend, "worker", actor=pipelines.SYSTEM, reason="odd")
        await asyncio.to_thread(until, lambda: engine.tools.boundary.standings["worker"].state == "suspended", "the engine's look")

    said = held(tmp_path, run, suspend)
    assert (said["state"], {wait["kind"] for wait in said["waits"]}) == ("waiting", {"stopped"})
    sent = [name for name in ("one", "two") if (tmp_path / name).exists()]
    assert len(sent) == 1
    waited = next(call for call in out(run) if not call.step.endswith(sent[0]))
    assert (waited.state, waited.cause, waited.cost_nano, waited.reserved_nano) == ("refused", "stopped", 0, 0)


def test_a_call_whose_run_is_cancelled_while_it_waits_for_its_child_costs_nothing_and_the_ledger_says_so(tmp_path: Path) -> None:
    run = begun(tmp_path, more="cost: 0.10 USD")

    async def cancel(_: Engine) -> None:
        await sync_to_async(services.cancel_run)(run=str(run.id), actor=pipelines.SYSTEM)
        await asyncio.to_thread(until, lambda: Run.objects.get(id=run.id).state == "finished", "the end of the run")

    assert held(tmp_path, run, cancel)["outcome"] == "cancelled"
    sent = [name for name in ("one", "two") if (tmp_path / name).exists()]
    costs = {call.step.rpartition("/")[2]: call.cost_nano for call in out(run)}
    assert len(sent) == 1 and costs == {name: 100_000_000 if name in sent else 0 for name in ("one", "two")}
    run.refresh_from_db()
    assert run.spent_nano == sum(Charge.objects.filter(run=run.id).values_list("amount_nano", flat=True)) == 200_000_000
    (said,) = [entry["facts"] for entry in reports.entries_of(run.id) if entry["verb"] == "runs.call.corrected"]
    assert (said["back_nano"], said["cost_nano"], said["cause"]) == ("100000000", "0", "stopped")
    assert reports.chain_problems(run.id) == []
