"""What is stopped sends nothing and waits; once the stop is lifted it goes on from where it was."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents import registry
from agents.models import Stop
from audit import reports
from runs import services, store
from runs.errors import Stopped
from runs.models import Call, Run, Wait
from tests import pipelines
from tests.pipelines import SYSTEM, agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import orchestra, pathlib, time

def work(folder: str = "", name: str = "") -> dict:
    here = pathlib.Path(folder)
    with open(here / name, "a") as file:
        file.write("x")
    orchestra.progress(name)
    while not (here / "go").exists():
        time.sleep(0.02)
    return {}
"""
STEPS = """
- {id: first, agent: first, with: {folder: =input.folder, name: first}}
- {id: second, agent: second, with: {folder: =input.folder, name: second}}
"""
BOTH = """
- id: both
  parallel:
    a: [{id: left, agent: first, with: {folder: =input.folder, name: left}}]
    b: [{id: right, agent: second, with: {folder: =input.folder, name: right}}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    publish(tmp_path)
    return tmp_path


def publish(path: Path, steps: str = STEPS, **second: str) -> None:
    agents = [agent("first", "work:work"), agent("second", "work:work", **second)]
    pipelines.publish(path / "p", functions=WORK, agents=agents, steps=steps)


def start(folder: Path, **more: Any) -> Run:
    return pipelines.start(input={"folder": str(folder)}, **more)


def stop(scope: str, name: str = "", reason: str = "looking into it") -> Stop:
    return services.set_stop(scope=scope, name=name, reason=reason, actor=SYSTEM)


def lift(row: Stop) -> None:
    services.lift_stop(stop=str(row.id), actor=SYSTEM)


def at_work_and_then(run: Run, deed: Callable[[], object], *, at: str | Callable[[], bool] = "progress", until: Callable[[], bool]) -> None:
    """Drive the run until `at`, when its functions are at work; then the deed is done, as another process would; until something is so."""

    async def drive() -> None:
        async with pipelines.at_work(run, at=at) as (engine, driving):
            await engine.tools.committer.call(deed)
            async with asyncio.timeout(20):
                while not driving.done() and not await engine.tools.committer.call(until):  # noqa: ASYNC110 - it happens in the database
                    await asyncio.sleep(0.02)

    asyncio.run(drive())


def waits(run: Run) -> Callable[[], bool]:
    return lambda: state(run) == "waiting"


def state(run: Run) -> str:
    return Run.objects.values_list("state", flat=True).get(id=run.id)


def test_a_run_waits_for_the_end_of_the_stop_of_an_agent_and_goes_on_then(folder: Path) -> None:
    (folder / "go").touch()
    row = stop("agent", "second")
    run = start(folder)
    said = pipelines.drive(run)
    assert (said["state"], said["label"]) == ("waiting", "waiting for the end of the stop of agent 'second'")
    assert (pipelines.step(said, "first")["state"], pipelines.step(said, "second")["state"]) == ("returned", "waiting")
    assert not (folder / "second").exists()
    lift(row)
    assert pipelines.drive(run)["outcome"] == "verified"
    assert reports.chain_problems(run.id) == []


def test_what_is_in_flight_is_cut_short_and_made_anew_after_the_stop(folder: Path) -> None:
    run, rows = start(folder), []
    at_work_and_then(run, lambda: rows.append(stop("pipeline", "sample")), until=waits(run))
    call = Call.objects.get(run=run)
    assert (call.state, call.cause) == ("refused", "stopped")
    assert Run.objects.get(id=run.id).remaining_ms is not None  # its clock stands
    (folder / "go").touch()
    lift(rows[0])
    assert pipelines.drive(run)["outcome"] == "verified"
    assert [(call.step, call.attempt, call.state) for call in Call.objects.filter(run=run, step="first").order_by("attempt")] == [
        ("first", 1, "refused"),
        ("first", 2, "confirmed"),
    ]
    assert (folder / "first").read_text() == "xx"


def test_a_stop_that_comes_between_a_decision_and_its_commit_keeps_the_call_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The intent is decided under the stops of before; the transaction that would write it finds another generation."""
    (folder / "go").touch()
    run, real, turns = start(folder), store.commit, iter(range(100))

    def interrupted(batch: list[store.Transition]) -> list[store.Committed | store.Stale]:
        if next(turns) == 1:  # the commit of the first step's result, with the second's intent
            stop("agent", "second")
        return real(batch)

    monkeypatch.setattr("runs.store.committer.commit", interrupted)
    said = pipelines.drive(run)
    assert (pipelines.step(said, "first")["state"], pipelines.step(said, "second")["state"]) == ("returned", "waiting")
    assert list(Call.objects.filter(run=run).values_list("step", flat=True)) == ["first"]
    assert (folder / "first").exists() and not (folder / "second").exists()


def test_an_act_that_is_cut_short_is_unresolved_and_never_sent_again(tmp_path: Path) -> None:
    publish(tmp_path, "- {id: act, agent: second, with: {folder: =input.folder, name: act}}", role="act")
    run, rows = start(tmp_path), []
    at_work_and_then(run, lambda: rows.append(stop("everything")), until=waits(run))
    assert list(Wait.objects.filter(run=run, state="open").values_list("kind", flat=True)) == ["unresolved"]
    lift(rows[0])
    assert list(Call.objects.filter(run=run).values_list("state", flat=True)) == ["unresolved"]


def test_a_part_of_a_run_that_is_not_stopped_goes_on(tmp_path: Path) -> None:
    publish(tmp_path, BOTH)
    run = start(tmp_path)
    both = [tmp_path / name for name in ("left", "right")]
    while_half_stopped: list[str] = []

    def half_stopped() -> bool:
        stopped = Wait.objects.filter(run=run, kind="stopped").exists()
        if stopped and not while_half_stopped:
            while_half_stopped.append(state(run))  # "go" isn't there yet: left is at work
            (tmp_path / "go").touch()
        return stopped

    until = lambda: half_stopped() and state(run) == "waiting"  # noqa: E731 - one after the other
    at_work_and_then(run, lambda: stop("agent", "second"), at=lambda: all(each.exists() for each in both), until=until)
    assert while_half_stopped == ["running"]
    said = pipelines.document(run)
    assert (pipelines.step(said, "both/a/left")["state"], pipelines.step(said, "both/b/right")["state"]) == ("returned", "waiting")
    assert (tmp_path / "left").read_text() == "x"


def test_nothing_is_started_of_what_is_stopped_and_the_refusal_says_why(folder: Path) -> None:
    row = stop("everything", reason="a leak")
    with pytest.raises(Stopped, match=r"everything has been stopped since .* by system:system: \"a leak\"") as refused:
        start(folder)
    assert refused.value.details == {"stop": str(row.id)}
    lift(row)
    start(folder)


def test_a_queued_run_that_is_stopped_waits_and_begins_after_the_stop(folder: Path) -> None:
    (folder / "go").touch()
    run = start(folder)
    row = stop("team", "platform")
    run.refresh_from_db()
    assert (run.state, run.lease_owner, run.started_at) == ("waiting", None, None)
    lift(row)
    run.refresh_from_db()
    assert run.state == "queued"
    assert pipelines.drive(run)["outcome"] == "verified"
    assert [entry["verb"] for entry in reports.entries_of(run.id)][:4] == [
        "runs.run.queued", "runs.run.waiting", "runs.wait.answered", "runs.run.started",
    ]  # fmt: skip


def test_a_stopped_run_can_be_cancelled(folder: Path) -> None:
    run = start(folder)
    stop("run", str(run.id))
    assert services.cancel_run(run=str(run.id), actor=SYSTEM).outcome == "cancelled"
    assert list(Wait.objects.values_list("state", flat=True)) == ["cancelled"]


def test_a_retired_agent_is_stopped_by_nothing_and_comes_back_stopped(folder: Path) -> None:
    registry.retire("sample", actor=SYSTEM, reason="old")
    registry.suspend("second", actor=SYSTEM, reason="odd")
    registry.retire("second", actor=SYSTEM, reason="old")
    assert not Stop.objects.in_force().exists()
    registry.reinstate("second", actor=SYSTEM)
    assert [row.subject for row in Stop.objects.in_force()] == ["agent:second"]
    assert registry.resume("second", actor=SYSTEM).state == "active"
    assert not Stop.objects.in_force().exists()
