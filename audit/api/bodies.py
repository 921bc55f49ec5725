"""Strict JSON: a body is UTF-8, has no key twice, no number that JSON can't say, and is neither too deep nor too large.

Knows no shape and no operation. Called by DRF when a door reads a body.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from audit.api.errors import BadJson, TooLarge
from audit.visible import visible

MOST_BYTES = 1024 * 1024
DEEPEST = 64


class StrictJSON(BaseParser):
    """The one parser of every door; a view may allow more bytes than the ordinary by `most_bytes`."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:  # noqa: ARG002 - DRF's signature
        context = parser_context or {}
        most = getattr(context.get("view"), "most_bytes", MOST_BYTES)
        request = context.get("request")
        announced = request.META.get("CONTENT_LENGTH") if request is not None else None
        if str(announced or "").isdecimal() and int(str(announced)) > most:
            raise _too_large(int(str(announced)), most)
        data = stream.read(most + 1)
        if len(data) > most:
            raise _too_large(len(data), most)
        return loads(data)


def loads(data: bytes) -> Any:
    """The value, or BadJson with what is wrong and where."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise BadJson(f"the body is not UTF-8: byte {error.start} can't be read") from None
    except RecursionError:
        raise BadJson(_too_deep()) from None
    except ValueError as error:
        raise BadJson(f"the body is not JSON: {visible(error, 200)}") from None
    _refuse_odd(value)
    return value


def _refuse_odd(value: Any) -> None:
    """Depth and texts, level by level: a recursion here would end where the depth is to be refused."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST + 1:
            raise BadJson(_too_deep())
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner += [*each, *each.values()]
            elif isinstance(each, list):
                inner += each
            elif isinstance(each, str) and not each.isascii():
                _refuse_half_pairs(each)
        level = inner


def _refuse_half_pairs(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadJson(f"the body holds half of a surrogate pair (\\u{ord(text[error.start]):04x}), which is no character") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadJson(f"the key '{visible(twice, 80)}' stands twice in one object; nobody knows which of the two is meant")
    return found


def _no_constant(name: str) -> Any:
    raise BadJson(f"{name} is not JSON; leave the member out, or say null where that is allowed")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise BadJson(f"the number {visible(text, 40)} is larger than any that can be kept")
    return number


def _too_deep() -> str:
    return f"the body is nested deeper than {DEEPEST} levels"


def _too_large(size: int, most: int) -> TooLarge:
    return TooLarge(f"the body has {size:,} bytes or more; this operation takes at most {most:,}. Hand over a path or a URL instead of the data")
