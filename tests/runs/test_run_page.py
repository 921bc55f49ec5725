"""The page of a run, as values: its time line, its phases, where to look first, and the form that starts one. No database."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django import forms

from runs.admin.advice import WHAT_TO_DO, what_to_do, where_to_look
from runs.admin.findings import MOST_CHECKS, MOST_SOURCES, findings
from runs.admin.outline import MOST, Asked, asked_of, outline
from runs.admin.phases import phases, work_of
from runs.admin.starting import given, start_form, value_fields, value_of
from runs.admin.timeline import timeline
from runs.models import Cause
from runs.services import StepInShort

NOW = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)


def at(second: float) -> str:
    return f"2026-03-01T12:00:{second:09.6f}Z"


def step(key: str, begin: float, end: float | None, state: str = "returned", **more: Any) -> dict[str, Any]:
    plain = {"key": key, "agent": "worker", "state": state, "attempt": 1, "judges": False, "calls": []}
    return {**plain, "started_at": at(begin), "finished_at": None if end is None else at(end), **more}


def call(begin: float, end: float, **more: Any) -> dict[str, Any]:
    plain = {"kind": "function", "name": "work:run", "state": "confirmed", "cause": None, "attempt": 1, "ordinal": 0, "id": "own"}
    return {**plain, "dispatched_at": at(begin), "settled_at": at(end), **more}


def document(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    plain = {
        "created_at": at(0),
        "started_at": at(0),
        "finished_at": at(10),
        "outcome": "verified",
        "verdict": None,
        "failure": None,
        "trigger": "cli",
    }
    return {**plain, "trigger": "cli", "release": "a" * 64, "reverifies": None, "steps": list(steps), **more}


def test_a_bar_stands_where_its_time_lies() -> None:
    line = timeline(document(step("read", 0, 5, calls=[call(1, 3)]), step("verify", 5, 10, judges=True)), NOW)
    assert [(row.bar.left, row.bar.width) for row in line.rows if row.bar] == [(0, 50), (50, 50)]
    assert [(one.left, one.width) for one in line.rows[0].calls] == [(10, 20)]
    assert [label for _, label in line.marks] == ["0", "2 s", "4 s", "6 s", "8 s"]


def test_steps_are_nested_as_their_keys_are_and_a_place_that_holds_one_is_shown_as_one() -> None:
    line = timeline(document(step("scan/a/find", 0, 2), step("scan/b/find", 1, 4), step("scan/b/tell", 4, 6)), NOW)
    assert [(row.name, row.depth, row.step is not None) for row in line.rows] == [
        ("scan", 0, False),
        ("a/find", 1, True),
        ("b", 1, False),
        ("find", 2, True),
        ("tell", 2, True),
    ]
    outer = line.rows[0].bar
    assert outer is not None and (outer.left, outer.width) == (0, 60)


def test_a_step_at_work_reaches_to_now_and_one_without_duration_can_still_be_seen() -> None:
    line = timeline(document(step("slow", 5, None, "running"), step("quick", 5, 5), finished_at=None, outcome=None), NOW)
    bars = [row.bar for row in line.rows if row.bar]
    assert bars[0].left + bars[0].width == 100
    assert bars[1].width > 0


def test_a_call_that_failed_is_told_from_one_that_did_not() -> None:
    row = timeline(document(step("work", 0, 9, calls=[call(0, 1, cause="missing"), call(8, 9)])), NOW).rows[0]
    assert [one.state for one in row.calls] == ["failed", "confirmed"]
    assert "missing" in row.calls[0].title


@pytest.mark.parametrize(
    ("state", "failure", "kind", "attempt", "came_back"),
    [
        ("failed", {"cause": "stale"}, "function", 1, True),
        ("failed", {"cause": "contract"}, "command", 1, True),
        ("failed", {"cause": "budget"}, "function", 1, False),
        ("failed", {"cause": "stale"}, "tool", 1, False),
        ("returned", None, "function", 1, False),
        ("returned", None, "function", 2, True),
    ],
)
def test_a_call_that_came_back_with_what_was_refused_is_no_success(state: str, failure: Any, kind: str, attempt: int, came_back: bool) -> None:
    row = timeline(document(step("read", 0, 9, state, failure=failure, attempt=attempt, calls=[call(1, 8, kind=kind)])), NOW).rows[0]
    assert row.refused == ({"own"} if came_back else set())
    assert (row.calls[0].state == "failed") is came_back
    assert ("output was refused" in row.calls[0].title) is came_back


@pytest.mark.parametrize(
    ("state", "cause", "refused"),
    [("returned", None, {"first"}), ("failed", "contract", {"first", "last"}), ("failed", "upstream", {"first"})],
)
def test_the_replies_of_a_model_that_were_refused_are_marked_the_last_one_too(state: str, cause: str | None, refused: set[str]) -> None:
    calls = [call(0, 4, kind="model", name="wording", id="first"), call(4, 8, kind="model", name="wording", id="last", ordinal=1)]
    row = timeline(document(step("word", 0, 9, state, failure=cause and {"cause": cause}, calls=calls)), NOW).rows[0]
    assert row.refused == refused
    assert [one.state for one in row.calls] == ["failed" if name in refused else "confirmed" for name in ("first", "last")]


@pytest.mark.parametrize(
    ("result", "reads"),
    [
        ({"verdict": "pass", "checks": []}, "pass"),
        ({"verdict": "fail", "checks": []}, "fail"),
        ({"verdict": "inconclusive", "checks": []}, "inconclusive"),
        ({"verdict": "verified"}, "returned"),
        (["fail"], "returned"),
        (None, "returned"),
    ],
)
def test_a_step_that_judged_is_shown_as_its_verdict_and_its_call_with_it(result: Any, reads: str) -> None:
    row = timeline(document(step("verify", 0, 9, judges=True, result=result, calls=[call(1, 8)])), NOW).rows[0]
    assert row.bar is not None and (row.reads, row.bar.state) == (reads, reads)
    assert row.calls[0].state == ("confirmed" if reads == "returned" else reads)
    assert (f"says {reads}" in row.bar.title) is (reads != "returned")


def test_work_that_returns_something_called_a_verdict_has_only_returned() -> None:
    row = timeline(document(step("work", 0, 9, result={"verdict": "fail"}, calls=[call(1, 8)])), NOW).rows[0]
    assert (row.reads, row.calls[0].state) == ("returned", "confirmed")


def test_a_call_that_is_settled_after_its_step_stays_within_the_bar() -> None:
    rows = timeline(document(step("one", 0, 5, calls=[call(1, 5.4)]), step("none", 6, 6, calls=[call(6.1, 6.1)])), NOW).rows
    for row in rows:
        assert row.bar is not None
        assert row.calls[0].left >= row.bar.left
        assert row.calls[0].left + row.calls[0].width <= row.bar.left + row.bar.width + 0.002


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0.284, ["0", "0.1 s", "0.2 s"]),
        (0.012, ["0", "5 ms", "10 ms"]),
        (1.5, ["0", "0.5 s", "1 s"]),
        (22.3, ["0", "5 s", "10 s", "15 s", "20 s"]),
        (150.0, ["0", "30 s", "60 s", "90 s", "120 s"]),
        (700.0, ["0", "5 min", "10 min"]),
        (86_400.0 * 3, ["0", "24 h", "48 h"]),
    ],
)
def test_the_marks_of_the_axis_are_round_and_evenly_apart(seconds: float, labels: list[str]) -> None:
    end = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC) + timedelta(seconds=seconds)
    line = timeline(document(finished_at=end.isoformat()), end)
    assert [label for _, label in line.marks] == labels
    assert [left for left, _ in line.marks] == pytest.approx([number * line.tick for number in range(len(labels))], abs=0.01)


def read(source: str) -> dict[str, str]:
    return {"source": source, "digest": source * 64, "at": at(1)}


def test_what_was_read_for_several_checks_is_listed_once_and_cited_by_its_number() -> None:
    checks = [
        {"criterion": "fine", "verdict": "pass", "why": "", "by": "judge", "read": [read(name) for name in "abcdf"]},
        {"criterion": "counted", "verdict": "pass", "why": "", "by": "engine", "read": []},
        {"criterion": "false", "verdict": "fail", "why": "", "by": "judge", "read": [read("e"), read("b")]},
    ]
    found = findings({"by": "judge", "verdict": "fail", "checks": checks})
    assert [(one.check["criterion"], one.cited, one.by) for one in found.rows] == [
        ("false", "1, 2", ""),
        ("fine", "2–6", ""),
        ("counted", "", "engine"),
    ]
    assert [(one.number, one.source) for one in found.sources] == [(1, "e"), (2, "b"), (3, "a"), (4, "c"), (5, "d"), (6, "f")]
    assert found.folded and not findings({"by": "judge", "checks": checks[2:]}).folded


def test_a_verdict_that_read_very_much_says_how_much_is_left_out() -> None:
    one = {"criterion": "x", "verdict": "pass", "why": "", "by": "judge", "read": [read(f"{number}-") for number in range(0, 2 * MOST_SOURCES, 2)]}
    two = {**one, "read": [read(f"{number}-") for number in range(1, 2 * MOST_SOURCES, 2)]}
    found = findings({"by": "judge", "checks": [one, two] * MOST_CHECKS})
    assert (len(found.rows), found.more_checks) == (MOST_CHECKS, MOST_CHECKS)
    assert (len(found.sources), found.more_sources) == (MOST_SOURCES, MOST_SOURCES)
    assert findings(None).rows == []


def many(items: int = 20_000) -> list[StepInShort]:
    """A step, a fan of which every thousandth item fails, a step, the verifier."""
    keys = ["read", *(f"each/{number}/look" for number in range(items)), "end", "verify"]
    return [
        StepInShort(number, key, "failed" if key.startswith("each/") and number % 1000 == 0 else "returned") for number, key in enumerate(keys, 1)
    ]


def shown_keys(steps: list[StepInShort], asked: Asked) -> list[str]:
    wanted = set(outline(steps, asked).shown)
    return [step.key for step in steps if step.id in wanted]


def test_a_short_run_is_shown_whole() -> None:
    told = outline(many(MOST - 3), Asked())
    assert (len(told.shown), told.folds) == (MOST, {})


def test_of_very_many_steps_the_failed_and_the_ends_are_shown_and_the_rest_is_counted_where_it_lies() -> None:
    steps = many()
    keys, told = shown_keys(steps, Asked()), outline(steps, Asked())
    assert {"read", "end", "verify", "each/0/look", "each/19999/look", "each/998/look"} <= set(keys)
    assert len(keys) == len(told.shown) <= MOST
    fold = told.folds["each"]
    assert fold.total + len(keys) == len(steps)
    assert fold.states == [("returned", fold.total, "?under=each&state=returned")]


def test_what_failed_stands_first_in_a_folded_group_and_the_rest_at_its_end() -> None:
    steps = many()
    told = outline(steps, Asked())
    wanted = [one for one in steps if one.id in set(told.shown)]
    line = timeline(document(*(step(one.key, 0, 1, one.state) for one in wanted)), NOW, told.folds)
    names = [(row.name, row.fold is not None) for row in line.rows]
    assert names[:3] == [("read", False), ("each", False), ("998/look", False)]
    assert names[-3:] == [("…", True), ("end", False), ("verify", False)]
    assert next(row for row in line.rows if row.name == "each").holds == 20_000


def test_every_step_of_a_long_run_is_on_one_of_the_pages_that_it_leads_to() -> None:
    steps, seen, query = many(700), list[str](), "under=each&state=returned"
    for _ in range(9):
        asked = asked_of(dict(part.split("=") for part in query.split("&")))
        seen += shown_keys(steps, asked)
        after = outline(steps, asked).after
        if after is None:
            break
        query = after.removeprefix("?")
    assert seen == [step.key for step in steps if step.key.startswith("each/") and step.state == "returned"]
    assert outline(steps, asked_of({"under": "each", "at": "100"})).part == "101–200 of 700"


@pytest.mark.parametrize("given", [{"state": "odd"}, {"at": "-1"}, {"at": "9" * 40}, {"at": "²"}, {"other": "x"}])
def test_an_address_that_makes_no_sense_shows_the_run_as_it_opens(given: dict[str, str]) -> None:
    assert asked_of(given) == Asked()


def test_the_phases_count_steps_that_the_document_does_not_hold() -> None:
    work = work_of([(one.key, one.state) for one in many() if one.key != "verify"], (at(0), at(9)))
    assert phases(document(step("read", 0, 1), step("verify", 9, 10, judges=True)), work)[2].said == "19,982 of 20,002 steps done"


def words(said: dict[str, Any]) -> list[str]:
    return [phase.word for phase in phases(said)]


VERDICT = {"verdict": "pass", "by": "judge", "checks": [{"criterion": "honest", "verdict": "pass"}]}


def test_the_phases_follow_a_run_from_its_queue_to_its_verdict() -> None:
    work, judge = step("work", 0, 5), step("verify", 5, 9, judges=True)
    queued = document(started_at=None, finished_at=None, outcome=None)
    assert words(queued) == ["done", "queued", "expected", "expected"]
    assert words(document(step("work", 0, None, "running"), finished_at=None, outcome=None)) == ["done", "done", "live", "expected"]
    judging = document(work, step("verify", 5, None, "running", judges=True), finished_at=None, outcome=None)
    assert words(judging) == ["done", "done", "done", "live"]
    assert words(document(work, judge, verdict=VERDICT)) == ["done", "done", "done", "pass"]
    assert words(document(work, judge, verdict=VERDICT | {"verdict": "fail"}, outcome="rejected")) == ["done", "done", "done", "fail"]


def test_a_run_that_waits_and_one_that_undoes_say_so_in_their_phase() -> None:
    parked = document(step("read", 0, 1), step("paid", 1, None, "waiting"), finished_at=None, outcome=None)
    assert (phases(parked)[2].word, phases(parked)[2].said) == ("waiting", "1 of 2 steps done; it waits")
    busy = document(step("paid", 1, None, "waiting"), step("other", 1, None, "running"), finished_at=None, outcome=None)
    assert phases(busy)[2].word == "live"
    undoing = document(step("book", 0, 1), step("pay", 1, 2, "failed"), step("undo:book", 2, None, "running"), finished_at=None, outcome=None)
    assert phases(undoing)[2].said == "1 of 2 steps done; book is being undone"


def test_a_compensation_is_a_row_of_its_own_that_names_what_it_undoes() -> None:
    line = timeline(
        document(step("each/0/book", 0, 1), step("each/1/book", 1, 2), step("undo:each/1/book", 3, 4), step("undo:each/0/book", 4, 5)), NOW
    )
    assert [(row.name, row.undoes) for row in line.rows if row.step] == [
        ("0/book", ""), ("1/book", ""), ("1/book", "each/1/book"), ("0/book", "each/0/book"),
    ]  # fmt: skip


def test_a_phase_that_did_not_happen_says_so() -> None:
    failed = document(step("work", 0, 5, "failed"), outcome="failed")
    assert words(failed) == ["done", "done", "failed", "skipped"]
    assert words(document(started_at=None, outcome="cancelled")) == ["done", "skipped", "skipped", "skipped"]
    again = document(step("verify", 5, 9, judges=True), reverifies="x", verdict=VERDICT)
    assert "whose result this one judges" in phases(again)[2].said


def test_where_to_look_is_what_the_failure_names_or_what_a_criterion_blames() -> None:
    steps = (step("read", 0, 1), step("work", 1, 2, "failed"))
    assert where_to_look(document(*steps, failure={"cause": "missing", "step": "read"})) == 0
    blaming = {"verdict": "fail", "checks": [{"criterion": "x", "verdict": "fail", "blames": "read"}]}
    assert where_to_look(document(*steps, verdict=blaming)) == 0
    assert where_to_look(document(*steps)) == 1
    assert where_to_look(document(step("read", 0, 1))) is None


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_advice(cause: Cause) -> None:
    assert WHAT_TO_DO[cause] == what_to_do({"cause": str(cause)})


SCHEMA = {
    "type": "object",
    "required": ["rows"],
    "properties": {"rows": {"type": "integer"}, "mode": {"enum": ["fast", 2]}, "loud": {"type": "boolean"}, "more": {"type": ["object", "null"]}},
}


def test_what_is_typed_becomes_the_values_that_the_contract_speaks_of() -> None:
    form = start_form(SCHEMA, {"in-rows": "3", "in-mode": "2", "in-loud": "false", "in-more": "[1]", "key": "k"}, key="k", draft=False)
    assert form.is_valid(), form.errors
    assert given(SCHEMA, form.cleaned_data) == {"rows": 3, "mode": 2, "loud": False, "more": [1]}


def test_what_is_left_empty_is_left_out_and_what_is_no_number_is_for_the_contract_to_refuse() -> None:
    form = start_form(SCHEMA, {"in-rows": "many", "key": "k"}, key="k", draft=False)
    assert form.is_valid()
    assert given(SCHEMA, form.cleaned_data) == {"rows": "many"}


@pytest.mark.parametrize(("schema", "typed", "value"), [(None, "[1]", [1]), (True, "", None), ({"type": "string"}, '"x"', "x"), (None, "", None)])
def test_a_value_that_is_no_object_is_typed_as_json(schema: Any, typed: str, value: Any) -> None:
    form = forms.Form({"input": typed})
    form.fields = value_fields(schema, label="Payload", required=True)
    assert form.is_valid() and value_of(schema, form.cleaned_data) == value


def test_the_fields_of_a_value_say_what_they_belong_to_and_may_be_left_empty() -> None:
    form = forms.Form({"in-rows": ""})
    form.fields = value_fields(SCHEMA, label="Result", required=False, said="Only where it was done.")
    assert form.is_valid() and value_of(SCHEMA, form.cleaned_data) == {}
    assert (form.fields["in-rows"].label, form.fields["in-rows"].help_text) == ("Result: rows", "Only where it was done.")


def test_an_instant_that_is_none_is_said_at_its_field() -> None:
    form = start_form(SCHEMA, {"in-rows": "1", "as_of": "yesterday", "key": "k"}, key="k", draft=False)
    assert not form.is_valid() and "as_of" in form.errors
