"""How the real code is broken on purpose, and mended again. Knows no mutant; `mutants` has them, tests and the command line ask for one.

An edit replaces a piece of a module's source that stands there exactly once: one that no longer fits its code says so. The changed
functions get their new code in place, so whoever has imported them runs it too.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import Any


@dataclass(frozen=True)
class Edit:
    """`constant` names the module's own value that the piece belongs to; else it stands in a function."""

    module: str
    old: str
    new: str
    constant: str = ""


@dataclass(frozen=True)
class Mutant:
    """What NOTICED_BY names a seed for."""

    name: str
    edits: tuple[Edit, ...]


class OutOfDate(Exception):
    """The code that an edit was written for has changed: write the edit anew."""


def _changed(module: ModuleType, edits: list[Edit]) -> str:
    source = inspect.getsource(module)
    for edit in edits:
        if source.count(edit.old) != 1:
            raise OutOfDate(f"{edit.old!r} stands {source.count(edit.old)} times in {edit.module}")
        source = source.replace(edit.old, edit.new)
    return source


def _codes(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    """Functions by qualified name, without those inside functions: they change with the outer one."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_flags & inspect.CO_OPTIMIZED:
                yield constant.co_qualname, constant
            else:  # the body of a class
                yield from _codes(constant)


def _function(module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        found = vars(found)[part]
    found = found.fget if isinstance(found, property) else found
    return inspect.unwrap(found.__func__ if isinstance(found, (classmethod, staticmethod)) else found)


def _put(function: Any, code: CodeType) -> Callable[[], None]:
    before = function.__code__
    function.__code__ = code

    def back() -> None:
        function.__code__ = before

    return back


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    by_module: dict[str, list[Edit]] = {}
    for edit in mutant.edits:
        by_module.setdefault(edit.module, []).append(edit)
    with ExitStack() as stack:
        changed = 0
        for name, edits in by_module.items():
            module = importlib.import_module(name)
            source = _changed(module, edits)
            now = dict(_codes(compile(inspect.getsource(module), str(module.__file__), "exec", dont_inherit=True)))
            for place, code in _codes(compile(source, str(module.__file__), "exec", dont_inherit=True)):
                if code != now.get(place):
                    changed += 1
                    stack.callback(_put(_function(module, place), code))
            for edit in (edit for edit in edits if edit.constant):
                changed += 1
                stack.callback(setattr, module, edit.constant, getattr(module, edit.constant))
                setattr(module, edit.constant, getattr(module, edit.constant).replace(edit.old, edit.new))
        if not changed:
            raise OutOfDate(f"'{mutant.name}' changes nothing")
        yield
