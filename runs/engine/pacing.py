"""How fast an agent may be called, and when it is left alone: its rate and its breaker, over the figures of all its runs.

Pure: the figures and the instant are given. Read by the boundary's stages; filled from rows by the store.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from agents.spec.measures import duration_text
from runs.engine.states import Cause
from runs.engine.values import instant_text

FAILED: Final = frozenset({Cause.DEADLINE, Cause.STALLED, Cause.EXCEPTION, Cause.CRASHED, Cause.REFUSED, Cause.UPSTREAM})
"""What counts for a breaker: the agent's work, or what it asked for, has failed."""

ANSWERED: Final = frozenset({Cause.STALE, Cause.MISSING, Cause.CONTRACT, Cause.INPUT})
"""Ends of a call that say: the agent is there, whatever is wrong with what it gave or got. They count as an answer does.

All other causes (a refusal by the boundary, a cancel, the platform) say nothing of the agent and are passed over.
"""

WRITTEN_WITHIN: Final = timedelta(seconds=5)


class Unreadable(Exception):
    """A pace in force that isn't one: somebody changed the database, or a later version wrote it."""


@dataclass(frozen=True, slots=True)
class Rate:
    calls: int
    window: timedelta

    def __str__(self) -> str:
        return f"{self.calls}/{span_text(self.window)}"


@dataclass(frozen=True, slots=True)
class Breaker:
    failures: int
    rest: timedelta


@dataclass(frozen=True, slots=True)
class Pace:
    """Rate and breaker in force, with what was read of the agent's calls.

    `sent`: key and instant of its newest calls, as many as the rate has. `tripped_at`: the last failure, where its newest turns have
    all failed. `out`: keys of turns that were sent since then and have no end.
    """

    rate: Rate | None = None
    breaker: Breaker | None = None
    sent: Mapping[str, datetime] = field(default_factory=dict)
    tripped_at: datetime | None = None
    out: frozenset[str] = frozenset()
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that this process has let through. A turn is a step's own call; what a function asks for on its way is none."""

    at: datetime
    is_turn: bool


def read_pace(said: Mapping[str, Any]) -> Pace:
    """What `agents.spec.pace` wrote. Raises Unreadable."""
    try:
        rate, breaker = said.get("rate"), said.get("breaker")
        return Pace(
            rate=None if rate is None else Rate(_positive(rate["calls"]), timedelta(milliseconds=_positive(rate["window_ms"]))),
            breaker=None if breaker is None else Breaker(_positive(breaker["failures"]), timedelta(milliseconds=_positive(breaker["rest_ms"]))),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise Unreadable(str(error)) from None


def _positive(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"{value!r} is no whole number from 1")
    return value


def tripped_at(breaker: Breaker, ends: Iterable[tuple[str, datetime]]) -> datetime | None:
    """The last failure, if the newest turns that count have all failed; `ends` are their causes and instants, newest turn first."""
    newest = [(cause, at) for cause, at in ends if not cause or cause in FAILED | ANSWERED][: breaker.failures]
    if len(newest) < breaker.failures or not all(cause in FAILED for cause, _ in newest):
        return None
    return max(at for _, at in newest)


def beyond_rate(pace: Pace, agent: str, key: str, own: Mapping[str, Admission], now: datetime) -> str | None:
    """Why the call `key` is too much now, with when the next one fits. `own`: what was admitted here, with or without a row yet."""
    if pace.rate is None:
        return None
    known = {each: admission.at for each, admission in own.items()} | dict(pace.sent)
    sent = sorted(at for each, at in known.items() if each != key and at > now - pace.rate.window)
    if len(sent) < pace.rate.calls:
        return None
    fits_at = instant_text(sent[-pace.rate.calls] + pace.rate.window)
    made = f"'{agent}' has made {len(sent)} calls in the last {span_text(pace.rate.window)} over all runs, and its rate is {pace.rate}"
    return f"{made}; the next one fits at {fits_at}. Give the step a `retry` with a back-off, or raise `rate` and apply again with --publish"


def at_rest(pace: Pace, agent: str, key: str, own: Mapping[str, Admission], now: datetime) -> str | None:
    """Why the breaker lets the call `key` not through. After its rest it lets one go, and others once that has ended."""
    if pace.breaker is None or pace.tripped_at is None:
        return None
    failed = f"the last {pace.breaker.failures} calls of '{agent}' have failed, the last one at {instant_text(pace.tripped_at)}"
    until = pace.tripped_at + pace.breaker.rest
    if now < until:
        rest = f"its breaker rests for {span_text(pace.breaker.rest)}, until {instant_text(until)}, and then lets one through"
        return f"{failed}; {rest}. Mend the agent, or give the step a `fallback`"
    mine = {each for each, admission in own.items() if admission.is_turn and admission.at > pace.tripped_at}
    if (mine | pace.out) - {key}:
        return f"{failed}; one call is out to try it again, and no other is sent before that has ended"
    return None


def unwritten(own: Mapping[str, Admission], now: datetime) -> dict[str, Admission]:
    """The admitted calls that may have no row yet. Later, rows alone count: what has none by then was not sent."""
    return {key: admission for key, admission in own.items() if admission.at > now - WRITTEN_WITHIN}


def span_text(span: timedelta) -> str:
    """As files write it: 90s, 1m, 500ms."""
    return duration_text(round(span / timedelta(milliseconds=1)))
