"""What may stand in a path, as Django's converters: a name, a person, the beginning of an id. All else is no such path, so no door sees it."""

from __future__ import annotations

from typing import Final

from django.urls import register_converter
from django.urls.converters import StringConverter

from audit.api.shapes import NAME_PATTERN, PERSON_PATTERN, Shape

_ID: Final = "[0-9a-fA-F][0-9a-fA-F-]{7,35}"
_DIGEST: Final = "[0-9a-f]{8,64}"
_KEY: Final = "[0-9A-Za-z]{12}"
_NUMBER: Final = "[1-9][0-9]{0,8}"


class NameConverter(StringConverter):
    regex = NAME_PATTERN.strip("^$")


class PersonConverter(StringConverter):
    regex = PERSON_PATTERN.strip("^$")


class IdConverter(StringConverter):
    regex = _ID


class DigestConverter(StringConverter):
    regex = _DIGEST


class KeyConverter(StringConverter):
    regex = _KEY


class NumberConverter:
    regex = _NUMBER

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


_NAME: Final[Shape] = {"type": "string", "pattern": NAME_PATTERN}
_SOME_ID: Final[Shape] = {"type": "string", "pattern": f"^{_ID}$"}

PARAMETERS: Final[dict[str, Shape]] = {
    **{what: {**_NAME, "description": f"the {what}'s name"} for what in ("team", "agent", "pipeline", "alias", "policy")},
    "person": {"type": "string", "pattern": PERSON_PATTERN, "description": "the person, by the name they sign in with"},
    "group": {"type": "string", "pattern": PERSON_PATTERN, "description": "the group's name"},
    "number": {"type": "integer", "minimum": 1, "maximum": 999_999_999, "description": "the version's number"},
    "release": {"type": "string", "pattern": f"^{_DIGEST}$", "description": "the release's digest, or its first eight digits or more"},
    "run": {**_SOME_ID, "description": "the run's id, or its first eight characters or more"},
    "wait": {"type": "string", "format": "uuid", "description": "the wait's id"},
    "stop": {"type": "string", "format": "uuid", "description": "the stop's id"},
    "proposal": {"type": "string", "format": "uuid", "description": "the proposal's id"},
    "cover": {"type": "string", "format": "uuid", "description": "the cover's id"},
    "approval": {"type": "string", "format": "uuid", "description": "the request's id, which is that of the wait"},
    "call": {"type": "string", "format": "uuid", "description": "the call's id"},
    "signal": {**_NAME, "description": "the signal's name, as the pipeline says it"},
    "entry": {"type": "string", "format": "uuid", "description": "the entry's id"},
    "token": {"type": "string", "format": "uuid", "description": "the token's id"},
    "key": {"type": "string", "pattern": f"^{_KEY}$", "description": "the key's id: the part of it that may be shown"},
    "lock": {"type": "string", "format": "uuid", "description": "the lock's id"},
}
"""What the OpenAPI document says of each parameter of a path, by its name in the address."""


def register() -> None:
    """Make them known to Django under the names above; the site does it where it lists the addresses."""
    for name, converter in (
        ("name", NameConverter), ("person", PersonConverter), ("id", IdConverter), ("digest", DigestConverter), ("number", NumberConverter),
        ("key", KeyConverter),
    ):  # fmt: skip
        register_converter(converter, name)
