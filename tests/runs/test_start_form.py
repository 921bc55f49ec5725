"""The form that a contract gives: what was typed is what starts, and what can't be read is refused in words."""

from typing import Any

import pytest

from runs.admin.starting import MOST_CHOICES, given, start_form

SCHEMA: dict[str, Any] = {
    "properties": {"more": {}, "count": {"type": "integer"}, "way": {"enum": [None, "fast"]}, "name": {"type": "string"}},
    "additionalProperties": False,
}


def typed(**said: str) -> Any:
    form = start_form(SCHEMA, {"key": "k", **{f"in-{name}": text for name, text in said.items()}}, key="k", draft=False)
    return given(SCHEMA, form.cleaned_data) if form.is_valid() else dict(form.errors)


def test_a_null_that_was_typed_is_a_value_and_an_empty_field_is_left_out() -> None:
    assert typed() == {}
    assert typed(more="null", way="null", count="null") == {"more": None, "way": None, "count": None}


@pytest.mark.parametrize("text", ["[" * 200_000, "NaN", "1e999", '{"a": 1, "a": 2}', "9" * 5_000], ids=lambda text: text[:6])
def test_what_is_no_number_is_handed_on_as_text_for_the_contract_to_refuse(text: str) -> None:
    assert typed(count=text) == {"count": text}


@pytest.mark.parametrize("text", ["[" * 200_000, "NaN", '{"a": 1, "a": 2}', '"\\ud800"'], ids=lambda text: text[:6])
def test_json_that_rest_refuses_is_refused_here_too(text: str) -> None:
    assert list(typed(more=text)) == ["in-more"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0001-01-01T00:00:00+14:00", "before the year 1 or after the year 9999"),
        ("9999-12-31T23:59:59-14:00", "before the year 1 or after the year 9999"),
        ("2014-02-28T14:25:00", "has no time zone"),
        ("yesterday", "is not an instant"),
    ],
)
def test_an_instant_that_no_calendar_here_has_is_refused_in_words(text: str, why: str) -> None:
    form = start_form(SCHEMA, {"key": "k", "as_of": text}, key="k", draft=False)
    assert why in form.errors["as_of"][0]


def test_of_very_many_values_the_one_is_typed_and_the_form_says_how_many_there_are() -> None:
    schema = {"properties": {"code": {"enum": [f"c{number}" for number in range(MOST_CHOICES)] + [7, None]}}}

    def typed_code(text: str) -> Any:
        form = start_form(schema, {"key": "k", "in-code": text}, key="k", draft=False)
        assert form.is_valid(), form.errors
        return given(schema, form.cleaned_data)

    assert [typed_code(text) for text in (f"c{MOST_CHOICES - 1}", "7", "")] == [{"code": f"c{MOST_CHOICES - 1}"}, {"code": 7}, {}]
    help_text = str(start_form(schema, key="k", draft=False).fields["in-code"].help_text)
    assert "One of 202 values: c0, c1, c2, c3, c4 and 197 more" in help_text


def test_values_that_can_be_listed_are_all_there_to_choose_from() -> None:
    schema = {"properties": {"code": {"enum": list(range(MOST_CHOICES))}}}
    assert len(start_form(schema, key="k", draft=False).fields["in-code"].choices) == MOST_CHOICES + 1
