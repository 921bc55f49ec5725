"""What reading a folder of YAML yields: documents, problems and the lines they stand on.

Values only; knows neither YAML nor the rules of publishing. Used by the readers beside it, the registry and validation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One thing that stops a file from being applied: where it stands and what to do about it."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Document:
    """One YAML document in its normal form; `lines` maps a path into `spec` to the line it came from."""

    kind: str
    name: str
    file: str
    line: int
    spec: dict[str, Any]
    lines: Mapping[Path, int] = field(default_factory=dict)

    def line_of(self, path: Path) -> int:
        """The line of `path`, or of its nearest parent that has one."""
        for length in range(len(path), -1, -1):
            line = self.lines.get(path[:length])
            if line is not None:
                return line
        return self.line


@dataclass(frozen=True)
class Parsed:
    """Everything that a folder says, and everything that is wrong with it."""

    teams: list[Document]
    agents: list[Document]
    pipelines: list[Document]
    models: list[Document]
    problems: list[Problem]
    policies: list[Document] = field(default_factory=list)
    spoilt: frozenset[str] = frozenset()
    """The names of documents that were left out for a problem of their own; empty for one whose name can't be read either."""
