"""Expressions: exact values for bare paths, caps before the interpreter, and no text that crashes anything."""

from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import expressions
from agents.errors import ExpressionError

SCOPE: dict[str, Any] = {
    "input": {"feed": "host", "n": 3, "odd key": 1, "whole": True, "nothing": None},
    "steps": {"read": {"series": [1, 2.5, {"a": 1}], "rows": list(range(2000))}, "skipped": None, "both": {"a": None, "b": {"x": 1}}},
    "run": {"id": "r1"},
    "result": None,
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("input.feed", "host"),
        (" input.n ", 3),
        ("steps.read.series", [1, 2.5, {"a": 1}]),
        ("steps.read.series[2].a", 1),
        ('input["odd key"]', 1),
        ("steps.skipped.anything.below", None),
        ("result.x", None),
        ("size(steps.read.series) == 3", True),
        ("input.n + 1", 4),
        ("has(steps.skipped.x)", False),
        ("has(steps.skipped)", False),
        ("has(steps.both.a.x)", False),
        ("has(steps.skipped.x) ? steps.skipped.x : 7", 7),
        ("steps.skipped == null", True),
        ("[1, 2].map(i, i * input.n)", [3, 6]),
        ('timestamp("2024-01-01T00:00:00+02:00")', "2023-12-31T22:00:00.000000Z"),
        ("true", True),
    ],
)
def test_an_expression_has_its_value(source: str, value: Any) -> None:
    assert expressions.evaluate(source, SCOPE) == value


def test_a_bare_path_gives_the_very_object_without_the_interpreter() -> None:
    assert expressions.evaluate("steps.read.rows", SCOPE) is SCOPE["steps"]["read"]["rows"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("input.fed", "input has no 'fed'; there is: feed"),
        ("inputs.feed", "nothing here is named 'inputs'"),
        ("steps.nope.x", "steps has no 'nope'"),
        ("input.nothing.x", "input.nothing is null"),
        ("steps.read.series[9]", "has 3 items"),
        ("steps.both.a.x", "steps.both.a is null"),
        ("input.nope > 1", "there is no 'nope'"),
        ("input.n / 2.0", "double(x)"),
        ("input.n + ", "does not compile"),
        ('duration("1h")', "not JSON"),
        ("1 / (input.n - 3)", "division by zero"),
    ],
)
def test_a_miss_says_what_is_missing_and_what_is_there(source: str, said: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        expressions.evaluate(source, SCOPE)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "empty"),
        ("a" * 4097, "4096"),
        ("+".join(["1"] * 20_000), "4096"),
        ("(" * 51 + "1" + ")" * 51 + " + 1", "nested 51 deep"),
        ("[1].all(x, [2].all(y, [3].all(z, z == x)))", "limit is 2"),
        ("lenght(input.n) == 1", "no function 'lenght'"),
        ("input.feed.startWith('a')", "did you mean 'startsWith'"),
        ("input.n = 3", "write =="),
        ("input.a & input.b", "write &&"),
        ('"open', "no closing quote"),
        ("(1", "never closed"),
        ("1)", "closes nothing"),
        ("(1]", "closes nothing"),
        (".input.n > 1", "starts with a dot"),
        ("input.list.all(1, true)", "needs a name and a condition"),
        ("input.n > `1`", "has no meaning"),
    ],
)
def test_a_bad_expression_is_refused_by_its_text_alone(source: str, said: str) -> None:
    assert any(said in problem for problem in expressions.problems(source)), expressions.problems(source)


def test_what_only_the_compiler_sees_is_found_by_compiling() -> None:
    assert expressions.problems("1 + * 2") == []
    assert "does not compile" in expressions.compile_problems("1 + * 2")[0]
    assert expressions.compile_problems("size(input.a) > 0") == []
    assert expressions.compile_problems("input.a.b") == []


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ("steps.read.series", {("steps", "read", "series")}),
        ('steps["read"].series[0].x', {("steps", "read", "series")}),
        ("size(result.a) == size(steps.b.c)", {("result", "a"), ("steps", "b", "c")}),
        ("steps.read.rows.exists(r, r.x == run.id)", {("steps", "read", "rows"), ("run", "id")}),
        ("input.a.map(x, x).size() > 0", {("input", "a")}),
        ("has(steps.a.b) && 'steps.not' != \"input.not\" // input.comment", {("steps", "a", "b")}),
        ("input.x.all(input, input > 0)", {("input", "x")}),
        ("true || null == null", set()),
    ],
)
def test_references_are_the_paths_an_expression_uses(source: str, paths: set[tuple[str, ...]]) -> None:
    assert expressions.references(source) == paths


def test_only_true_or_false_is_a_condition() -> None:
    assert expressions.holds("input.n > 2", SCOPE) is True
    assert expressions.holds("input.whole", SCOPE) is True
    for source in ("input.n", "1", "'true'", "input.nothing"):
        with pytest.raises(ExpressionError):
            expressions.holds(source, SCOPE)


@pytest.mark.parametrize(
    ("source", "rows", "fits"),
    [
        ("size(input.rows) > 0", 10_000, True),
        ("size(input.rows) > 0", 10_001, False),
        ("input.rows.all(x, x >= 0)", 10_000, True),
        ("input.rows.map(x, x)", 1_000, True),
        ("input.rows.map(x, x)", 5_000, False),
        ("input.rows.map(x, input.rows)", 1_000, False),
        ("input.rows.all(x, input.rows.exists(y, y == x))", 300, True),
        ("input.rows.all(x, input.rows.exists(y, y == x))", 1_001, False),
    ],
)
def test_a_list_too_long_for_its_expression_is_refused_before_it_runs(source: str, rows: int, fits: bool) -> None:
    scope = {"input": {"rows": list(range(rows))}}
    if fits:
        expressions.evaluate(source, scope)
        return
    with pytest.raises(ExpressionError, match="let a step compute it"):
        expressions.evaluate(source, scope)


@pytest.mark.parametrize("value", [2**64, float("nan"), {1, 2}, object()])
def test_a_value_that_cel_would_bend_is_refused(value: Any) -> None:
    with pytest.raises(ExpressionError, match="not a JSON value"):
        expressions.evaluate("input.v == 1", {"input": {"v": value}})
    assert expressions.evaluate("input.v", {"input": {"v": value}}) is value


def test_what_an_expression_does_not_name_is_not_looked_at() -> None:
    assert expressions.evaluate("input.a + 1", {"input": {"a": 1, "huge": list(range(50_000))}}) == 2


def test_with_values_are_resolved_deeply() -> None:
    given = {"a": "=input.n", "b": "==x", "c": ["=input.n + 1", "plain"], "d": {"e": "=steps.skipped.x"}, "f": 5}
    assert expressions.resolve(given, SCOPE) == {"a": 3, "b": "=x", "c": [4, "plain"], "d": {"e": None}, "f": 5}
    assert expressions.value_references(given) == {("input", "n"), ("steps", "skipped", "x")}


def test_a_template_is_filled_from_paths() -> None:
    assert expressions.fill("read feed:{input.feed}/{input.n}/{{x}}", SCOPE) == "read feed:host/3/{x}"
    assert expressions.template_references("read feed:{input.feed}") == {("input", "feed")}


@pytest.mark.parametrize(
    ("template", "feed"),
    [("read {input.n + 1}", ""), ("read {", ""), ("read }", ""), ("read {}", ""), ("read {input.nope}", "")]
    + [("read feed:{input.feed}", feed) for feed in (None, [], {}, "a\nb", "a\u202eb", "x" * 3000)],
)
def test_a_template_takes_only_plain_values(template: str, feed: Any) -> None:
    with pytest.raises(ExpressionError):
        expressions.fill(template, {"input": {"feed": feed, "n": 1}})


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | st.text(alphabet="abx.()[]{}'\"=<>&|!?:,+-*/% 019\\\nmapifnul", max_size=120))
def test_no_text_crashes_the_scanner_the_compiler_or_an_evaluation(source: str) -> None:
    expressions.references(source)
    expressions.template_problems(source)
    found = expressions.compile_problems(source)
    if found:
        assert all(isinstance(problem, str) for problem in found)
    try:
        expressions.evaluate(source, SCOPE)
    except ExpressionError as error:
        assert error.message  # noqa: PT017 - either a value or one kind of error


NESTED = ["-" * 4000 + "1", "!" * 4000 + "true", "a" + ".b" * 2000 + " + 1", "a" + "[0]" * 1300, "true?1:" * 500 + "1", "[" * 50 + "]" * 50]


@pytest.mark.parametrize("source", NESTED)
def test_long_chains_below_the_cap_do_no_harm(source: str) -> None:
    expressions.compile_problems(source)
    with pytest.raises(ExpressionError) if source[0] in "at" else nullcontext():
        expressions.evaluate(source, SCOPE)
