"""Bare paths (`steps.read.series`, `input.feeds[0]`): resolved without the interpreter, so values keep their exact type.

Must not know CEL. Used by references and evaluation beside it.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from agents.errors import ExpressionError

Reference = tuple[str, ...]
Segment = str | int

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_BARE = re.compile(rf"{_NAME}(?:\.{_NAME}|\[[0-9]{{1,9}}\]|\[\"[^\"\\\n]*\"\]|\['[^'\\\n]*'\])*")
_SEGMENT = re.compile(rf"(?P<name>{_NAME})|\[(?P<index>[0-9]+)\]|\[[\"'](?P<key>[^\"'\n]*)[\"']\]")
_CONSTANTS = frozenset({"true", "false", "null"})


@lru_cache(maxsize=4096)
def bare_path(source: str) -> tuple[Segment, ...] | None:
    """The segments of a bare path, or None where the text is anything else (then it is CEL)."""
    text = source.strip()
    if text in _CONSTANTS or not _BARE.fullmatch(text):
        return None
    segments: list[Segment] = []
    for found in _SEGMENT.finditer(text):
        if found["index"] is not None:
            segments.append(int(found["index"]))
        else:
            segments.append(found["name"] if found["name"] is not None else found["key"])
    return tuple(segments)


def as_reference(path: Sequence[Segment]) -> Reference:
    """The names at the front of a path; a number (a place in a list) ends it."""
    names: list[str] = []
    for segment in path:
        if isinstance(segment, int):
            break
        names.append(segment)
    return tuple(names)


def look_up(source: str, path: Sequence[Segment], scope: Mapping[str, Any]) -> Any:
    """The value at `path`; None below a step (or `result`) that has none; any other miss is an ExpressionError."""
    value: Any = scope
    for depth, segment in enumerate(path):
        if value is None and _did_not_run(path[:depth]):
            return None
        value = _step_into(source, value, segment, path[:depth])
    return value


def _did_not_run(path: Sequence[Segment]) -> bool:
    return tuple(path) == ("result",) or (len(path) == 2 and path[0] == "steps")


def _step_into(source: str, value: Any, segment: Segment, so_far: Sequence[Segment]) -> Any:
    if isinstance(segment, str) and isinstance(value, Mapping) and segment in value:
        return value[segment]
    if isinstance(segment, int) and isinstance(value, list) and segment < len(value):
        return value[segment]
    raise ExpressionError(_miss(source, value, segment, so_far))


def _miss(source: str, value: Any, segment: Segment, so_far: Sequence[Segment]) -> str:
    place = written(so_far)
    if isinstance(value, list) and isinstance(segment, int):
        return f"{shown(source)!r}: {place} has {len(value)} items, so there is no [{segment}]"
    if isinstance(value, Mapping):
        there = ", ".join(sorted(str(key) for key in value)[:12]) or "nothing"
        where = f"{place} has no {segment!r}" if so_far else f"nothing here is named {segment!r}"
        return f"{shown(source)!r}: {where}; there is: {there}"
    return f"{shown(source)!r}: {place} is {kind_of(value)}, so it has no {segment!r}"


def written(path: Sequence[Segment]) -> str:
    """A path as a person would write it."""
    text = ""
    for segment in path:
        if isinstance(segment, int):
            text += f"[{segment}]"
        elif re.fullmatch(_NAME, segment):
            text += f".{segment}" if text else segment
        else:
            text += f'["{segment}"]'
    return text


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, (list, tuple)) else type(value).__name__


def shown(source: str, limit: int = 120) -> str:
    """An expression for a message: one line, capped."""
    text = " ".join(source.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
