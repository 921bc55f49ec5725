"""Turns what a function returned into plain JSON values, or says where that can't be done.

Must not lose anything quietly: JSON has no NaN and no keys but texts.
Called by calling, in the child.
"""

import math
from collections.abc import Callable
from typing import Any

_AS_THEY_ARE = (str, int, bool, type(None))


class NotJson(Exception):
    """A value that JSON can't hold; the message says where it is."""


def plain(value: Any, path: str = "") -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is float:
        return _number(value, path)
    if kind is dict:
        return {_key(key, path): plain(item, f"{path}/{key}") for key, item in value.items()}
    if kind in (list, tuple):
        return [plain(item, f"{path}/{position}") for position, item in enumerate(value)]
    return plain(_simpler(value, path), path)


def _number(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise NotJson(f"{path or '/'} is {value}, which JSON doesn't know")
    return value


def _key(key: Any, path: str) -> str:
    if type(key) is not str:
        raise NotJson(f"{path or '/'} has the key {key!r}, which is {type(key).__name__}; JSON's keys are texts")
    return key


def _simpler(value: Any, path: str) -> Any:
    """One step towards JSON: dataclass, pydantic model, instant, subclass of a plain type; the rest is pydantic's."""
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    if hasattr(value, "__pydantic_serializer__"):
        return value.model_dump(mode="json", by_alias=True)
    if hasattr(value, "isoformat"):
        text = value.isoformat()
        return text[:-6] + "Z" if text.endswith("+00:00") else text
    for kind in (dict, str, int, float, list, tuple):
        if isinstance(value, kind) and not hasattr(value, "_value_"):  # an enum's member is pydantic's
            return _exactly(kind, value)
    return _by_pydantic(value, path)


def _exactly(kind: type, value: Any) -> Any:
    convert: Callable[[Any], Any] = kind
    return kind.__str__(value) if kind is str else convert(value)


def _by_pydantic(value: Any, path: str) -> Any:
    from pydantic_core import PydanticSerializationError, to_jsonable_python  # noqa: PLC0415 -- rare, and heavy

    try:
        simpler = to_jsonable_python(value)
    except (PydanticSerializationError, ValueError) as error:
        raise NotJson(f"{path or '/'} is {type(value).__name__}, which has no form in JSON") from error
    if type(simpler) is type(value):
        raise NotJson(f"{path or '/'} is {type(value).__name__}, which has no form in JSON")
    return simpler
