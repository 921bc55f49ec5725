"""Reads a function's schemas from its type hints, and compiles expressions, inside a child.

Must not be imported by the control plane: this is where a team's modules run their top level.
Called by the child's loop; tells the worker before each item, so that a crash has a name.
"""

import hashlib
import os
from typing import Any

from . import calling, failures, frames, link


def describe_all(folder: str, items: list[dict[str, str]]) -> None:
    calling.enter(folder)
    for position, item in enumerate(items):
        link.send({"started": position})
        result = _function(folder, item["function"]) if "function" in item else _expression(item["expression"])
        link.send({"described": position, "result": result})


def _expression(source: str) -> dict[str, Any]:
    import cel  # noqa: PLC0415 -- a native library that is only needed here

    try:
        cel.compile(source)
    except Exception as error:  # noqa: BLE001 -- whatever the compiler says is the finding
        return {"problem": failures.text_of(error) or type(error).__name__}
    return {"problem": None}


def _function(folder: str, name: str) -> dict[str, Any]:
    try:
        function = calling.find(name)
    except BaseException as error:  # noqa: BLE001 -- a module's top level may raise anything, SystemExit too
        return {"problems": [_why_not_found(name, error, folder)]}
    defined = function
    while hasattr(defined, "__wrapped__"):
        defined = defined.__wrapped__
    return _describe(folder, name, function, defined)


def _why_not_found(name: str, error: BaseException, folder: str) -> str:
    if isinstance(error, failures.Stopped):
        return error.message
    where = failures.trail(error, folder)
    at = f" ({where[-1]})" if where else ""
    return f"{name} can't be imported: {type(error).__name__}: {failures.text_of(error)}{at}{_meant(error, name, folder)}"


def _meant(error: BaseException, name: str, folder: str) -> str:
    """Which module of the folder, where the one that is named isn't there at all."""
    module = name.partition(":")[0]
    if not isinstance(error, ModuleNotFoundError) or error.name != module or "." in module:
        return ""
    return calling.near(module, [file.removesuffix(".py") for file in os.listdir(folder) if file.endswith(".py")])


def _describe(folder: str, name: str, function: Any, defined: Any) -> dict[str, Any]:
    code = defined.__code__
    if not code.co_filename.startswith(folder.rstrip("/") + "/"):
        return {"problems": [f"{name} is defined in {code.co_filename}, outside the folder"]}
    file = code.co_filename[len(folder) :].lstrip("/")
    where = f"{file}:{code.co_firstlineno}"
    found: dict[str, Any] = {"file": file, "line": code.co_firstlineno, "defined_as": defined.__qualname__, "problems": []}
    with open(code.co_filename, "rb") as source:
        found["file_digest"] = hashlib.sha256(source.read()).hexdigest()
    found["input"], found["input_problem"] = _schema(_input_schema, function, where)
    found["output"], found["output_problem"] = _schema(_output_schema, function, where)
    return found


def _schema(reader: Any, function: Any, where: str) -> tuple[Any, str | None]:
    try:
        schema = reader(function)
        frames.to_json(schema)  # a default of NaN would not pass
    except failures.Stopped as problem:
        return None, f"{where}: {problem.message}"
    except Exception as error:  # noqa: BLE001 -- hints are a team's code, and pydantic evaluates them
        return None, f"{where}: its type hints give no schema: {type(error).__name__}: {(failures.text_of(error).splitlines() or [''])[0]}"
    return schema, None


def _input_schema(function: Any) -> dict[str, Any]:
    import inspect  # noqa: PLC0415 -- only describing needs it

    from pydantic import TypeAdapter  # noqa: PLC0415

    hints = _hints(function)
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise _no(f"parameter {parameter} of {function.__name__}: arguments are given by name, one by one")
        if name not in hints:
            raise _no(f"parameter {name!r} of {function.__name__} has no type hint")
    schema = TypeAdapter(function).json_schema()
    return {"type": "object", "properties": {}, **schema, "additionalProperties": False}


def _output_schema(function: Any) -> dict[str, Any]:
    from pydantic import TypeAdapter  # noqa: PLC0415

    hints = _hints(function)
    if "return" not in hints:
        raise _no(f"{function.__name__} has no return type hint")
    result: Any = hints["return"]
    return TypeAdapter(result).json_schema(mode="serialization")


def _hints(function: Any) -> dict[str, Any]:
    from typing import get_type_hints  # noqa: PLC0415

    return get_type_hints(function, include_extras=True)


def _no(message: str) -> failures.Stopped:
    return failures.Stopped("contract", message)
