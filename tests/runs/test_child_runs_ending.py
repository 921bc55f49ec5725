"""Child runs against time: deadlines that inherit, clocks that stand and run together, cancels that reach down, workers that vanish."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections, transaction

from audit import clock, reports
from audit.models import Charge
from runs import services, store, sweeps
from runs.engine import machine
from runs.engine.states import SUPPORTED_ABIS, CallState, Cause
from runs.models import Run, Wait
from runs.worker import Engine, EngineOptions
from tests import families, pipelines
from tests.families import INNER, child_of, generations, pipeline
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

WAITER = pipeline("waiter", "- {id: paid, wait: {signal: payment, timeout: 1h}}", "- {id: work, agent: user, with: {got: =steps.paid}}")
SLOW = pipeline("slower", "- {id: works, agent: slow, with: {log: =input.log}}")
WAITS = ("- {id: sub, pipeline: waiter, with: {}}",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sample"


def row(run: Run) -> Run:
    return Run.objects.get(id=run.id)


def signalled(run: Run) -> None:
    services.send_signal(run=str(run.id), signal="payment", payload=7, actor=pipelines.SYSTEM)


# --- clocks ----------------------------------------------------------------------------------------------------------


def test_a_child_has_no_longer_than_the_run_above_it(path: Path) -> None:
    families.publish(path, WAITER, steps=WAITS, more="limits: {timeout: 40s, max_lifetime: 2h}")
    run = pipelines.start()
    pipelines.drive(run)
    child = child_of(run)
    assert (child.remaining_ms or 0) < 40_000
    assert child.lifetime_until == row(run).lifetime_until


def test_a_node_s_timeout_bounds_its_child(path: Path) -> None:
    log = path.parent / "log"
    families.publish(path, SLOW, steps=("- {id: sub, pipeline: slower, with: {log: =input.log}, timeout: 1s}",))
    said = pipelines.run(input={"log": str(log)})
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", "deadline", "agent:slow")
    child = Run.objects.get(parent_run=said["id"])
    assert child.outcome == "failed"
    assert child.deadline_at <= child.created_at + timedelta(seconds=1)


def test_a_parent_s_clock_runs_while_its_child_works(path: Path) -> None:
    log = path.parent / "log"
    families.publish(path, SLOW, steps=("- {id: sub, pipeline: slower, with: {log: =input.log}}",), more="limits: {timeout: 50s}")
    run = pipelines.start(input={"log": str(log)})
    pipelines.crash(run, at=log.exists)
    parent = row(run)
    assert (parent.state, parent.remaining_ms, parent.deadline_at) == ("waiting", None, run.deadline_at)
    Run.objects.update(lease_until=None)
    Path(f"{log}.go").touch()
    assert pipelines.drive(run)["outcome"] == "verified"


def test_where_a_child_waits_the_clocks_above_it_stand_and_its_answer_sets_them_going(path: Path) -> None:
    middle = pipeline("middle", "- {id: deeper, pipeline: waiter, with: {}}")
    families.publish(path, WAITER, middle, steps=("- {id: sub, pipeline: middle, with: {}}",), more="limits: {timeout: 50s}")
    run = pipelines.start()
    assert pipelines.drive(run)["state"] == "waiting"
    for each in generations(row(run)):
        assert (each.state, each.remaining_ms is not None, row(each).deadline_at > run.deadline_at) == ("waiting", True, True)
    assert "stands" in [entry["facts"].get("clock") for entry in reports.entries_of(run.id)]
    signalled(generations(run)[-1])
    states = [(each.state, each.remaining_ms, each.deadline_at < clock.now() + timedelta(seconds=50)) for each in generations(row(run))]
    assert states == [("waiting", None, True), ("waiting", None, True), ("running", None, True)]
    said = pipelines.drive(run)
    assert (said["outcome"], said["result"]) == ("verified", {"got": 7})


def test_one_child_at_work_keeps_the_clock_running_beside_one_that_waits(path: Path) -> None:
    log = path.parent / "log"
    both = "- {id: both, parallel: {a: [{id: sub, pipeline: waiter, with: {}}], b: [{id: busy, pipeline: slower, with: {log: =input.log}}]}}"
    families.publish(path, WAITER, SLOW, steps=(both,))
    run = pipelines.start(input={"log": str(log)})
    asyncio.run(_until_both(run, log.exists))
    assert (row(run).state, row(run).remaining_ms) == ("waiting", None)
    Run.objects.update(lease_until=None)
    Path(f"{log}.go").touch()
    assert pipelines.drive(run)["state"] == "waiting"
    assert row(run).remaining_ms is not None
    signalled(Run.objects.get(parent_run=run, pipeline__name="waiter"))
    assert pipelines.drive(run)["result"] == {"a": {"got": 7}, "b": {"slow": True}}


async def _until_both(run: Run, is_there: Callable[[], bool]) -> None:
    """One child waits and the other works; the engine then vanishes without giving anything back."""
    told: list[str] = []
    engine = Engine(EngineOptions(only=frozenset({run.id}), listener=lambda event: told.append(event.verb), children=2))
    driving = asyncio.create_task(engine.run())
    async with asyncio.timeout(20):
        while not (is_there() and told.count("runs.run.waiting") >= 2):  # noqa: ASYNC110 - it happens in a child
            await asyncio.sleep(0.01)
    driving.cancel()
    await asyncio.gather(driving, return_exceptions=True)


# --- ends that reach down --------------------------------------------------------------------------------------------


def test_a_cancel_reaches_the_child_of_a_child_though_nobody_drives_them(path: Path) -> None:
    middle = pipeline("middle", "- {id: deeper, pipeline: waiter, with: {}}")
    families.publish(path, WAITER, middle, steps=("- {id: sub, pipeline: middle, with: {}}",))
    run = pipelines.start()
    pipelines.drive(run)
    services.cancel_run(run=str(run.id), actor=pipelines.SYSTEM)
    assert [(each.outcome, each.depth) for each in generations(row(run))] == [("cancelled", 1), ("cancelled", 2), ("cancelled", 3)]
    assert "runs.run.cancel_requested" in families.verbs(generations(run)[-1])


def test_a_cancel_reaches_a_child_at_work(path: Path) -> None:
    log = path.parent / "log"
    middle = pipeline("middle", "- {id: deeper, pipeline: slower, with: {log: =input.log}}")
    families.publish(path, SLOW, middle, steps=("- {id: sub, pipeline: middle, with: {log: =input.log}}",))
    run = pipelines.start(input={"log": str(log)})

    async def cancelled() -> None:
        async with pipelines.at_work(run, at=log.exists) as (_, driving):
            await asyncio.to_thread(_cancel, run)
            await driving

    asyncio.run(cancelled())
    assert [each.outcome for each in generations(row(run))] == ["cancelled"] * 3


def _cancel(run: Run) -> None:
    services.cancel_run(run=str(run.id), actor=pipelines.SYSTEM)
    connections.close_all()


def test_a_cancelled_child_fails_its_node(path: Path) -> None:
    families.publish(path, WAITER, steps=WAITS)
    run = pipelines.start()
    pipelines.drive(run)
    services.cancel_run(run=str(child_of(run).id), actor=pipelines.SYSTEM)
    said = pipelines.drive(run)
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["details"]["outcome"]) == ("failed", "stopped", "cancelled")


def test_a_run_that_fails_ends_the_children_that_it_no_longer_waits_for(path: Path) -> None:
    both = "- {id: both, parallel: {a: [{id: sub, pipeline: waiter, with: {}}], b: [{id: breaks, agent: loser, with: {}}]}}"
    families.publish(path, WAITER, steps=(both,))
    run = pipelines.start()
    assert pipelines.drive(run)["outcome"] == "failed"
    assert (child_of(run).outcome, Wait.objects.get(run=run, kind="remote").state) == ("cancelled", "cancelled")


def test_an_overdue_run_s_children_are_ended_by_the_sweep(path: Path) -> None:
    families.publish(path, WAITER, steps=WAITS)
    run = pipelines.start()
    pipelines.drive(run)
    past = clock.now() - timedelta(seconds=5)
    Run.objects.filter(id=run.id).update(deadline_at=past, wake_at=past)
    sweeps.sweep()
    assert [each.outcome for each in generations(row(run))] == ["failed", "cancelled"]


def test_a_child_that_time_ends_brings_its_parent_back_though_no_worker_lives(path: Path) -> None:
    families.publish(path, WAITER, steps=WAITS)
    run = pipelines.start()
    pipelines.drive(run)
    past = clock.now() - timedelta(seconds=5)
    Run.objects.filter(parent_run=run).update(deadline_at=past, wake_at=past)
    Wait.objects.filter(kind="signal").update(expires_at=past)
    sweeps.sweep()
    assert (child_of(run).outcome, row(run).state) == ("failed", "running")
    said = pipelines.drive(run)
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("expired", "pipeline:waiter")


# --- workers that vanish, and several at once ------------------------------------------------------------------------


def test_a_worker_that_vanishes_after_a_child_s_end_leaves_a_parent_that_has_its_answer(path: Path) -> None:
    families.publish(path, INNER)
    run = pipelines.start(input={"n": 3})
    pipelines.crash(run, at="runs.run.finished")
    assert (child_of(run).outcome, Wait.objects.get(run=run).state) == ("verified", "answered")
    assert pipelines.drive(run)["result"] == {"got": {"n": 6}}
    assert Run.objects.filter(parent_run=run).count() == 1


def test_a_worker_that_vanishes_while_a_child_works_loses_and_repeats_no_child(path: Path) -> None:
    log = path.parent / "log"
    families.publish(path, SLOW, steps=("- {id: sub, pipeline: slower, with: {log: =input.log}}",))
    run = pipelines.start(input={"log": str(log)})
    pipelines.crash(run, at=log.exists)
    Run.objects.update(lease_until=None)
    Path(f"{log}.go").touch()
    assert pipelines.drive(run)["outcome"] == "verified"
    assert Run.objects.filter(parent_run=run).count() == 1


def test_two_engines_share_the_children_of_many_runs(path: Path) -> None:
    loop = "- {id: each, for_each: =input.list, as: one, do: [{id: sub, pipeline: inner, with: {n: =one}}]}"
    families.publish(path, INNER, steps=(loop, "- {id: after, agent: user, with: {got: =steps.each}}"))
    runs = [pipelines.start(input={"list": [1, 2, 3]}) for _ in range(4)]

    async def both() -> None:
        await asyncio.gather(*(Engine(EngineOptions(idle_s=2, children=2)).run() for _ in range(2)))

    asyncio.run(both())
    assert [row(run).outcome for run in runs] == ["verified"] * 4
    assert Run.objects.filter(parent_run__isnull=False, outcome="verified").count() == 12
    for run in Run.objects.all():
        assert [entry["verb"] for entry in reports.entries_of(run.id)].count("runs.run.finished") == 1


def test_a_parent_that_is_at_work_itself_takes_its_child_s_answer_in(path: Path) -> None:
    log = path.parent / "log"
    both = "- {id: both, parallel: {a: [{id: sub, pipeline: inner, with: {n: 2}}], b: [{id: busy, agent: slow, with: {log: =input.log}}]}}"
    families.publish(path, INNER, steps=(both,))
    run = pipelines.start(input={"log": str(log)})

    async def driven() -> None:
        async with pipelines.at_work(run, at="runs.run.finished") as (_, driving):  # the child's end; the other branch is still at work
            await asyncio.to_thread(Path(f"{log}.go").touch)
            await driving

    asyncio.run(driven())
    said = pipelines.document(run)
    assert (said["outcome"], said["result"]) == ("verified", {"a": {"n": 4}, "b": {"slow": True}})


def test_what_a_late_call_of_an_ended_child_cost_is_counted_all_the_way_up(path: Path) -> None:
    middle = pipeline("middle", "- {id: deeper, pipeline: inner, with: {n: 1}}")
    families.publish(path, INNER, middle, steps=("- {id: sub, pipeline: middle, with: {}}",))
    run = pipelines.start()
    pipelines.drive(run)
    with transaction.atomic():
        store.family.pay_late(generations(run)[-1].id, 5)
    assert [each.spent_nano for each in generations(row(run))] == [5, 5, 0]


# --- engines that can't carry a run on -------------------------------------------------------------------------------


def _of_another_engine(run: Run) -> None:
    """As where a newer version has started it and none of its engines is left."""
    Run.objects.filter(id=run.id).update(engine_abi=99, lease_owner=None, lease_until=None)


def _of_this_engine_again(run: Run) -> None:
    Run.objects.filter(id=run.id).update(engine_abi=max(SUPPORTED_ABIS))
    services.resume_compatible(actor=pipelines.SYSTEM)


def test_where_no_engine_can_carry_a_child_on_the_clock_above_it_stands(path: Path) -> None:
    log = path.parent / "log"
    families.publish(path, SLOW, steps=("- {id: sub, pipeline: slower, with: {log: =input.log}}",), more="limits: {timeout: 50s}")
    run = pipelines.start(input={"log": str(log)})
    pipelines.crash(run, at=log.exists)
    _of_another_engine(child_of(run))
    services.park_incompatible(actor=pipelines.SYSTEM)
    assert [each.clock_stands for each in generations(row(run))] == [True, True]
    Path(f"{log}.go").touch()
    _of_this_engine_again(child_of(run))
    assert [each.clock_stands for each in generations(row(run))] == [False, False]
    assert pipelines.drive(run)["outcome"] == "verified"


def test_a_run_that_no_engine_can_carry_on_keeps_an_answer_until_one_can(path: Path) -> None:
    families.publish(path, WAITER, steps=WAITS)
    run = pipelines.start()
    pipelines.drive(run)
    waiter = child_of(run)
    _of_another_engine(waiter)
    Run.objects.filter(id=waiter.id).update(wake_at=clock.now())
    services.park_incompatible(actor=pipelines.SYSTEM)
    signalled(waiter)
    assert (row(waiter).state, row(waiter).clock_stands) == ("waiting", True)
    _of_this_engine_again(waiter)
    assert pipelines.drive(run)["outcome"] == "verified"


# --- money -----------------------------------------------------------------------------------------------------------


USD = 1_000_000_000


def lost(run: Run) -> store.Transition:
    """The end of a run that somebody holds, with what its calls have cost."""
    loaded = store.load([run.id])[0]
    move = machine.failed_run(machine.rebuild(loaded.snapshot, clock.now()).snapshot, Cause.LOST, "it is over", clock.now())
    out = [call for call in store.call_records(loaded.calls.values()).values() if call.state is CallState.DISPATCHED]
    settled = tuple(store.abandoned(call, move.snapshot, run=run.id) for call in out)
    move = replace(move, snapshot=store.with_account(move.snapshot, (), settled))
    return store.Transition(run.id, loaded.run.team.name, loaded.seen, move, pipelines.SYSTEM, settled=settled)


def three_at_work(path: Path, *, own: bool = True, limits: str = "") -> list[Run]:
    """A run, its child and the child of that, which has a call out that may cost a dollar; and its `own` has the one between."""
    logs = [path.parent / "below", path.parent / "own"]
    below = pipeline("below", "- {id: works, agent: pricey, with: {log: =input.log}}")
    deeper, beside = "{id: deeper, pipeline: below, with: {log: =input.log}}", "{id: own, agent: pricey, with: {log: =input.own}}"
    middle = pipeline("middle", f"- {{id: both, parallel: {{a: [{deeper}], b: [{beside}]}}}}" if own else f"- {deeper}")
    pricey = agent("pricey", "work:slow", timeout="60s", more="cost: 1 USD")
    families.publish(
        path, below, middle, steps=("- {id: sub, pipeline: middle, with: {log: =input.log, own: =input.own}}",), agents=(pricey,), more=limits
    )
    run = pipelines.start(input={"log": str(logs[0]), "own": str(logs[1])})
    pipelines.crash(run, at=lambda: all(log.exists() for log in logs[: 1 + own]))
    return generations(run)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_what_a_child_cost_is_paid_once_where_it_ends_with_the_run_above_it(path: Path, order: tuple[int, int]) -> None:
    family = three_at_work(path)
    run = family[0]
    assert all(isinstance(each, store.Committed) for each in store.commit([lost(family[at]) for at in order]))
    root, charged = row(run), sum(charge.amount_nano for charge in Charge.objects.all())
    assert (root.spent_nano, root.calls_used, root.reserved_nano) == (charged, 2, 0)
    assert charged > 0


def test_what_a_run_below_still_holds_is_not_given_back_by_the_end_of_the_one_between(path: Path) -> None:
    root, middle, low = three_at_work(path, own=False, limits="limits: {cost: 5 USD}")
    assert row(root).reserved_nano == 5 * USD
    assert all(isinstance(each, store.Committed) for each in store.commit([lost(middle)]))
    assert row(root).reserved_nano == row(low).held_nano > 0
    assert all(isinstance(each, store.Committed) for each in store.commit([lost(low)]))
    assert (row(root).reserved_nano, row(root).spent_nano) == (0, USD)
