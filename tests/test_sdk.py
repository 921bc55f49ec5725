"""The sdk as a team meets it in its own tests, outside any child; inside one, tests/agents/test_children.py."""

import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

import orchestra


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    sent: list[dict[str, Any]] = []
    link = SimpleNamespace(context={}, sent=sent, send=sent.append, ask=lambda frame: {"ok": frame})
    monkeypatch.setitem(sys.modules, "_orchestra_child.link", link)
    monkeypatch.setattr(orchestra, "_last", {"progress": -1e9})
    return link


def test_progress_outside_a_child_does_nothing() -> None:
    orchestra.progress("half", 0.5)


def test_a_call_outside_a_child_fails() -> None:
    with pytest.raises(orchestra.CallFailed, match="only be called from a function that Orchestra runs"):
        orchestra.call("fetch", {})


def test_now_outside_a_child_is_the_current_time() -> None:
    assert orchestra.as_of() is None
    assert abs(orchestra.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_now_is_the_instant_that_history_is_judged_as_of(link: SimpleNamespace) -> None:
    link.context["as_of"] = "2014-02-28T14:25:00.000000Z"
    assert orchestra.now() == datetime(2014, 2, 28, 14, 25, tzinfo=UTC)


def test_a_burst_of_progress_is_one_frame(link: SimpleNamespace) -> None:
    for _ in range(100):
        orchestra.progress("x", 0.5)
    assert link.sent == [{"progress": {"message": "x", "fraction": 0.5}}]


def test_a_fraction_that_is_no_number_is_left_out(link: SimpleNamespace) -> None:
    orchestra.progress("x", float("nan"))
    assert link.sent == [{"progress": {"message": "x", "fraction": None}}]


def test_half_a_character_in_what_it_says_breaks_no_function(link: SimpleNamespace) -> None:
    orchestra.progress("at \ud800")
    assert link.sent == [{"progress": {"message": "at ?", "fraction": None}}]


@pytest.mark.parametrize("arguments", [None, "https://example.org", [1]])
def test_a_call_that_is_not_asked_with_a_dict_is_its_functions_own_mistake(link: SimpleNamespace, arguments: Any) -> None:
    with pytest.raises(TypeError, match=rf"call\('fetch', …\) takes its arguments as a dict, .*; this is {type(arguments).__name__}"):
        orchestra.call("fetch", arguments)
    assert link.sent == []


@pytest.mark.parametrize(("cause", "kind"), [("denied", orchestra.Denied), ("stopped", orchestra.Denied), ("upstream", orchestra.CallFailed)])
def test_a_refused_call_raises_with_its_cause(link: SimpleNamespace, cause: str, kind: type[Exception]) -> None:
    link.ask = lambda frame: {"error": {"cause": cause, "message": "why"}}
    with pytest.raises(orchestra.CallFailed, match="why") as caught:
        orchestra.call("fetch", {})
    assert type(caught.value) is kind
    assert caught.value.cause == cause


def test_a_failure_claims_only_what_an_agent_may_own() -> None:
    assert orchestra.Failure("stale", "old").cause == "stale"
    with pytest.raises(ValueError, match="can't claim the cause 'budget'"):
        orchestra.Failure("budget", "not mine")
