"""RFC 8785: the vectors of the standard, and that the fast form for entries writes the same bytes."""

import enum
import json
import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import MAX_DEPTH, MAX_INTEGER, NotCanonical, canonical_bytes, commitment, digest, digest_bytes, entry_bytes, value_of

# RFC 8785, appendix B: the bits of an IEEE 754 double and its text.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}

texts = st.text(max_size=20)
ascii_keys = st.text(st.characters(max_codepoint=127), max_size=8)
integers = st.integers(-MAX_INTEGER, MAX_INTEGER)
entry_values = st.recursive(
    st.none() | st.booleans() | integers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ascii_keys, inner, max_size=4),
    max_leaves=20,
)


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(("bits", "text"), NUMBERS.items())
def test_a_double_is_written_as_the_standard_says(bits: str, text: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_bytes(value) == text.encode()


def test_keys_are_sorted_by_their_utf_16_units_not_by_code_points() -> None:
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    order = list(json.loads(canonical_bytes(value)))
    assert order == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_only_what_must_be_escaped_is() -> None:
    value = {"text": '\u20ac$\u000f\u000aA\'B"\\\\"/\u007f\u2028'}
    assert canonical_bytes(value) == '{"text":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/\u007f\u2028"}'.encode()
    assert entry_bytes(value) == canonical_bytes(value)


@pytest.mark.parametrize("value", [1e16, -1e18, float(2**53), 1e21, 1.5, 2**53 - 1, [{"a": 123456789012345678.0, "t": "1234567890123456789"}]])
def test_what_was_written_is_read_as_it_was(value: Any) -> None:
    """Digits beyond 2^53 were a float: no integer is written in them."""
    assert repr(value_of(canonical_bytes(value))) == repr(json.loads(json.dumps(value)))


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 2**53, -(2**53), {1: "a"}, "\ud800", {"\udfff": 1}, b"bytes", {1, 2}, object],
    ids=repr,
)
def test_what_json_cannot_carry_is_refused(value: Any) -> None:
    with pytest.raises(NotCanonical):
        canonical_bytes({"at": [value]})


def test_a_value_nested_without_end_is_refused_by_both_forms() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for form in (canonical_bytes, entry_bytes):
        with pytest.raises(NotCanonical, match="deeply"):
            form({"facts": endless})


@pytest.mark.parametrize("innermost", [1, 0.5, "ü"])
@pytest.mark.parametrize("key", ["a", "ä"])
def test_what_is_too_deep_does_not_depend_on_the_stack_that_is_left(innermost: Any, key: str) -> None:
    def nested(depth: int) -> Any:
        value = innermost
        for place in range(depth):
            value = [value] if place % 2 else {key: value}
        return value

    def deeper(frames: int, depth: int) -> bytes:
        return deeper(frames - 1, depth) if frames else canonical_bytes(nested(depth), depth=MAX_DEPTH)

    for frames in (0, 300):
        assert len(deeper(frames, MAX_DEPTH)) > MAX_DEPTH
        for depth in (MAX_DEPTH + 1, 400, 470, 5_000):
            with pytest.raises(NotCanonical, match="more than 128 objects and lists"):
                deeper(frames, depth)


@given(st.dictionaries(ascii_keys, entry_values, max_size=6))
def test_the_fast_form_writes_the_same_bytes_as_rfc_8785(entry: dict[str, Any]) -> None:
    assert entry_bytes(entry) == rfc8785.dumps(entry)


def test_an_enumeration_of_texts_is_written_as_its_text() -> None:
    assert entry_bytes({"colour": Colour.RED}) == canonical_bytes({"colour": "red"}) == b'{"colour":"red"}'


@pytest.mark.parametrize(
    ("facts", "place"),
    [
        ({"cost": 0.1}, "entry.cost: a float"),
        ({"a": {"b": [1, {"c": 2.0}]}}, "entry.a.b.1.c: a float"),
        ({"n": 2**53}, "entry.n: the integer"),
        ({"n": [-(2**53)]}, "entry.n.0: the integer"),
        ({"a": {"schlüssel": 1}}, "entry.a: the key"),
        ({"a": {1: 1}}, "entry.a: the key 1"),
        ({"raw": b""}, "entry.raw: a bytes"),
        ({"text": "\ud800"}, "surrogate"),
    ],
    ids=str,
)
def test_an_entry_says_where_it_holds_what_it_may_not(facts: dict[str, Any], place: str) -> None:
    with pytest.raises(NotCanonical, match=place):
        entry_bytes(facts)


def test_the_largest_integers_of_a_double_are_still_written() -> None:
    assert entry_bytes({"n": [MAX_INTEGER, -MAX_INTEGER, True]}) == b'{"n":[9007199254740991,-9007199254740991,true]}'


def test_digests_and_commitments_are_plain_sha_256() -> None:
    # echo -n '{"a":1}' | sha256sum
    assert digest({"a": 1}) == digest_bytes(b'{"a":1}') == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    assert commitment(b"salt", b'{"a":1}') == digest_bytes(b'salt{"a":1}')
