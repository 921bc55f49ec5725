"""Runs that wait, for the tests of every door: a pipeline that waits for a signal, one whose payment hangs, one that undoes what it did."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from audit import clock
from runs.models import Call, Run, Wait
from tests import pipelines
from tests.pipelines import agent

WORK = """
import orchestra, time
from pathlib import Path

def run(got: object = None) -> dict:
    return {"got": got}

def act(text: str = "") -> dict:
    orchestra.progress("acting")
    time.sleep(60)
    return {"paid": True}

def book(what: str) -> dict:
    return {"booking": what + "-1"}

def cancel(booking: str) -> dict:
    return {}

def fail() -> dict:
    raise ValueError("no luck")
"""
CONTRACT = "{type: object, required: [amount], properties: {amount: {type: integer, minimum: 1}, note: {type: string}}}"
SIGNAL = f"- {{id: paid, wait: {{signal: payment, timeout: 2d, output: {CONTRACT}}}}}"
WORKED = "- {id: work, agent: worker, with: {got: =steps.paid}}"
GIVES = "output: {type: object, required: [paid], properties: {paid: {type: boolean}}}"
EITHER = f"""
- id: both
  parallel:
    left: [{{id: paid, wait: {{signal: payment, timeout: 2d, output: {CONTRACT}}}}}]
    right: [{{id: pay, agent: payer, with: {{}}}}]
"""
UNDO = "compensate: {agent: canceller, with: {booking: =steps.%s.booking}}"


def agents() -> list[str]:
    payer = agent("payer", "work:act", role="act", timeout="1s", more="accountable: carol@example.com").replace(f"output: {pipelines.ANY}", GIVES)
    canceller = agent("canceller", "work:cancel", role="act", more="mode: {idempotent: =input.booking}")
    return [agent("worker", "work:run"), payer, agent("booker", "work:book", role="act"), canceller, agent("loser", "work:fail")]


def publish(path: Path, *steps: str, **more: Any) -> None:
    pipelines.publish(path, steps="\n".join(steps), agents=agents(), functions=WORK, **more)


def for_a_signal(path: Path, **options: Any) -> Run:
    """Parked: it waits for the signal `payment` with an amount."""
    publish(path, SIGNAL, WORKED)
    return parked(**options)


def for_a_person(path: Path, **options: Any) -> Run:
    """Parked: its payer hung beyond its time, so nobody knows whether it has paid."""
    publish(path, "- {id: pay, agent: payer, with: {}}")
    run = parked(**options)
    Call.objects.filter(run=run).update(not_after=clock.now() - timedelta(minutes=1))
    return run


def parked(**options: Any) -> Run:
    run = pipelines.start(**options)
    assert pipelines.drive(run)["state"] == "waiting"
    return Run.objects.get(id=run.id)


def failed_after_acting(path: Path) -> Run:
    """Its flight was undone, its hotel can't be."""
    flight = f"- {{id: flight, agent: booker, with: {{what: flight}}, {UNDO % 'flight'}}}"
    publish(path, flight, "- {id: hotel, agent: booker, with: {what: hotel}}", "- {id: pay, agent: loser, with: {}}")
    run = pipelines.start()
    pipelines.drive(run)
    return Run.objects.get(id=run.id)


def rows(run: Run) -> dict[str, str]:
    """An open wait and an unresolved call beside a run, by hand, for a test that can't drive one; their names in addresses."""
    now = clock.now()
    step = {"step": "pay", "attempt": 1, "ordinal": 0, "agent": "worker", "kind": "function", "name": "work:work", "mode": "at_most_once"}
    times = {"not_after": now - timedelta(minutes=1), "dispatched_at": now, "settled_at": now}
    call = Call.objects.create(key="0" * 64, run=run, state="unresolved", request_digest="0" * 64, **step, **times)
    Wait.objects.create(run=run, step="pay", kind="unresolved", subject=call.key, opened_at=now, expires_at=now + timedelta(days=1))
    wait = Wait.objects.create(run=run, step="paid", kind="signal", subject="payment", opened_at=now, expires_at=now + timedelta(days=1))
    return {"wait": str(wait.id), "call": str(call.id), "signal": "payment"}


def wait_of(run: Run) -> Wait:
    return Wait.objects.filter(run=run).latest("opened_at")


def call_of(run: Run) -> Call:
    return Call.objects.filter(run=run).latest("dispatched_at")


def expire(run: Run) -> None:
    """As if its time had come: rows only, so that no test sleeps for hours."""
    past = clock.now() - timedelta(seconds=2)
    Wait.objects.filter(run=run, state="open").update(expires_at=past)
    waiting = Run.objects.get(id=run.id)
    ends = waiting.deadline_at == waiting.wake_at
    Run.objects.filter(id=run.id).update(wake_at=past, deadline_at=past if ends else past + timedelta(milliseconds=waiting.remaining_ms or 0))
