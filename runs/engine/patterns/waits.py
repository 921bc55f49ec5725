"""Waits: until when each kind lasts, what it means that time has ended one, and when a whole run stands still.

Pure. The walk opens them, the machine ends them; knows nothing of who answers.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from agents import contracts
from runs.engine.commands import Fact
from runs.engine.limits import later, left_ms
from runs.engine.states import RunState, Verb, WaitKind
from runs.engine.values import Failure, RunView, Step, Waiting, WaitNode, instant_text

UNRESOLVED_FOR: Final = timedelta(days=7)
"""How long people have to say what became of a call; after that its step has failed, as it would have at once without them."""
STOPPED_FOR: Final = timedelta(days=30)
"""How long a stop can last before what waits for its end has failed."""
NAMED: Final = 20


class NoInstant(Exception):
    """What a wait was to last until is no instant."""


def opened(node: WaitNode, until: Any, run: RunView, now: datetime) -> Waiting:
    """The wait of a node, `until` resolved. NoInstant where that is not an instant with its offset from UTC."""
    if node.signal is not None:
        return Waiting(WaitKind.SIGNAL, now, _bounded(later(now, node.timeout_ms), run), node.goes_on, node.signal)
    due = later(now, node.for_ms) if node.for_ms is not None else _instant(node.id, until)
    if run.lifetime_until is not None and due > run.lifetime_until:
        limit = instant_text(run.lifetime_until)
        raise NoInstant(f"wait '{node.id}' would last until {instant_text(due)}, and the run may live until {limit} (limits.max_lifetime)")
    return Waiting(WaitKind.TIMER, now, due, goes_on=True)


def unresolved(call: str, failed: Failure, look_at: datetime | None, run: RunView, now: datetime) -> Waiting:
    """The wait for a person, or a look-up, that says what became of a call; `failed` is what it means that nobody does."""
    return Waiting(WaitKind.UNRESOLVED, now, _bounded(now + UNRESOLVED_FOR, run), subject=call, failure=failed, look_at=look_at)


def stopped(stop: str, failed: Failure, run: RunView, now: datetime) -> Waiting:
    """The wait for the end of a stop; `failed` is what it means that nobody lifts it."""
    return Waiting(WaitKind.STOPPED, now, _bounded(now + STOPPED_FOR, run), subject=stop, failure=failed)


def approval(binding: str, within_ms: int, silence: Failure, run: RunView, now: datetime) -> Waiting:
    """The wait for people's yes; `silence` is what it means that they have not said it in time."""
    return Waiting(WaitKind.APPROVAL, now, _bounded(later(now, within_ms), run), subject=binding, failure=silence)


def _bounded(instant: datetime, run: RunView) -> datetime:
    return instant if run.lifetime_until is None else min(instant, run.lifetime_until)


def _instant(name: str, value: Any) -> datetime:
    try:
        found = contracts.observed_at({"at": value}, "at")
    except ValueError as error:
        raise NoInstant(f"wait '{name}': {error}") from None
    if found is None:
        raise NoInstant(f"wait '{name}' is to last until {value!r}, which is no instant; give one such as 2026-11-20T11:44:48Z")
    return found


def fact(step: Step, wait: Waiting, asked: Mapping[str, Any] | None = None) -> Fact:
    """`asked`: what people are told who are to answer."""
    facts = {
        "step": step.key,
        "attempt": step.attempt,
        "kind": str(wait.kind),
        "subject": wait.subject,
        "until": instant_text(wait.until),
        "goes_on": wait.goes_on,
    }
    openings: dict[str, Any] = {} if wait.failure is None else {"failure": wait.failure.as_record()}
    openings |= {} if asked is None else {"approval": asked}
    return Fact(Verb.STEP_WAITING, f"step:{step.key}", step.agent, facts, openings)


def ends_at(wait: Waiting) -> datetime:
    """When something is to be done about it without anybody's help."""
    if wait.answer is not None:
        return wait.answer.at
    return wait.until if wait.look_at is None else min(wait.until, wait.look_at)


def is_due(step: Step, now: datetime) -> bool:
    """Whether somebody has answered, or time has, or it can be looked up."""
    return step.wait is not None and (step.wait.answer is not None or now >= ends_at(step.wait))


def parked(run: RunView, steps: Collection[Step], now: datetime) -> RunView | None:
    """The run as it waits, where none of its open `steps` can go on; None where one can.

    Its clock stands still, unless a child run of it is at work: that is this run's work too.
    """
    waits = [step.wait for step in steps if step.wait is not None and not is_due(step, now)] if run.state is RunState.RUNNING else []
    if not waits or len(waits) < len(steps):
        return None
    wake = min(ends_at(wait) for wait in waits)
    if any(wait.works for wait in waits):
        return replace(run, state=RunState.WAITING, remaining_ms=None, wake_at=wake)
    remaining = left_ms(run.deadline_at, now)
    return replace(run, state=RunState.WAITING, remaining_ms=remaining, wake_at=wake, deadline_at=_bounded(later(wake, remaining), run))


def woken(run: RunView) -> RunView:
    """At work again. Its deadline is what its row says: it was set when the wait began or when it was answered."""
    if run.state is RunState.RUNNING and run.remaining_ms is None and run.wake_at is None:
        return run
    return replace(run, state=RunState.RUNNING, remaining_ms=None, wake_at=None)


def parked_fact(run: RunView, waiting: Mapping[str, Step]) -> Fact:
    named = [{"step": key, "kind": str(step.wait.kind)} for key, step in sorted(waiting.items()) if step.wait is not None][:NAMED]
    facts = {
        "waits": named,
        "count": len(waiting),
        "clock": "runs" if run.remaining_ms is None else "stands",
        "remaining_ms": run.remaining_ms,
        "wake_at": instant_text(run.wake_at),
        "deadline_at": instant_text(run.deadline_at),
    }
    return Fact(Verb.RUN_WAITING, f"run:{run.id}", facts=facts)
