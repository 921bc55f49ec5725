"""Compiled contracts, and what in a value breaks them.

Must not know where a value came from. A validator is built once per schema (by canonical bytes) and never fetches.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

import jsonschema_rs

from audit.canonical import canonical_bytes, digest_bytes

MAX_MESSAGE = 240


@dataclass(frozen=True)
class Contract:
    """A schema ready to check values with; equal schemas share one."""

    digest: str
    validator: jsonschema_rs.Draft202012Validator = field(repr=False, compare=False)
    source: bytes = field(default=b"true", repr=False, compare=False)

    @property
    def schema(self) -> Any:
        """What it was compiled from, for whoever has to be told what a value must be."""
        return json.loads(self.source)

    def violations(self, value: Any, *, limit: int = 5) -> list[str]:
        """What breaks the contract, at most `limit` sentences, each with its place: "/series/0/value: …"."""
        try:
            if self.validator.is_valid(value):
                return []
            found = [_sentence(error) for error in islice(self.validator.iter_errors(value), limit)]
        except (TypeError, ValueError) as error:
            return [f"/: not a JSON value ({str(error)[:MAX_MESSAGE]})"]
        # Where the two readings differ (they never should), the answer is still no.
        return found or ["/: the value does not fit its contract"]


def compiled(schema: Mapping[str, Any] | bool) -> Contract:
    """The contract of a schema that has no `schema_problems`; ValueError for one that can't be compiled."""
    return _compiled(canonical_bytes(schema))


def violations(schema: Mapping[str, Any] | bool, value: Any, *, limit: int = 5) -> list[str]:
    """As `Contract.violations`, for callers that hold the schema itself."""
    return compiled(schema).violations(value, limit=limit)


def validator_of(schema: Any) -> jsonschema_rs.Draft202012Validator:
    """A validator that never fetches, checks formats, and matches patterns in linear time."""
    return jsonschema_rs.Draft202012Validator(schema, offline=True, validate_formats=True, pattern_options=jsonschema_rs.RegexOptions())


@lru_cache(maxsize=1024)
def _compiled(canonical: bytes) -> Contract:
    return Contract(digest_bytes(canonical), validator_of(json.loads(canonical)), canonical)


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    place = "/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in error.instance_path)
    message = " ".join(error.message.split())
    return f"{place}: {message if len(message) <= MAX_MESSAGE else message[:MAX_MESSAGE] + '…'}"
