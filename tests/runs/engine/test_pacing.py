"""Rates and breakers as arithmetic over instants: when a call is too much, when an agent is left alone, and for how long."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runs.engine import pacing
from runs.engine.pacing import Admission, Breaker, Pace, Rate

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def turns(**seconds: float) -> dict[str, Admission]:
    return {key: Admission(ago(value), is_turn=True) for key, value in seconds.items()}


# --- rates ---------------------------------------------------------------------------------------------------------


def refused(sent: dict[str, datetime], own: dict[str, Admission] | None = None, *, key: str = "new", calls: int = 2) -> str | None:
    return pacing.beyond_rate(Pace(rate=Rate(calls, MINUTE), sent=sent), "worker", key, own or {}, NOW)


def test_a_call_fits_until_the_window_is_full_and_then_says_when_the_next_one_does() -> None:
    assert refused({"a": ago(10)}) is None
    assert refused({"a": ago(10), "b": ago(40)}) == (
        "'worker' has made 2 calls in the last 1m over all runs, and its rate is 2/1m; the next one fits at 2026-03-01T12:00:20.000000Z. "
        "Give the step a `retry` with a back-off, or raise `rate` and apply again with --publish"
    )


def test_what_left_the_window_counts_no_more() -> None:
    assert refused({"a": ago(10), "b": ago(60)}) is None
    assert refused({"a": ago(10), "b": ago(59.9)}) is not None


def test_what_was_admitted_here_counts_before_it_is_read_and_once_when_it_is() -> None:
    assert refused({"a": ago(10)}, turns(b=1)) is not None
    assert refused({"a": ago(10)}, turns(a=10)) is None
    assert refused({}, turns(new=1), calls=1) is None  # a call that is asked for again is no second one


def test_where_more_were_sent_than_the_rate_allows_the_next_fits_once_enough_have_left() -> None:
    said = refused({"a": ago(10), "b": ago(20)}, turns(c=5))
    assert said is not None and "made 3 calls" in said and "fits at 2026-03-01T12:00:50.000000Z" in said


def test_an_agent_without_a_rate_is_never_too_fast() -> None:
    assert pacing.beyond_rate(Pace(), "worker", "new", turns(a=1, b=1), NOW) is None


# --- breakers ------------------------------------------------------------------------------------------------------

BREAKER = Breaker(2, MINUTE)


@pytest.mark.parametrize(
    ("causes", "trips"),
    [
        (["exception", "upstream"], True),
        (["exception"], False),
        (["exception", ""], False),
        (["", "exception", "exception"], False),
        (["exception", "missing", "exception"], False),
        (["exception", "input"], False),
        (["deadline", "stopped", "rate", "lost", "crashed"], True),
        (["stalled", "refused", ""], True),
        (["denied", "budget"], False),
        ([], False),
    ],
)
def test_it_trips_when_the_newest_turns_that_say_something_of_the_agent_all_failed(causes: list[str], trips: bool) -> None:
    ends = [(cause, ago(number)) for number, cause in enumerate(causes)]
    assert (pacing.tripped_at(BREAKER, ends) is not None) == trips


def test_it_rests_since_the_last_failure_whichever_turn_that_was() -> None:
    assert pacing.tripped_at(BREAKER, [("exception", ago(30)), ("exception", ago(5))]) == ago(5)


def held(tripped: float | None, own: dict[str, Admission] | None = None, *, out: frozenset[str] = frozenset()) -> str | None:
    pace = Pace(breaker=BREAKER, tripped_at=None if tripped is None else ago(tripped), out=out)
    return pacing.at_rest(pace, "worker", "new", own or {}, NOW)


def test_a_tripped_breaker_lets_nothing_through_until_it_has_rested() -> None:
    assert held(None) is None
    assert held(59) == (
        "the last 2 calls of 'worker' have failed, the last one at 2026-03-01T11:59:01.000000Z; its breaker rests for 1m, until "
        "2026-03-01T12:00:01.000000Z, and then lets one through. Mend the agent, or give the step a `fallback`"
    )
    assert held(60) is None


def test_after_its_rest_one_call_tries_and_no_other() -> None:
    assert "one call is out to try it again" in str(held(90, out=frozenset({"other"})))
    assert "one call is out to try it again" in str(held(90, turns(other=1)))
    assert held(90, turns(new=1), out=frozenset({"new"})) is None  # the one that tries, asked for again
    assert held(90, turns(before=95)) is None
    assert held(90, {"fetch": Admission(ago(1), is_turn=False)}) is None


# --- what is kept and what is read ---------------------------------------------------------------------------------


def test_an_admission_counts_by_itself_for_a_while_only() -> None:
    assert pacing.unwritten(turns(young=4, old=6), NOW) == turns(young=4)


def test_a_pace_reads_as_the_files_say_it() -> None:
    pace = pacing.read_pace({"rate": {"calls": 60, "window_ms": 60_000}, "breaker": {"failures": 5, "rest_ms": 90_000}})
    assert (str(pace.rate), pace.breaker) == ("60/1m", Breaker(5, timedelta(seconds=90)))
    assert pacing.read_pace({}) == Pace()


@pytest.mark.parametrize(
    "said",
    [
        [],
        {"rate": 60},
        {"rate": {"calls": 60}},
        {"rate": {"calls": 0, "window_ms": 1}},
        {"rate": {"calls": True, "window_ms": 1}},
        {"breaker": {"failures": "5", "rest_ms": 1}},
        {"breaker": {"failures": 5, "rest_ms": 10**30}},
    ],
)
def test_a_pace_that_is_none_is_unreadable(said: Any) -> None:
    with pytest.raises(pacing.Unreadable):
        pacing.read_pace(said)


@pytest.mark.parametrize(("ms", "text"), [(60_000, "1m"), (90_000, "90s"), (1_500, "1500ms"), (86_400_000, "1d"), (7_200_000, "2h")])
def test_a_span_is_said_as_files_write_it(ms: int, text: str) -> None:
    assert pacing.span_text(timedelta(milliseconds=ms)) == text
