"""A form from the contract of a pipeline's input: a field for each simple property, JSON for everything else.

Reads a schema and judges nothing: start_run holds the input against the contract and lists every problem.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from audit import clock, strict_json
from audit.admin import text_field
from audit.errors import BadJson
from audit.visible import visible

MOST_FIELDS: Final = 30
MOST_CHOICES: Final = 200
"""As many can be chosen from; of more, the one is typed."""
FEW_CHOICES: Final = 5
LONGEST: Final = 1_000_000
WHOLE: Final = "input"
_PREFIX: Final = "in-"
_LEFT_OUT: Final = object()
"""What a field holds that nobody filled in: a null that was typed is a value."""


class JSONText(forms.CharField):
    """JSON typed by a person, read as REST reads it; what is no JSON is said beside the field."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"widget": UnfoldAdminTextareaWidget(attrs={"rows": 6, "spellcheck": "false"}), "max_length": LONGEST, **options})

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return _LEFT_OUT
        try:
            return strict_json.read(text, "this")
        except BadJson as refusal:
            raise forms.ValidationError(refusal.message) from None


class JSONObject(JSONText):
    """The whole input of a run."""

    def clean(self, value: Any) -> dict[str, Any]:
        whole = super().clean(value)
        if not isinstance(whole, dict):
            raise forms.ValidationError("the input of a run is a JSON object, in braces; this is another value")
        return whole


class StartForm(forms.Form):
    """What every start may say beside its input. The key makes a form that is sent twice start one run."""

    as_of = text_field("As of", required=False, longest=40, help_text="Only to judge the past: an instant such as 2014-02-28T14:25:00Z.")
    draft = forms.BooleanField(label="With the newest drafts", required=False, widget=UnfoldBooleanSwitchWidget())
    key = forms.CharField(widget=forms.HiddenInput, max_length=100)

    def clean_as_of(self) -> str:
        text: str = self.cleaned_data["as_of"]
        try:
            if text:
                clock.from_text(text)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        return text


def start_form(schema: Mapping[str, Any], data: Any = None, *, key: str, draft: bool) -> StartForm:
    form = StartForm(data, initial={"key": key, "draft": draft})
    form.fields["draft"].help_text = "Whatever comes of a draft, it reads unverified at best."
    form.fields = {**_fields(schema), **form.fields}
    return form


def given(schema: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """The input as the person gave it; what was left empty is left out."""
    properties = _properties(schema)
    if properties is None:
        whole: dict[str, Any] = said[WHOLE]
        return whole
    values = {name: _value(kind, said[_PREFIX + name]) for name, kind in properties.items()}
    return {name: value for name, value in values.items() if value is not _LEFT_OUT}


def _fields(schema: Mapping[str, Any]) -> dict[str, forms.Field]:
    properties = _properties(schema)
    if properties is None:
        return {WHOLE: JSONObject(label="Input", initial="{}", help_text="The whole input, as one JSON object.")}
    required = set(schema.get("required") or ())
    return {_PREFIX + name: _field(name, kind, name in required) for name, kind in properties.items()}


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]] | None:
    """The properties, where the contract lists them and they are few; None means: ask for the whole as JSON."""
    found = schema.get("properties")
    if not isinstance(found, Mapping) or not 0 < len(found) <= MOST_FIELDS or schema.get("additionalProperties") not in (None, False, True):
        return None
    return {str(name): kind if isinstance(kind, Mapping) else {} for name, kind in found.items()}


def _field(name: str, kind: Mapping[str, Any], required: bool) -> forms.Field:
    said = visible(str(kind.get("description") or ""), 300)
    common: dict[str, Any] = {"label": visible(name, 60), "required": required, "help_text": said}
    if isinstance(kind.get("enum"), list) or kind.get("type") == "boolean":
        options = kind["enum"] if isinstance(kind.get("enum"), list) else [True, False]
        if len(options) > MOST_CHOICES:
            return _typed_choice(options, common)
        choices = [("", "–"), *((json.dumps(one), _readable(one)) for one in options)]
        return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget(), **common)
    if kind.get("type") in ("string", "integer", "number"):
        return forms.CharField(widget=UnfoldAdminTextInputWidget(), max_length=LONGEST, strip=False, **common)
    return JSONText(**{**common, "help_text": _sentences(said, "As JSON.")})


def _typed_choice(options: Sequence[Any], common: Mapping[str, Any]) -> forms.Field:
    """Too many to list: typed, and the contract says whether it is one of them."""
    few = ", ".join(_readable(one) for one in options[:FEW_CHOICES])
    counted = f"One of {len(options):,} values: {few} and {len(options) - FEW_CHOICES:,} more; the contract of the input has all of them."
    return forms.CharField(
        widget=UnfoldAdminTextInputWidget(), max_length=LONGEST, strip=False, **{**common, "help_text": _sentences(common["help_text"], counted)}
    )


def _readable(value: Any) -> str:
    return visible(value if isinstance(value, str) else json.dumps(value), 80)


def _sentences(said: str, more: str) -> str:
    return f"{said.rstrip('.')}. {more}" if said else more


def _value(kind: Mapping[str, Any], said: Any) -> Any:
    if said in ("", _LEFT_OUT):
        return _LEFT_OUT
    if isinstance(kind.get("enum"), list) and len(kind["enum"]) > MOST_CHOICES and said in kind["enum"]:
        return said  # typed as it stands there; what was chosen from a list comes as JSON
    if isinstance(kind.get("enum"), list) or kind.get("type") in ("boolean", "integer", "number"):
        return _parsed(said)
    return said


def _parsed(text: str) -> Any:
    """A number or a choice; what is none is handed on as text, and the contract says what is wrong with it."""
    try:
        return strict_json.read(text, "this")
    except BadJson:
        return text


def value_fields(schema: Any, *, label: str, required: bool, said: str = "") -> dict[str, forms.Field]:
    """Fields for any one value that a contract speaks of, not only for an object; `said` stands below each that has nothing else to say."""
    if not isinstance(schema, Mapping) or _properties(schema) is None:
        return {WHOLE: JSONText(label=label, required=False, help_text=f"{said} As JSON; left empty it is null.".strip())}
    found = _fields(schema)
    for field in found.values():
        field.label = f"{label}: {field.label}"
        field.required = field.required and required
        field.help_text = field.help_text or said
    return found


def value_of(schema: Any, said: Mapping[str, Any]) -> Any:
    """What was typed into `value_fields`."""
    if isinstance(schema, Mapping) and _properties(schema) is not None:
        return given(schema, said)
    return None if said[WHOLE] is _LEFT_OUT else said[WHOLE]
