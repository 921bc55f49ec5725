"""Compiles and runs CEL on JSON values, within caps on what it is given; a bare path never comes here.

Must not know pipelines. CEL has no budget of its own and holds the interpreter lock, so the size of its lists is bounded
before it starts (measured on 2 cores: a filter over 2,000 small objects 1.9 s, because map and filter copy the list at
every item; all/exists over 10,000 objects 0.01 s; two nested over 1,000 each 0.12 s).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agents.errors import ExpressionError
from agents.expressions.paths import Reference, bare_path, kind_of, look_up, shown
from agents.expressions.references import Shape, problems, shape
from agents.expressions.scanning import FUNCTIONS
from audit.instants import recorded

if TYPE_CHECKING:
    import cel

MAX_ITEMS = 10_000
MAX_ITEMS_NESTED = 1_000
MAX_ITEMS_NESTED_BUILDING = 100
MAX_VALUES = 200_000
MAX_COPIES = 8_000_000
_INT64 = 2**63
_METHOD = re.compile(r"Undefined variable or function: '(\w+)'")
_ADVICE = "let a step compute it and read its result"


def compile_problems(source: str) -> list[str]:
    """Static problems, and where there are none, what the compiler says. Untrusted text: call this in a child."""
    found = problems(source)
    if found or bare_path(source) is not None:
        return found
    try:
        _program(source)
    except ExpressionError as error:
        return [error.message]
    return []


def evaluate(source: str, scope: Mapping[str, Any]) -> Any:
    """The value of an expression; the exact value for a bare path. Raises ExpressionError."""
    path = bare_path(source)
    if path is not None:
        return look_up(source, path, scope)
    program = _program(source)
    return _as_json(source, _run(program, source, _context(source, scope)))


def holds(source: str, scope: Mapping[str, Any]) -> bool:
    """Whether a condition is true; anything but true or false is an ExpressionError, never a yes."""
    value = evaluate(source, scope)
    if value is True or value is False:
        return value is True
    raise ExpressionError(f"{shown(source)!r} gave {kind_of(value)}; a condition must give true or false")


@lru_cache(maxsize=1024)
def _program(source: str) -> "cel.Program":
    import cel  # noqa: PLC0415 - it brings a command line along: an eighth of the start of every process, and few have expressions to run

    found = problems(source)
    if found:
        raise ExpressionError(f"{shown(source)!r}: {'; '.join(found)}", problems=found)
    try:
        return cel.compile(source)
    except BaseException as error:  # a panic in the extension is no Exception, and must stay this expression's fault
        raise ExpressionError(f"{shown(source)!r} does not compile: {_first_line(_ours(error))}") from error


def _run(program: "cel.Program", source: str, context: dict[str, Any]) -> Any:
    try:
        return program.execute(context)
    except BaseException as error:  # as above
        raise ExpressionError(f"{shown(source)!r} failed: {_first_line(_ours(error))}") from error


def _ours(error: BaseException) -> BaseException:
    if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
        raise error
    return error


def _first_line(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"there is no {error.args[0]!r}; ask with has(…) whether it is there" if error.args else "a key is missing"
    if isinstance(error, TypeError) and str(error).startswith("No such overload"):
        return (
            "an operation does not fit its values: a text and a number don't mix, nor do whole and decimal numbers (write 1.0 or double(x)), "
            "and null has no parts (ask has(…))"
        )
    asked = _METHOD.match(str(error))
    if asked is not None and asked[1] in FUNCTIONS:
        return f"{asked[1]}(…) can't be asked of this value: it is of another type than the expression expects"
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    marker = "ERROR: <input>:"
    return text[text.index(marker) + len(marker) :][:240] if marker in text else text[:240]


class _Part(dict[str, Any]):
    """An object of which only the named parts were copied; anything else in a context is the caller's own value."""


def _context(source: str, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Only what the expression names is handed over: cheaper, and the caps count nothing else."""
    seen = shape(source)
    wanted = _Part()
    for reference in sorted(seen.references, key=len):
        if reference[0] not in scope:
            there = ", ".join(sorted(scope))
            raise ExpressionError(f"{shown(source)!r}: nothing here is named {reference[0]!r}; there is: {there}")
        if reference not in seen.asked_for:
            _copy(reference, scope, wanted)
    for reference in sorted(seen.asked_for, key=len, reverse=True):
        _copy_asked(reference, scope, wanted)
    _check_caps(source, wanted, seen)
    return wanted


def _copy(reference: Reference, value: Mapping[str, Any], target: _Part) -> None:
    name, *rest = reference
    if name not in value:
        return
    item = value[name]
    if not rest or not isinstance(item, Mapping):
        target[name] = item
        return
    part = target.setdefault(name, _Part())
    if isinstance(part, _Part):
        _copy(tuple(rest), item, part)


def _copy_asked(reference: Reference, scope: Mapping[str, Any], wanted: _Part) -> None:
    """For has(a.b.c): CEL fails where a or b is null or not there; here that means "no", so an empty object stands in."""
    _copy(reference, scope, wanted)
    target = wanted
    for name in reference[:-1]:
        if target.get(name) is None:
            target[name] = _Part()
        inner = target[name]
        if not isinstance(inner, _Part):
            return
        target = inner
    if len(reference) == 2 and reference[0] == "steps" and target.get(reference[1]) is None:
        target.pop(reference[1], None)  # a step that did not run: has(steps.x) is false


@dataclass
class _Size:
    """How much a context holds: values of any kind, and the items of its longest list."""

    values: int = 0
    longest: int = 0


def _size_of(source: str, root: Any) -> _Size:
    size = _Size()
    pending: list[Any] = [root]
    while pending:
        value = pending.pop()
        size.values += 1
        if isinstance(value, (list, tuple)):
            size.longest = max(size.longest, len(value))
            pending.extend(value)
        elif isinstance(value, Mapping):
            pending.extend(value.values())
        else:
            _check_scalar(source, value)
        if size.values > MAX_VALUES:
            raise ExpressionError(f"{shown(source)!r} reads more than {MAX_VALUES} values; {_ADVICE}")
    return size


def _check_caps(source: str, context: Mapping[str, Any], seen: Shape) -> None:
    size = _size_of(source, context)
    limit = MAX_ITEMS
    if seen.depth > 1:
        limit = MAX_ITEMS_NESTED_BUILDING if seen.builds else MAX_ITEMS_NESTED
    if size.longest > limit:
        nested = " because all/exists/map/filter are nested in it" if seen.depth > 1 else ""
        raise ExpressionError(f"{shown(source)!r} reads a list of {size.longest} items; the limit is {limit}{nested}; {_ADVICE}")
    if not seen.builds:
        return
    carried = sum(_size_of(source, _at(path, context)).values for path in seen.carried)
    copies = size.longest * size.values + size.longest**2 * carried
    if copies > MAX_COPIES:
        raise ExpressionError(f"{shown(source)!r} would copy about {copies} values in map or filter; the limit is {MAX_COPIES}; {_ADVICE}")


def _at(path: Reference, context: Mapping[str, Any]) -> Any:
    value: Any = context
    for name in path:
        if not isinstance(value, Mapping):
            return value
        value = value.get(name)
    return value


def _check_scalar(source: str, value: Any) -> None:
    if value is None or isinstance(value, (bool, str)):
        return
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return
    if isinstance(value, float) and math.isfinite(value):
        return
    raise ExpressionError(f"{shown(source)!r} reads {value!r:.60}, which is not a JSON value that an expression can hold")


def _as_json(source: str, value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, datetime):
        return recorded(value)
    if depth > 64:
        raise ExpressionError(f"{shown(source)!r} gave something nested too deeply")
    if isinstance(value, list):
        return [_as_json(source, item, depth + 1) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _as_json(source, item, depth + 1) for key, item in value.items()}
    raise ExpressionError(f"{shown(source)!r} gave {type(value).__name__}, which is not JSON; write string(…) or int(…) around it")
