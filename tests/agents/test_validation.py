"""What publishing refuses: each rule once, said where it stands; and what it lets through."""

from typing import Any

import pytest

from agents import validation
from tests.agents.pipeline_specs import (
    AGENTS,
    AUDITOR,
    NAMER,
    NUMBER,
    READ,
    READER,
    TEXT,
    WRITE,
    agent,
    for_each,
    only,
    open_object,
    parallel,
    pipeline,
    refused,
    step,
    switch,
)


def test_a_sound_pipeline_is_not_refused() -> None:
    nodes = [
        READ,
        parallel(
            "both",
            {"a": [step("one", "writer", with_={"count": "=steps.read.count"})], "b": [step("two", "namer", with_={"name": "x"})]},
            min_success=1,
        ),
        for_each(
            "each",
            "=steps.read.series",
            "row",
            [step("name", "namer", with_={"name": "=row.name"}), step("again", "namer", with_={"name": "=steps.name.name"})],
        ),
        switch(
            "way",
            ("steps.read.count > 1", [step("pick", "namer", with_={"name": "=steps.each[0].name"})]),
            (None, [step("pick", "namer", with_={"name": "n"})]),
        ),
        {"kind": "verify", "id": "proof", "agent": "auditor", "with": {"claim": "=steps.read"}, "timeout_ms": None},
        step("last", "namer", with_={"name": "=steps.both.a.text"}, when="steps.proof.checks.all(c, c.verdict == 'pass')"),
    ]
    criteria = {"named": {"expression": "result.name != '' && size(steps.each) == steps.read.count"}, "kind": {"judged": "it is kind"}}
    assert refused(pipeline(*nodes, criteria=criteria)) == []


def test_a_refusal_carries_its_line() -> None:
    (found,) = validation.check(pipeline(READ, input=None), AGENTS, line_of={("input",): 7}.__getitem__)
    assert (found.path, found.line) == (("input",), 7)


# Contracts and bounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["input", "output"])
def test_a_missing_contract_is_refused(side: str) -> None:
    only(pipeline(READ), ("steps", 0, "agent"), f"no {side} contract", reader=READER | {side: None})


def test_a_contract_that_fetches_is_refused() -> None:
    only(pipeline(READ), ("steps", 0, "agent"), "never fetched", reader=READER | {"output": {"$ref": "http://x/y"}})
    only(pipeline(step("a", "namer", with_={"name": "x"}), input={"$ref": "file:///x"}), ("input", "$ref"), "never fetched")


def test_a_pipeline_input_must_be_an_object_contract() -> None:
    only(pipeline(step("a", "namer", with_={"name": "x"}), input=None), ("input",), "no input contract")
    only(pipeline(step("a", "namer", with_={"name": "x"}), input={"type": "array"}), ("input",), "an object")


def test_a_turn_without_a_timeout_is_refused() -> None:
    only(pipeline(READ), ("steps", 0), "no timeout", reader=READER | {"timeout_ms": None})
    only(pipeline(), ("verify",), "no timeout", auditor=AUDITOR | {"timeout_ms": None})
    assert refused(pipeline(READ | {"timeout_ms": 5}), reader=READER | {"timeout_ms": None}) == []


def test_an_unknown_agent_suggests_the_nearest() -> None:
    only(pipeline(READ | {"agent": "raeder"}), ("steps", 0, "agent"), "did you mean 'reader'")
    only(pipeline(READ | {"fallback": "nobody-at-all"}), ("steps", 0, "fallback"), "there is no agent")
    only(pipeline(READ | {"fallback": "reader"}), ("steps", 0, "fallback"), "the same agent")
    missing = {"agent": "auditer", "with": {"claim": "=result"}, "timeout_ms": None}
    only(pipeline(verify=missing), ("verify", "agent"), "did you mean 'auditor'")


def test_progress_needs_a_channel() -> None:
    inline = NAMER | {"run": {"inline": "noop"}, "executable": {"kind": "inline", "name": "noop"}}
    node = step("a", "namer", with_={"name": "x"}, progress_timeout_ms=5)
    only(pipeline(node), ("steps", 0, "progress_timeout_ms"), "no channel", namer=inline)
    assert refused(pipeline(node)) == []


def test_what_acts_at_most_once_is_never_retried() -> None:
    node = READ | {"retry": {"max": 1, "backoff_ms": 0}}
    only(pipeline(node), ("steps", 0, "retry"), "never be retried safely", reader=READER | {"mode": "at_most_once"})
    assert refused(pipeline(node), reader=READER | {"mode": {"idempotent": "=input.feed"}}) == []
    only(pipeline(READ | {"retry": {"max": 99, "backoff_ms": 0}}), ("steps", 0, "retry"), "1 to 10")


@pytest.mark.parametrize("mode", ["at_most_once", {"idempotent": "=input.feed"}])
def test_what_may_have_acted_has_no_fallback(mode: object) -> None:
    """A key keeps the same agent from acting twice; the fallback is another."""
    node = READ | {"fallback": "spare"}
    agents = {"spare": AGENTS["reader"] | {"name": "spare", "mode": "at_most_once"}}
    only(pipeline(node), ("steps", 0, "fallback"), "never fall back safely", reader=READER | {"mode": mode}, **agents)
    assert refused(pipeline(node), **agents) == []  # a fallback is made once, whatever its mode


def test_the_id_of_the_final_verify_is_no_steps_id() -> None:
    final = step("verify", "namer", with_={"name": "n"})
    only(pipeline(final), ("steps", 0, "id"), "the pipeline's own verify")
    only(pipeline(parallel("q", {"a": [final]})), ("steps", 0, "branches", "a", 0, "id"), "the pipeline's own verify")


@pytest.mark.parametrize(
    ("uses", "permissions", "allowed"),
    [
        ("read feed:host", ["allow read feed:host"], True),
        ("read feed:host", ["allow read feed:*"], True),
        ("read feed:host", ["allow read *"], True),
        ("read feed:host", [], False),
        ("read feed:host", ["allow write feed:*"], False),
        ("read feed:host", ["allow read feed:hos"], False),
        ("read feed:{input.feed}", ["allow read feed:*"], True),
        ("read feed:{input.feed}", ["allow read feed:a/*"], True),
        ("read feed:{input.feed}", ["allow read feed:host"], True),
        ("read feed:{input.feed}", ["allow read model:*"], False),
        ("read {{x}}:a", ["allow read {x}:*"], True),
        ("read feed:host", ["allow read feed:*", "deny read feed:host"], False),
        ("read feed:host", ["allow read feed:*", "deny read feed:ho*"], False),
        ("read feed:host", ["allow read feed:*", "deny read feed:hos", "deny write feed:*"], True),
        ("read feed:{input.feed}", ["allow read feed:*", "deny read feed:secret/*"], True),
        ("read feed:a/{input.feed}", ["allow read feed:*", "deny read feed:a/*"], False),
        ("read feed:a/{input.feed}", ["allow read feed:*", "deny read feed:a/"], True),
    ],
)
def test_a_use_that_no_permission_can_cover_is_refused(uses: str, permissions: list[str], allowed: bool) -> None:
    found = refused(pipeline(READ), reader=READER | {"uses": [uses], "permissions": permissions})
    assert (found == []) is allowed, found


# Wiring --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("=input.fed", "input has no 'fed'"),
        ("=steps.wirte.text", "no earlier step produces steps.wirte"),
        ("=steps.last.name", "it runs later"),
        ("=steps.read.nope", "the contract behind steps.read names only: count, series"),
        ("=steps.read.count.x", "its contract says it is something else"),
        ("=steps", "name a step"),
        ("=result.text", "'result' stands only in verify and criteria"),
        ("=read.series", "a step's result is steps.read"),
        ("=row.name", "nothing here is named 'row'"),
        ("=run.secret", "run has no 'secret'"),
        ("=size(steps.read.nope)", "has no 'nope'"),
        ("=size(steps.read.series", "never closed"),
        ("=1 + * 2", "does not compile"),
        ("=steps.read.series", "can never be what agent 'namer' takes as 'name'"),
        ("=steps.read.count", "can never be"),
    ],
)
def test_an_expression_that_names_nothing_or_the_wrong_thing_is_refused(expression: str, words: str) -> None:
    use = step("use", "namer", with_={"name": expression})
    only(pipeline(READ, use, step("last", "namer", with_={"name": "x"})), ("steps", 1, "with", "name"), words)


def test_a_branch_does_not_see_its_neighbour_nor_the_outside_its_inside() -> None:
    branches = {"a": [step("one", "namer", with_={"name": "x"})], "b": [step("two", "namer", with_={"name": "=steps.one.name"})]}
    only(pipeline(parallel("both", branches)), ("steps", 0, "branches", "b", 0, "with", "name"), "another branch")
    outside = step("out", "namer", with_={"name": "=steps.one.name"})
    only(pipeline(parallel("both", {"a": branches["a"]}), outside), ("steps", 1, "with", "name"), "another branch")


@pytest.mark.parametrize(
    ("wanted", "promised", "ok"),
    [
        (TEXT, TEXT, True),
        (TEXT, NUMBER, False),
        ({"type": "number"}, NUMBER, True),
        (TEXT, {"type": ["string", "null"]}, False),
        ({"type": "string", "minLength": 1}, TEXT, False),
        (TEXT, True, True),
        (open_object(a=TEXT), {"type": "object"}, True),
        (open_object(a=TEXT), {"type": "array"}, False),
        (open_object(a=TEXT), open_object(b=TEXT), False),
        ({"type": "object", "properties": {"a": TEXT, "b": TEXT}, "required": ["a"]}, open_object(a=TEXT), True),
        (
            {"type": "array", "items": open_object(a=TEXT)},
            {"type": "array", "items": {"$ref": "#/$defs/R"}, "$defs": {"R": open_object(a=TEXT)}},
            True,
        ),
        ({"type": "array", "minItems": 1, "items": TEXT}, {"type": "array", "minItems": 1, "items": NUMBER}, False),
        ({"type": "array", "items": TEXT}, {"type": "array", "items": NUMBER}, False),
        (open_object(a=TEXT, b=TEXT), open_object(a=True, b=NUMBER), False),
        (open_object(a=TEXT, b=TEXT), open_object(a=True, b=TEXT), True),
    ],
)
def test_an_output_that_cannot_satisfy_the_next_input_is_refused_and_the_undecided_is_not(wanted: Any, promised: Any, ok: bool) -> None:
    maker = agent("maker", gives=_lifted(promised))
    taker = agent("taker", takes=open_object(v=wanted))
    found = refused(pipeline(step("make", "maker"), step("take", "taker", with_={"v": "=steps.make.v"})), maker=maker, taker=taker)
    assert (found == []) is ok, found


def _lifted(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, dict) or "$defs" not in schema:
        return open_object(v=schema)
    return {**open_object(v={key: value for key, value in schema.items() if key != "$defs"}), "$defs": schema["$defs"]}


def test_two_contracts_with_equal_names_of_definitions_are_kept_apart() -> None:
    def one(kind: Any) -> dict[str, Any]:
        return {**open_object(v={"$ref": "#/$defs/V"}), "$defs": {"V": kind}}

    both = parallel("both", {"a": [step("x", "xs")], "b": [step("y", "ys")]})
    pair = open_object(pair=open_object(a=open_object(v=TEXT), b=open_object(v=NUMBER)))
    agents = {"xs": agent("xs", gives=one(TEXT)), "ys": agent("ys", gives=one(NUMBER)), "taker": agent("taker", takes=pair)}
    assert refused(pipeline(both, step("take", "taker", with_={"pair": "=steps.both"})), **agents) == []
    swapped = step("take", "taker", with_={"pair": {"a": "=steps.both.b", "b": "=steps.both.a"}})
    only(pipeline(both, swapped), ("steps", 1, "with", "pair"), "can never be", **agents)


def test_with_gives_what_is_required_and_nothing_that_a_closed_contract_bars() -> None:
    only(pipeline(step("a", "namer")), ("steps", 0, "with"), "requires 'name'")
    closed = NAMER | {"input": open_object(name=TEXT) | {"additionalProperties": False}}
    only(pipeline(step("a", "namer", with_={"name": "x", "nmae": "y"})), ("steps", 0, "with", "nmae"), "takes no 'nmae'", namer=closed)
    only(pipeline(step("a", "namer", with_={"name": 5})), ("steps", 0, "with", "name"), "can never be")
    assert refused(pipeline(step("a", "namer", with_={"name": "==x"}))) == []


def test_a_fallback_must_take_the_same_input() -> None:
    only(pipeline(READ | {"fallback": "namer"}), ("steps", 0, "with"), "agent 'namer' requires 'name'")


def test_a_loop_needs_a_list() -> None:
    body = [step("x", "namer", with_={"name": "n"})]
    only(pipeline(READ, for_each("l", "=steps.read.count", "row", body)), ("steps", 1, "items"), "needs a list")
    only(pipeline(READ, for_each("l", "=input.feed", "row", body)), ("steps", 1, "items"), "needs a list")
    only(
        pipeline(READ, for_each("l", "=steps.read.series", "row", [step("x", "namer", with_={"name": "=row.nope"})])),
        ("steps", 1, "do", 0, "with", "name"),
        "row has no",
    )


def test_conditions_and_criteria_are_checked_where_they_stand() -> None:
    only(pipeline(READ | {"when": "input.nope"}), ("steps", 0, "when"), "input has no 'nope'")
    case = switch("s", ("steps.later.x", [step("x", "namer", with_={"name": "n"})]))
    only(pipeline(case), ("steps", 0, "cases", 0, "when"), "no earlier step")
    only(pipeline(criteria={"c": {"expression": "size(result.txt) > 0"}}), ("criteria", "c"), "result has no 'txt'")
    only(pipeline(criteria={"c": {"expression": "result.text >"}}), ("criteria", "c"), "does not compile")


# Names and sizes -----------------------------------------------------------------------------------------------------------------


def test_ids_are_unique_except_in_cases_of_one_switch() -> None:
    name = step("x", "namer", with_={"name": "n"})
    assert refused(pipeline(switch("s", ("true", [name]), (None, [name])))) == []
    only(pipeline(name, name), ("steps", 1, "id"), "here twice")
    only(pipeline(parallel("q", {"a": [name], "b": [name]})), ("steps", 0, "branches", "b", 0, "id"), "here twice")
    only(pipeline(switch("s", ("true", [name])), name), ("steps", 1, "id"), "here twice")


@pytest.mark.parametrize("name", ["input", "steps", "run", "result", "output", "args", "in", "true"])
def test_reserved_words_are_no_names(name: str) -> None:
    only(pipeline(step(name, "namer", with_={"name": "n"})), ("steps", 0, "id"), "reserved")
    only(pipeline(READ, for_each("l", "=steps.read.series", name, [step("x", "namer", with_={"name": "n"})])), ("steps", 1, "as"), "reserved")


def test_a_loop_name_is_not_taken_again_inside_its_loop() -> None:
    inner = for_each("i", "=steps.read.series", "row", [step("x", "namer", with_={"name": "=row.name"})])
    only(pipeline(READ, for_each("o", "=steps.read.series", "row", [inner])), ("steps", 1, "do", 0, "as"), "in use around")


def test_a_parallel_that_could_never_succeed_is_refused() -> None:
    only(pipeline(parallel("q", {"a": [step("x", "namer", with_={"name": "n"})]}, min_success=2)), ("steps", 0, "min_success"), "never succeed")


def test_a_step_whose_key_no_ledger_could_hold_is_refused() -> None:
    short, long = (step(name, "namer", with_={"name": "n"}) for name in ("x", "d" * 60))
    inner = parallel("b" * 60, {"c" * 60: [long], "other": [short]})
    place = ("steps", 0, "branches", "left", 0, "branches", "c" * 60, 0, "id")
    only(pipeline(parallel("a" * 60, {"left": [inner]})), place, "248 characters")
    row = step("e" * 60, "namer", with_={"name": "=row.name"})
    loop = for_each("l" * 60, "=steps.read.series", "row", [switch("s" * 60, (None, [row]))])
    only(pipeline(READ, loop), ("steps", 1, "do", 0, "cases", 0, "do", 0, "id"), "193 characters")


@pytest.mark.parametrize(("more", "limit", "why"), [({"lookup": "namer"}, 179, "where it has a lookup"), ({}, 190, "190; shorten")])
def test_the_turns_that_stand_beside_a_step_have_room_for_their_names(more: dict[str, Any], limit: int, why: str) -> None:
    """`look:ATTEMPT:` stands before the key of a look-up, whatever the attempt."""

    def said(length: int) -> list[str]:
        inner = step("c" * (length - 117), "namer", with_={"name": "x"}, **more)
        around = parallel("a" * 57, {"b" * 58: [inner]})
        return [found.message for found in validation.check(pipeline(around), AGENTS, line_of=lambda _: 1) if "characters" in found.message]

    assert said(limit) == []
    (message,) = said(limit + 1)
    assert f"has {limit + 1} characters" in message and f"the limit is {limit}" in message and why in message


def test_a_loop_that_spreads_has_room_for_the_names_of_its_shares() -> None:
    def said(length: int) -> list[str]:
        loop = for_each("l" * (length - 117), "=input.list", "one", [step("s", "namer", with_={"name": "x"})]) | {"spread": 2}
        around = parallel("a" * 57, {"b" * 58: [loop]})
        return [found.message for found in validation.check(pipeline(around), AGENTS, line_of=lambda _: 1) if "characters" in found.message]

    assert said(177) == []
    assert ["the limit is 177 where it spreads" in message for message in said(178)] == [True]


def test_too_deep_and_too_many_nodes_are_refused_before_anything_is_walked() -> None:
    nested: dict[str, Any] = step("x", "namer", with_={"name": "n"})
    for level in range(8):
        nested = parallel(f"p{level}", {"a": [nested]})
    only(pipeline(nested), ("steps",), "deeper than 8")
    assert refused(pipeline(nested["branches"]["a"][0])) == []
    many = [step(f"s{number}", "namer", with_={"name": "n"}) for number in range(501)]
    only(pipeline(*many), ("steps",), "501 nodes")


def test_all_refusals_are_listed_at_once_in_the_order_of_lines() -> None:
    spec = pipeline(READ | {"with": {"feed": "=input.fed"}}, WRITE | {"agent": "wirter"}, verify=None, criteria={"c": {"expression": "1 +"}})
    found = validation.check(spec, AGENTS, line_of=lambda path: {"steps": 5, "criteria": 3}.get(str(path[0]) if path else "", 1))
    assert [refusal.line for refusal in found] == [1, 3, 5, 5]
