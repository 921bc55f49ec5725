"""Which files of a folder have the names of modules of Python itself.

A folder comes first on the import path of its child, so such a file is also what pydantic gets that asks for Python's own. What was loaded
before is never looked for again, so some of these names do no harm, by luck; none is allowed. Reads names only. Called by preparing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import all_suffixes
from typing import Final

from agents.spec import Problem

_TAKEN: Final = sys.stdlib_module_names - {"test"}
"""`test` holds Python's own tests, which nothing imports, and folders have tests too."""
_SUFFIXES: Final = sorted(all_suffixes(), key=len, reverse=True)


def shadows(files: Iterable[str]) -> Iterator[Problem]:
    """One problem for each. A folder without `__init__.py` comes after everything else, so it stands in nobody's place."""
    for file in sorted(files):
        first, _, rest = file.partition("/")
        name = _module(first) if not rest else first if _module(rest) == "__init__" else ""
        if name in _TAKEN:
            what = f"the folder {first!r}" if rest else f"{first!r}"
            yield Problem(file, 1, f"{what} has the name of a module of Python itself, so that imports take one for the other; rename it")


def _module(file: str) -> str:
    """By what name it would be imported; none where it is no module."""
    suffix = next((suffix for suffix in _SUFFIXES if file.endswith(suffix)), "")
    return file.removesuffix(suffix) if suffix else ""
