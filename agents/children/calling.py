"""Finds a team's function, gives it its arguments as its type hints ask for them, and writes its result as JSON.

Must not import pydantic where plain hints do without: it costs a cold call some sixty milliseconds.
Called by the child's loop and, for finding, by describing.
"""

import importlib
import sys
from collections.abc import Callable, Iterable
from types import CodeType
from typing import Any

from . import failures, frames, hints, plain

Function = Callable[..., Any]

_found: dict[str, tuple[Function, dict[str, hints.Converter]]] = {}


def call(folder: str | None, name: str, arguments: dict[str, Any]) -> bytes:
    """The result as JSON. Raises what the function raises, or Stopped for what is wrong around it."""
    enter(folder)
    if name not in _found:
        function = find(name)
        _found[name] = function, hints.converters(function)
    function, converters = _found[name]
    given = {key: _converted(key, value, converters) for key, value in arguments.items()}
    try:
        value = function(**given)
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:  # the call itself, not its body
            raise failures.Stopped("input", f"{name}: {error}") from None
        raise
    if hasattr(value, "__await__"):
        value = _awaited(value)
    return _dumped(name, value)


def enter(folder: str | None) -> None:
    """The import path of a team's code: our sdk, their folder, what is installed; never the project."""
    here = __file__.rpartition("/")[0]
    project = here.rpartition("/agents/children")[0]
    first = [f"{project}/sdk"] + ([folder] if folder else [])
    if sys.path[: len(first)] != first:
        hints.bridge_typeddict()
        sys.path[:] = first + [entry for entry in sys.path if entry not in (project, *first)]
        sys.dont_write_bytecode = True  # a team's folder has a digest; leave it as it is


def find(name: str) -> Function:
    module_name, _, attribute = name.partition(":")
    found: Any = importlib.import_module(module_name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise failures.Stopped("exception", f"module {module_name!r} has no function {attribute!r}{near(part, _offered(found))}")
        found = getattr(found, part)
    if not isinstance(getattr(_innermost(found), "__code__", None), CodeType):
        raise failures.Stopped("exception", f"{name!r} is {type(found).__name__}, not a function")
    function: Function = found
    return function


def near(name: str, known: Iterable[str]) -> str:
    """The end of a refusal: what may have been meant."""
    from difflib import get_close_matches  # noqa: PLC0415 - only where something was not found

    found = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def _offered(place: Any) -> list[str]:
    return [name for name, value in getattr(place, "__dict__", {}).items() if isinstance(getattr(_innermost(value), "__code__", None), CodeType)]


def _innermost(function: Any) -> Any:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def _converted(name: str, value: Any, converters: dict[str, hints.Converter]) -> Any:
    if name not in converters:
        return value
    try:
        return converters[name](value)
    except (ValueError, TypeError) as error:
        raise failures.Stopped("input", f"parameter {name!r}: {failures.text_of(error)}") from None


def _awaited(value: Any) -> Any:
    import asyncio  # noqa: PLC0415 -- only an async function pays for it

    async def result() -> Any:
        return await value

    return asyncio.run(result())


def _dumped(name: str, value: Any) -> bytes:
    try:
        body = frames.to_json(plain.plain(value))
    except plain.NotJson as error:
        raise failures.Stopped("contract", f"the result of {name} isn't JSON: {error}") from None
    except (ValueError, TypeError) as error:
        raise failures.Stopped("contract", f"the result of {name} isn't JSON: {failures.text_of(error)}") from None
    except RecursionError:
        raise failures.Stopped("contract", f"the result of {name} isn't JSON: it is nested too deeply") from None
    if len(body) > frames.RESULT_LIMIT:
        size, limit = len(body) / frames.MIB, frames.RESULT_LIMIT // frames.MIB
        raise failures.Stopped("contract", f"the result is {size:.1f} MiB, the limit is {limit} MiB")
    return body
