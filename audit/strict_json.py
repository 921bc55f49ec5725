"""Strict JSON: UTF-8, no key twice, no number that JSON can't say, no half of a surrogate pair, and not too deep.

Pure; knows no shape and no operation. Called by every door that reads JSON which somebody typed or sent, so that all of them read the same.
"""

from __future__ import annotations

import json
import math
from typing import Any

from audit.errors import BadJson
from audit.visible import visible

DEEPEST = 64


class NoJson(BadJson):
    """This is not JSON at all, where other refusals are about what JSON may hold."""


def loads(data: bytes, what: str = "the body") -> Any:
    """The value, or BadJson with what is wrong and where; `what` names the text in that sentence."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadJson(f"{what} is not UTF-8: byte {error.start} can't be read") from None
    return read(text, what)


def read(text: str, what: str) -> Any:
    """The same for what is text already."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
        _refuse_odd(value)
    except _Odd as error:
        raise (NoJson if isinstance(error, _Constant) else BadJson)(f"{what} {error}") from None
    except RecursionError:
        raise BadJson(f"{what} {_TOO_DEEP}") from None
    except json.JSONDecodeError as error:
        raise NoJson(f"{what} is not JSON: {visible(error, 200)}") from None
    except ValueError:  # the one that is left: Python reads no longer numbers
        raise BadJson(f"{what} holds a number of thousands of digits, which is larger than any that can be kept") from None
    return value


_TOO_DEEP = f"is nested deeper than {DEEPEST} levels"


class _Odd(ValueError):
    """What is wrong, as the end of a sentence about the text."""


class _Constant(_Odd):
    """A word of JavaScript that JSON does not have."""


def _refuse_odd(value: Any) -> None:
    """Depth and texts, level by level: a recursion here would end where the depth is to be refused."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST + 1:
            raise _Odd(_TOO_DEEP)
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
        raise _Odd(f"holds half of a surrogate pair (\\u{ord(text[error.start]):04x}), which is no character") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Odd(f"has the key '{visible(twice, 80)}' twice in one object; nobody knows which of the two is meant")
    return found


def _no_constant(name: str) -> Any:
    raise _Constant(f"holds {name}, which is not JSON; leave the member out, or say null where that is allowed")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Odd(f"holds the number {visible(text, 40)}, which is larger than any that can be kept")
    return number
