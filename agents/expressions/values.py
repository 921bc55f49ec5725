"""Expressions inside values: `with:` objects ("=expr", "==literal") and the templates of `uses` ("read feed:{input.feed}").

Must not know what the values are for. Used by publishing and by the engine.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agents.errors import ExpressionError
from agents.expressions.evaluation import evaluate
from agents.expressions.paths import Reference, Segment, as_reference, bare_path, kind_of, look_up
from agents.expressions.references import references

Place = tuple[str | int, ...]

MAX_FILLED = 2048
_HOLE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def resolve(value: Any, scope: Mapping[str, Any]) -> Any:
    """A `with:` value with every "=expr" evaluated and every "==text" unescaped. Raises ExpressionError."""
    if isinstance(value, str):
        if value.startswith("=="):
            return value[1:]
        return evaluate(value[1:], scope) if value.startswith("=") else value
    if isinstance(value, Mapping):
        return {key: resolve(item, scope) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, scope) for item in value]
    return value


def expressions_in(value: Any) -> Iterator[tuple[Place, str]]:
    """Every expression inside a `with:` value, with its place."""
    if isinstance(value, str):
        if value.startswith("=") and not value.startswith("=="):
            yield (), value[1:]
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from (((key, *place), source) for place, source in expressions_in(item))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from (((index, *place), source) for place, source in expressions_in(item))


def value_references(value: Any) -> frozenset[Reference]:
    """The paths that all expressions inside a `with:` value use."""
    return frozenset(path for _, source in expressions_in(value) for path in references(source))


def template_problems(template: str) -> list[str]:
    """What is wrong with a template: only bare paths stand in braces; {{ and }} are braces themselves."""
    found: list[str] = []
    for hole in _HOLE.finditer(template):
        if hole.group() in {"{{", "}}"}:
            continue
        if hole.group(1) is None:
            found.append(f"{template!r} has a lone {hole.group()!r}; write {{{{ or }}}} for a brace")
        elif bare_path(hole.group(1)) is None:
            found.append(f"{{{hole.group(1)}}} in {template!r} is not a path; write a path such as {{input.feed}}")
    return found


def template_paths(template: str) -> list[tuple[Segment, ...]]:
    """The paths in a template's braces, whole, in their order."""
    paths = (bare_path(hole.group(1)) for hole in _HOLE.finditer(template) if hole.group(1) is not None)
    return [path for path in paths if path is not None]


def template_references(template: str) -> frozenset[Reference]:
    """The names at the front of the paths that a template uses."""
    return frozenset(map(as_reference, template_paths(template)))


def fill(template: str, scope: Mapping[str, Any]) -> str:
    """The template with its paths filled in. Raises ExpressionError where a value is no plain text, number or boolean."""
    found = template_problems(template)
    if found:
        raise ExpressionError("; ".join(found), problems=found)
    filled = _HOLE.sub(lambda hole: _filled(hole, scope), template)
    if len(filled) > MAX_FILLED:
        raise ExpressionError(f"{template!r} filled in has {len(filled)} characters and the limit is {MAX_FILLED}")
    return filled


def _filled(hole: re.Match[str], scope: Mapping[str, Any]) -> str:
    if hole.group(1) is None:
        return hole.group()[0]
    path = bare_path(hole.group(1))
    value = look_up(hole.group(1), path or (), scope)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if not isinstance(value, str):
        raise ExpressionError(f"{{{hole.group(1)}}} is {kind_of(value)}; only a text or a number can be part of a name")
    # A line break or a bidi mark in a resource name could make one name read as another in the ledger.
    if _UNPRINTABLE.search(value):
        raise ExpressionError(f"{{{hole.group(1)}}} holds control characters, which a name can't")
    return value
