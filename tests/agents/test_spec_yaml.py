"""YAML as it is read here: the core of 1.2, capped, and no bytes that crash the reader."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import spec

PIPELINE = """kind: pipeline
name: ops-digest
team: platform
steps:
  - id: read
    agent: feed-reader
    with:
      {}
"""


def read(text: str | bytes) -> spec.Parsed:
    return spec.read({"a.yaml": text if isinstance(text, bytes) else text.encode()})


def said(text: str | bytes) -> list[tuple[int, str]]:
    return [(problem.line, problem.message) for problem in read(text).problems]


def raw_with(value: str) -> dict[str, Any]:
    parsed = read(PIPELINE.format(value))
    assert parsed.problems == []
    return dict(parsed.pipelines[0].spec["steps"][0]["with"])


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("v: true", True),
        ("v: no", "no"),
        ("v: on", "on"),
        ("v: Yes", "Yes"),
        ("v: 12:30", "12:30"),
        ("v: 2014-01-01", "2014-01-01"),
        ("v: 0o17", 15),
        ("v: 017", 17),
        ("v: 1e3", 1000.0),
        ("v: ~", None),
        ("v: 1_000", "1_000"),
        ("v: '=size(a, b)'", "=size(a, b)"),
        ("v: =size(a, b)", "=size(a, b)"),
        ("v: |\n        two\n        lines", "two\nlines\n"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(value: str, meant: Any) -> None:
    assert raw_with(value) == {"v": meant}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("kind: team\nname: a\nname: b\n", 3, "here twice (first in line 2)"),
        ("kind: team\nname: &x a\n", 2, "anchor"),
        ("kind: team\nname: &x a\naccountable: *x\n", 3, "alias"),
        ("kind: team\n<<: {name: a}\n", 2, "merge key"),
        ("kind: !!python/name:os.system team\n", 1, "tag"),
        ("kind: team\nname: .inf\n", 2, "not a number that JSON can hold"),
        ("kind: team\nname: .nan\n", 2, "not a number"),
        ("kind: team\nname: 1e999\n", 2, "not a number"),
        ("kind: team\nname: 9007199254740993\n", 2, "2^53"),
        ("kind: team\nname: " + "9" * 6000 + "\n", 2, "2^53"),
        ("kind: team\n1: a\n", 2, "not a text"),
        ("kind: team\n? [a]\n: b\n", 2, "a key must be a text"),
        ("kind: team\nwith: {n: =size(a, b)}\n", 2, "quote it"),
        ("kind: team\nwith: [=size(a, b)]\n", 2, "quote it"),
        ("kind: team\nwith: {n: =a[0]}\n", 2, "quote it"),
        ("kind: team\nwith: {n: =a ? b, c}\n", 2, "quote it"),
        ("kind: team\nwith: =a ? b : c\n", 2, "quote it"),
        ("kind: team\n\tname: x\n", 2, "a tab stands before the text; indent with spaces"),
        ("[" * 100_000, 1, "deeper than 32"),
        ("- " * 10_000 + "a", 1, "deeper than 32"),
        ("{a: " * 33 + "1" + "}" * 33, 1, "deeper than 32"),
        ("[" + "1," * 50_001 + "]", 1, "more than 50000 values"),
        ("".join(f"k{n}: 1\n" for n in range(1001)), 1001, "more than 1000 keys"),
        ("kind: " + "x" * (257 * 1024), 1, "longer than"),
        ("#" * (1024 * 1024 + 1), 1, "the limit is 1048576"),
        (b"kind: team\nname: \xff\n", 2, "UTF-8"),
        ("kind: team\nname: a\x00b\n", 1, "not YAML"),
        ("kind: team\nname: 'a\nteam: b\nteam: c\n", 2, "the quote that opens here is never closed"),
        ('kind: team\nname: {a: "b}\n---\nkind: team\n', 2, "the quote that opens here is never closed"),
        ('kind: team\nname: "a\n\\q"\n', 3, "escape"),
        ("kind: team\u2028\u2028\x85\x85{", 6, "not YAML"),
    ],
)
def test_yaml_beyond_the_strict_subset_is_refused_with_its_line(text: str | bytes, line: int, words: str) -> None:
    assert any(at == line and words in message for at, message in said(text)), said(text)[:3]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("input: !!python/object:os.system x", "the tag tag:yaml.org,2002:python/object:os.system"),
        ("purpose: !!str 5", "the tag tag:yaml.org,2002:str"),
        ("purpose: !a {b: c}", "the tag !a"),
        ("accountable: *a", "the alias *a"),
        ("verify: !a b", "the tag !a"),
        ("criteria: {one: !a [b]}", "the tag !a"),
        ("permissions: [!a b]", "the tag !a"),
    ],
)
def test_a_value_whose_tag_or_alias_is_refused_is_not_judged_as_well(line: str, words: str) -> None:
    ((at, message),) = said(f"{PIPELINE.format('{}')}{line}\n")
    assert (at, message.partition(" is not supported")[0]) == (9, words)


def test_what_stands_in_a_tagged_mapping_is_judged_all_the_same() -> None:
    found = said(f"{PIPELINE.format('{}')}limits: !a {{cots: 1 USD}}\nverify: !a b\n")
    assert [(at, "did you mean 'cost'" in message) for at, message in found] == [(9, False), (9, True), (10, False)]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    for problem in read(data).problems:
        assert problem.line >= 1


PIECES = [
    "kind: ",
    "agent",
    "pipeline",
    "\n",
    "name: x",
    "steps:",
    "  - ",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "&a ",
    "*a",
    "!!t ",
    "? ",
    "<<",
    "=a(b, c)",
    "- ",
    "|",
    "\n  ",
    "'",
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_no_mix_of_yaml_marks_crashes_the_reader(pieces: list[str]) -> None:
    read("".join(pieces))


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["x", "=input.a", "", "10s"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "agent", "with", "do", "when", "python", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = [
    "name",
    "team",
    "role",
    "purpose",
    "run",
    "input",
    "freshness",
    "timeout",
    "mode",
    "uses",
    "permissions",
    "steps",
    "verify",
    "limits",
    "criteria",
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["agent", "pipeline", "team", "model"]), st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8))
def test_no_value_in_a_wrong_place_crashes_the_reader(kind: str, body: dict[str, Any]) -> None:
    parsed = read(yaml.safe_dump({"kind": kind, **body}))
    assert parsed.problems or parsed.teams or parsed.models or parsed.agents or parsed.pipelines
