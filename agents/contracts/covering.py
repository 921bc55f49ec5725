"""Whether one schema admits all that another does; proofs only: what can't be decided is "unknown", never "yes".

Must not know steps or pipelines. Used by publishing to hold an output against the next step's input.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import jsonschema_rs

from audit.canonical import NotCanonical, canonical_bytes

Coverage = Literal["yes", "no", "unknown"]
Schema = Mapping[str, Any] | bool


def covers(wider: Schema, narrower: Schema) -> Coverage:
    """Whether every value of `narrower` is a value of `wider`."""
    try:
        answer = str(_canonical(canonical_bytes(wider)).covers(_canonical(canonical_bytes(narrower))))
    except (ValueError, jsonschema_rs.canonical.CanonicalizationError, NotCanonical):
        return "unknown"
    return "yes" if answer == "yes" else "no" if answer == "no" else "unknown"


def disjoint(one: Schema, other: Schema) -> bool:
    """Whether it is proven that no value fits both."""
    try:
        both = _canonical(canonical_bytes(one)).intersect(_canonical(canonical_bytes(other)))
        return str(both.satisfiability()) == "no"
    except (ValueError, jsonschema_rs.canonical.CanonicalizationError, NotCanonical):
        return False


def closed(schema: Any) -> Any:
    """The schema as its author most likely means it: an object with named properties has no others.

    An open object can hold anything under a name that it does not mention, so almost nothing provably covers it.
    """
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    copy = {key: _closed_under(key, value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), Mapping) and schema.get("type") == "object" and not _OPENING & schema.keys():
        copy["additionalProperties"] = False
    return copy


def _closed_under(key: str, value: Any) -> Any:
    if key in {"properties", "$defs"} and isinstance(value, Mapping):
        return {name: closed(inner) for name, inner in value.items()}
    return value if key in {"const", "enum", "default", "examples", "required", "type"} else closed(value)


_OPENING = frozenset(
    {"additionalProperties", "unevaluatedProperties", "patternProperties", "allOf", "anyOf", "oneOf", "$ref", "if", "dependentSchemas"}
)


@lru_cache(maxsize=512)
def _canonical(canonical: bytes) -> jsonschema_rs.CanonicalSchema:
    return jsonschema_rs.canonicalize(json.loads(canonical), offline=True, draft=jsonschema_rs.Draft202012)
