"""What a tree declares: the names in requirements files and pyproject.toml, each with the line that says it.

Reads texts only; knows no licence and no installed distribution.
"""

import re
import tomllib
from collections.abc import Iterator
from typing import Any, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement

_COMMENT = re.compile(r"(?:^|\s)#.*")
_OPTIONS = re.compile(r"\s--?[a-z][a-z-]*(?:[ =]\S+)?")


class Declaration(NamedTuple):
    """A requirement and its line; `requirement` is None where the line can't be read."""

    line: int
    requirement: Requirement | None


def declarations(path: str, lines: list[str]) -> Iterator[Declaration]:
    """Every requirement of one file."""
    return _of_project(lines) if path.endswith(".toml") else _of_requirements(lines)


def _of_requirements(lines: list[str]) -> Iterator[Declaration]:
    goes_on = False
    for number, line in enumerate(lines, start=1):
        is_first, goes_on = not goes_on, line.rstrip().endswith("\\")
        text = _OPTIONS.sub("", _COMMENT.sub("", line).rstrip().rstrip("\\")).strip()
        if is_first and text and not text.startswith("-"):
            yield Declaration(number, _requirement(text))


def _of_project(lines: list[str]) -> Iterator[Declaration]:
    try:
        project = tomllib.loads("\n".join(lines))
    except (tomllib.TOMLDecodeError, RecursionError):
        yield Declaration(0, None)
        return
    for text in _texts(project):
        number = next((number for number, line in enumerate(lines, start=1) if text in line), 0)
        yield Declaration(number, _requirement(text))


def _texts(project: dict[str, Any]) -> Iterator[str]:
    own = _table(project, "project")
    groups = [own.get("dependencies"), _table(project, "build-system").get("requires")]
    groups += [*_table(own, "optional-dependencies").values(), *_table(project, "dependency-groups").values()]
    for group in groups:
        yield from (text for text in group or () if isinstance(group, list) and isinstance(text, str))


def _table(holder: dict[str, Any], name: str) -> dict[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None
