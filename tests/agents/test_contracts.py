"""Contracts: what a schema may be, what breaks it, what covers what, and how old a value says it is."""

import ipaddress
import json
import re
import warnings
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import contracts

NUMBERS = {"type": "object", "required": ["series"], "properties": {"series": {"type": "array", "items": {"type": "number"}}}}
TREE = {"$defs": {"T": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/T"}}}}}, "$ref": "#/$defs/T"}


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize("schema", [{}, NUMBERS, TREE, contracts.VERDICT_SCHEMA, {"type": "string", "pattern": "^[a-z]+$"}, deep(15)])
def test_a_reasonable_schema_is_a_contract(schema: dict[str, Any]) -> None:
    assert contracts.schema_problems(schema) == []


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (3, "a contract is an object"),
        ({"type": "strin"}, '"strin"'),
        ({"$ref": "http://127.0.0.1:1/x"}, "never fetched"),
        ({"$ref": "file:///etc/passwd"}, "never fetched"),
        ({"$ref": "other.json#/x"}, "never fetched"),
        ({"$ref": "#/$defs/gone"}, "points at nothing"),
        ({"$ref": "#"}, "leads back"),
        ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}, "leads back"),
        ({"$id": "http://x"}, "'$id' is not supported"),
        ({"$dynamicRef": "#x"}, "not supported"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "2020-12"),
        ({"proprties": {}}, "did you mean 'properties'"),
        ({"format": "emial"}, "unknown format 'emial'; did you mean 'email'?"),
        ({"format": "colour"}, "unknown format 'colour'; those that are checked: date, date-time, "),
        ({"pattern": "(?=a)b"}, "look-around"),
        ({"pattern": "("}, "regex"),
        ({"pattern": "a" * 257}, "256"),
        ({"patternProperties": {"a" * 257: {}}}, "256"),
        ({"uniqueItems": True}, "maxItems"),
        (deep(16), "nested deeper than 16"),
        ({"description": "x" * 70_000}, "65536"),
        ({"anyOf": [{}] * 201}, "201 branches"),
        ({"maximum": 2**60}, "not plain JSON"),
        ({"properties": {"a": 5}}, "/properties/a: a schema is"),
    ],
)
def test_a_schema_that_is_no_contract_is_refused_with_a_reason(schema: Any, said: str) -> None:
    assert any(said in problem for problem in contracts.schema_problems(schema)), contracts.schema_problems(schema)


def test_every_fault_of_a_schema_is_told_at_once_with_the_path_of_its_member() -> None:
    inner = {"a": {"minimum": "x", "format": "emial"}, "b": {"pattern": "("}, "d": 5}
    schema = {"type": "strng", "nope": 1, "properties": inner, "patternProperties": {"(?=a)": {}}, "anyOf": [{"$ref": "#/gone"}]}
    found = contracts.schema_faults(schema)
    assert sorted(place for place, _ in found) == sorted(
        [
            ("type",),
            ("nope",),
            ("properties", "a", "minimum"),
            ("properties", "a", "format"),
            ("properties", "b", "pattern"),
            ("properties", "d"),
            ("patternProperties", "(?=a)"),
            ("anyOf", 0, "$ref"),
        ]
    )
    assert contracts.schema_problems(schema) == [problem for _, problem in found]


def test_the_place_of_a_fault_is_shown_and_not_obeyed() -> None:
    (found,) = contracts.schema_problems({"properties": {"a\n\u202e": 5}})
    assert found.isprintable()


def test_violations_name_the_place() -> None:
    assert contracts.violations(NUMBERS, {"series": [1, "x", None]}) == [
        '/series/1: "x" is not of type "number"',
        '/series/2: null is not of type "number"',
    ]
    assert contracts.violations(NUMBERS, {"series": []}) == []
    assert len(contracts.violations(NUMBERS, {"series": ["x"] * 50}, limit=3)) == 3


def test_a_long_value_does_not_make_a_long_message() -> None:
    assert len(contracts.violations({"type": "number"}, "x" * 10_000)[0]) < 300


@pytest.mark.parametrize("stamp", ["2014-02-28T14:25:00", "2014-02-28", "soon"])
def test_an_instant_without_its_offset_breaks_the_format(stamp: str) -> None:
    assert contracts.violations({"type": "string", "format": "date-time"}, stamp)


def test_equal_schemas_share_one_compiled_contract() -> None:
    one = contracts.compiled({"type": "object", "required": ["a"]})
    assert contracts.compiled({"required": ["a"], "type": "object"}) is one
    assert one.violations({}) == ['/: "a" is a required property']


def test_what_is_not_json_is_a_violation_not_a_crash() -> None:
    assert "not a JSON value" in contracts.violations({"type": "object"}, {1: 2})[0]
    assert contracts.violations({"type": "object"}, object())


def test_compiling_never_fetches() -> None:
    with pytest.raises(ValueError, match="disabled"):
        contracts.compiled({"$ref": "http://127.0.0.1:1/x"})


@pytest.mark.parametrize(
    ("wider", "narrower", "answer"),
    [
        ({"type": "number"}, {"type": "integer"}, "yes"),
        ({"type": "string"}, {"type": "integer"}, "no"),
        ({"type": "string"}, {"type": ["string", "null"]}, "no"),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, closed(a={"type": "integer"}, b={}), "yes"),
        (closed(a={}), closed(a={}, b={}), "no"),
        (TREE, TREE, "yes"),
        ({"$ref": "file:///etc/passwd"}, {"type": "string"}, "unknown"),
        ({"type": "strin"}, {"type": "string"}, "unknown"),
    ],
)
def test_covering_is_proven_or_not_claimed(wider: Any, narrower: Any, answer: str) -> None:
    assert contracts.covers(wider, narrower) == answer


SCALARS = st.sampled_from(
    [{"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "null"}, {"enum": ["a", 1]}, {"const": "a"}, {"type": "boolean"}]
)
SCHEMAS = SCALARS | st.builds(lambda one, two: {"anyOf": [one, two]}, SCALARS, SCALARS) | st.builds(lambda one: closed(a=one), SCALARS)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["a", "b", 1.5])
    | st.builds(lambda v: {"a": v}, st.sampled_from([None, 1, "a", True]))
)


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, SCHEMAS, VALUES)
def test_a_value_of_a_covered_schema_never_breaks_the_wider_one(wider: Any, narrower: Any, value: Any) -> None:
    fits_narrower = not contracts.violations(narrower, value)
    if fits_narrower and contracts.covers(wider, narrower) == "yes":
        assert not contracts.violations(wider, value)
    if contracts.disjoint(wider, narrower):
        assert contracts.violations(wider, value) or not fits_narrower


def test_closing_reaches_inner_objects_and_leaves_values_alone() -> None:
    schema = {"type": "object", "properties": {"default": {"type": "object", "properties": {}}}, "default": {"type": "object", "properties": {}}}
    assert contracts.closed(schema) == {
        "type": "object",
        "additionalProperties": False,
        "properties": {"default": {"type": "object", "properties": {}, "additionalProperties": False}},
        "default": {"type": "object", "properties": {}},
    }


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ({"meta": {"as_of": "2014-02-28T14:25:00Z"}}, datetime(2014, 2, 28, 14, 25, tzinfo=UTC)),
        ({"meta": {"as_of": "2014-02-28t14:25:00.5+01:00"}}, datetime(2014, 2, 28, 13, 25, 0, 500_000, tzinfo=UTC)),
        ({"meta": {"as_of": None}}, None),
        ({"meta": None}, None),
        ({}, None),
        ([], None),
    ],
)
def test_the_instant_at_a_dotted_field(value: Any, seen: datetime | None) -> None:
    assert contracts.observed_at(value, "meta.as_of") == seen


@pytest.mark.parametrize("stamp", ["2014-02-28T14:25:00", "2014-02-28", "soon", 5, [], "0001-01-01T00:00:00+14:00", "2014-02-30T00:00:00Z"])
def test_an_instant_that_could_be_hours_off_is_an_error(stamp: Any) -> None:
    with pytest.raises(ValueError, match="as_of"):
        contracts.observed_at({"as_of": stamp}, "as_of")


def test_age_is_whole_milliseconds_and_negative_for_the_future() -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    assert contracts.age_ms(now - timedelta(seconds=1, microseconds=900), now) == 1000
    assert contracts.age_ms(now + timedelta(minutes=2), now) == -120_000


def test_a_verdict_needs_its_evidence() -> None:
    check = {"criterion": "c", "verdict": "pass", "why": "equal", "read": [{"source": "f", "digest": "0" * 64, "at": "2026-01-01T00:00:00Z"}]}
    assert contracts.violations(contracts.VERDICT_SCHEMA, {"checks": [{**check, "found": 1, "blames": None}], "as_of": None}) == []
    for wrong in ({**check, "verdict": "ok"}, {**check, "read": [{"source": "f"}]}, {"criterion": "c", "verdict": "pass"}):
        assert contracts.violations(contracts.VERDICT_SCHEMA, {"checks": [wrong]})


def formats_of(kind: Any) -> set[str]:
    try:
        text = json.dumps(pydantic.TypeAdapter(kind).json_schema())
    except Exception:  # noqa: BLE001 - what pydantic offers that is no type, or has no schema, says so in many ways
        return set()
    return set(re.findall(r'"format": "([^"]+)"', text))


def test_every_format_that_pydantic_writes_is_known() -> None:
    plain = (datetime, date, time, timedelta, Decimal, Fraction, Path, UUID, ZoneInfo, bytes, re.Pattern)
    addresses = (getattr(ipaddress, f"IPv{version}{kind}") for version in (4, 6) for kind in ("Address", "Network", "Interface"))
    with warnings.catch_warnings(action="ignore"):  # it offers what it has given up, too
        theirs = [getattr(pydantic, name) for name in pydantic.__all__]
        written = {name for kind in (*plain, *addresses, *theirs) for name in formats_of(kind)}
    assert {"uuid4", "ipv4network", "multi-host-uri"} < written
    assert [problem for name in sorted(written) for problem in contracts.schema_problems({"format": name})] == []
