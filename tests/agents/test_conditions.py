"""What can only fail at run time is said when it is published: conditions that give no yes or no, names that are never there, what has ended."""

from pathlib import Path

import pytest

from agents import registry
from agents.errors import NotPublishable
from agents.expressions import evaluate, never_true_or_false
from agents.spec.vocabulary import BUILT_IN
from tests import pipelines
from tests.agents.test_permissions import CLOSED, applied, problems, read
from tests.pipelines import SYSTEM, agent


@pytest.mark.parametrize(
    ("source", "gives"),
    [
        ("size(x)", "a number"),
        ("x.filter(y, y > 1).size()", "a number"),
        ("x.map(y, y > 1)", "a list"),
        ("(1)", "a number"),
        ("-size(x)", "a number"),
        ("'a' + string(x[0])", "a text"),
        ("size(x) - 1", "the outcome of a calculation"),
        ("x[0] + x[0]", "a sum"),
        ("[x]", "a list"),
        ("{'a': true}", "an object"),
        ("null", "null"),
        ("x == [1] ? 1 : 'a'", "a number"),
    ],
)
def test_an_expression_that_gives_no_yes_or_no_is_told_by_its_text(source: str, gives: str) -> None:
    assert never_true_or_false(source) == gives
    assert not isinstance(evaluate(source, {"x": [1]}), bool)


@pytest.mark.parametrize(
    "source",
    [
        "true",
        "x",
        "x[0]",
        "x.a",
        "!x",
        "-x[0]",
        "[true][0]",
        "{'a': true}['a']",
        "{'a': true}.a",
        "size(x) > 1",
        "1 in x",
        "x.all(y, y > 0)",
        "has(x.a)",
        "size(x) == 1 && x[0] == 1",
        "x == [1] ? true : 1",
        "x == 1 ? 2 : x == 2 ? 3 : 4",
        "x.exists(y, y == 1)",
        "(x)",
        "dyn(x)",
        "",
        "x ==",
    ],
)
def test_what_may_give_a_yes_or_no_or_cant_be_told_passes(source: str) -> None:
    assert never_true_or_false(source) is None


@pytest.mark.parametrize("condition", ["size(args.version)", "args.version + 'x'", "'yes'"])
def test_a_permissions_condition_that_gives_no_yes_or_no_is_a_problem_of_its_line(condition: str) -> None:
    (problem,) = read(f'  - allow read feed:x\n  - {{allow: write feed:x, when: "{condition}"}}').problems
    assert problem.line == 9 and "never true or false; compare it" in problem.message


@pytest.mark.parametrize("resource", ["order:", "feed:"])
def test_a_kind_without_a_name_is_no_resource(resource: str) -> None:
    words = BUILT_IN.and_also([], ["order"])
    assert "names nothing behind its kind" in str(words.problem_of("read", resource))
    assert words.problem_of("read", resource, prefix=True) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"permissions": '["allow read feed:"]'}, "'feed:' names nothing behind its kind; write feed:NAME, or feed:* in a permission"),
        ({"uses": '["read feed:"]', "permissions": '["allow read *"]'}, "use 'read feed:': 'feed:' names nothing behind its kind"),
        (
            {"uses": '["read feed:{input.t}"]', "permissions": '["allow read *"]', "contract": CLOSED},
            "{input.t} can't be filled in: its input contract has no 't' in input; did you mean 'to'?",
        ),
        (
            {"uses": '["read feed:{input.to}"]', "permissions": '["allow read *"]', "contract": "{type: object, properties: {to: {type: array}}}"},
            "{input.to} can't be filled in: it is no text, number or boolean by its input contract",
        ),
        ({"permissions": "[{allow: read feed:x, when: args.to}]", "contract": CLOSED}, "is args.to, which is never true or false; compare it"),
        (
            {"uses": '["read feed:{input.to}"]', "permissions": '["allow read feed:* until 2020-01-01"]'},
            "uses 'read feed:{input.to}' and what allowed that held only until 2020-01-01T00:00:00Z",
        ),
    ],
)  # fmt: skip
def test_what_could_only_fail_is_refused_with_its_line_before_anything_is_stored(tmp_path: Path, parts: dict[str, str], said: str) -> None:
    found = [problem for problem in problems(tmp_path / "p", **parts) if said in problem]
    assert len(found) == 1 and found[0].startswith("pipeline.yaml:")


@pytest.mark.django_db(transaction=True)
def test_a_permission_that_has_ended_is_said_and_refused_only_where_it_is_needed(tmp_path: Path) -> None:
    done = applied(tmp_path / "p", permissions='["allow read feed:x until 2020-01-01", "allow read feed:*"]', uses='["read feed:{input.to}"]')
    (said,) = [hint for hint in done.hints if "held only until" in hint]
    assert said.startswith("pipeline.yaml:") and "'allow read feed:x' held only until 2020-01-01T00:00:00Z and says nothing any more" in said
    assert not [hint for hint in applied(tmp_path / "p", permissions='["allow read feed:* until 2999-01-01"]').hints if "held only" in hint]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("criterion", "when", "said"),
    [
        ("size(result.items)", "", "the condition 'size(result.items)' gives a number and never true or false"),
        ("result.number", "", "the condition 'result.number' gives something else by its contract and never true or false"),
        ("result.number > 0", ", when: size(input.to)", "the condition 'size(input.to)' gives a number and never true or false"),
        ("result.good", "", None),
        ("result.open", "", None),
    ],
)
def test_a_criterion_and_a_when_must_be_able_to_give_a_yes_or_no(tmp_path: Path, criterion: str, when: str, said: str | None) -> None:
    worker = agent("worker", "work:run").replace(
        "output: {type: object}",
        "output: {type: object, properties: {number: {type: number}, good: {type: boolean}, open: {}, items: {type: array}}}",
    )
    folder = pipelines.folder(
        tmp_path / "p",
        functions="def run(to: str) -> dict:\n    return {}\n",
        agents=[worker],
        steps=f"- {{id: work, agent: worker, with: {{to: =input.to}}{when}}}",
        more=f"criteria:\n  fits: {criterion}\n",
    )
    if said is None:
        registry.apply_folder(folder, actor=SYSTEM, publish=True)
        return
    with pytest.raises(NotPublishable) as refused:
        registry.apply_folder(folder, actor=SYSTEM, publish=True)
    assert [said in str(problem) for problem in refused.value.details["problems"]] == [True]
