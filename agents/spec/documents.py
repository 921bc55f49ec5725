"""What reading a folder of YAML yields: documents, problems and the lines they stand on.

Values only; knows neither YAML nor the rules of publishing. Used by the readers beside it, the registry and validation.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
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
class Unread:
    """What of a document's normal form isn't what its writer meant, which a problem says already: nothing more is to be made of it.

    `names` are ids and loop names that expressions may use all the same; "" among them where not even the name can be read.
    """

    paths: frozenset[Path] = frozenset()
    names: frozenset[str] = frozenset()

    def holds(self, path: Path) -> bool:
        """Whether the value at `path` is, or is part of, what can't be read."""
        return any(path[:length] in self.paths for length in range(len(path) + 1))

    def touches(self, path: Path, *, apart_from: frozenset[str] = frozenset()) -> bool:
        """Whether anything at `path` or in it can't be read, besides what stands under these keys of it."""
        return self.holds(path) or bool(self._inside.get(path, frozenset()) - apart_from)

    @cached_property
    def _inside(self) -> Mapping[Path, Set[str | int]]:
        """Below which keys of a path something can't be read."""
        inside: dict[Path, set[str | int]] = {}
        for path in self.paths:
            for length, key in enumerate(path):
                inside.setdefault(path[:length], set()).add(key)
        return inside

    def may_be(self, name: str) -> bool:
        """Whether this may be the name of something that couldn't be read, as it was written or as it was meant."""
        written = [one.lower() for one in self.names]
        return "" in self.names or bool(get_close_matches(name.lower(), written, n=1))


@dataclass(frozen=True)
class Document:
    """One YAML document in its normal form; `lines` maps a path into `spec` to the line it came from."""

    kind: str
    name: str
    file: str
    line: int
    spec: dict[str, Any]
    lines: Mapping[Path, int] = field(default_factory=dict)
    unread: Unread = Unread()

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
    rough: tuple[Document, ...] = ()
    """Those of the documents left out that can be judged further, except for what in them is unread. Nothing of them is ever stored."""

    def every(self, *kinds: str) -> list[Document]:
        """The documents of these kinds, rough ones too: whatever is only judged."""
        lists = {"team": self.teams, "agent": self.agents, "pipeline": self.pipelines, "model": self.models, "policy": self.policies}
        return [one for kind in kinds for one in (*lists[kind], *(rough for rough in self.rough if rough.kind == kind))]

    def may_hold(self, name: str) -> bool:
        """Whether a document of this name may be among those that were left out: that it isn't there is no problem of its own."""
        return name in self.spoilt or "" in self.spoilt
