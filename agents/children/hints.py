"""Which arguments pass a function's type hints as they are, and which pydantic must build.

Must not import pydantic (nor typing's evaluation) for a function of plain hints.
Called by calling, once for each function.
"""

import contextlib
import importlib
import sys
import types
from collections.abc import Callable
from typing import Any

Converter = Callable[[Any], Any]

_CHECKED: dict[Any, tuple[type, ...]] = {str: (str,), int: (int,), float: (float, int), bool: (bool,), dict: (dict,), list: (list,)}


def converters(function: Any) -> dict[str, Converter]:
    """By parameter; those that take any JSON value have none."""
    if not getattr(function, "__annotations__", None):
        return {}
    from typing import get_type_hints  # noqa: PLC0415 -- the module is there already; the name only here

    found: dict[str, Converter] = {}
    for name, hint in get_type_hints(function, include_extras=True).items():
        if name == "return":
            continue
        if hint in _CHECKED:
            found[name] = _checker(hint)
        elif not _takes_json(hint):
            found[name] = _by_pydantic(hint)
    return found


def _checker(hint: type) -> Converter:
    kinds = _CHECKED[hint]

    def check(value: Any) -> Any:
        if isinstance(value, kinds) and (hint is bool or not isinstance(value, bool)):
            return value + 0.0 if isinstance(value, int) and hint is float else value
        raise TypeError(f"{type(value).__name__} where {hint.__name__} is asked for")

    return check


def _takes_json(hint: Any) -> bool:
    """A hint whose values are those of JSON, so that there is nothing to build."""
    import typing  # noqa: PLC0415 -- there already

    if hint in (Any, type(None), None) or hint in _CHECKED:
        return True
    if _is_typeddict(hint):
        fields = typing.get_type_hints(hint)  # without extras: Required and NotRequired are gone
        return all(map(_takes_json, fields.values()))
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return True
    if origin in (list, dict, typing.Union, types.UnionType):
        return all(map(_takes_json, typing.get_args(hint)))
    return False


def _is_typeddict(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, dict) and hasattr(hint, "__total__")


def bridge_typeddict() -> None:
    """Before Python 3.12 pydantic takes typing_extensions' TypedDict only; whoever asks typing for it gets that one.

    At the first asking, not before: it would cost every cold call some milliseconds.
    """
    import typing  # noqa: PLC0415 -- as above

    original = vars(typing).get("TypedDict")
    if sys.version_info >= (3, 12) or original is None:
        return

    def on_first_use(name: str) -> Any:
        if name != "TypedDict":
            raise AttributeError(f"module 'typing' has no attribute {name!r}")
        setattr(typing, name, original)
        del vars(typing)["__getattr__"]
        with contextlib.suppress(ImportError, AttributeError):  # not installed, or itself the one who asks
            setattr(typing, name, importlib.import_module("typing_extensions").TypedDict)
        return getattr(typing, name)

    del vars(typing)["TypedDict"]
    vars(typing)["__getattr__"] = on_first_use


def _by_pydantic(hint: Any) -> Converter:
    from pydantic import TypeAdapter  # noqa: PLC0415 -- some sixty milliseconds that plain hints don't pay

    adapter: TypeAdapter[Any] = TypeAdapter(hint)
    return adapter.validate_python
