"""What applying or rolling back did, as values that a door can print or serialise.

Pure. Built by the use-cases beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agents.models import Proposal
from agents.spec import Problem

_TEXTS: Final = ("artifact", "executable.instructions")
"""The fields of a spec that name, by its digest, what somebody has written at length."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field's old and new value; None where there was or is none."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that was added, removed or changed: lines of a unified diff made visible, of which `left_out` more are not shown.

    `note` says why a file is named only: it is no text, or too large.
    """

    path: str
    what: str
    note: str = ""
    lines: tuple[str, ...] = ()
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class CodeChange:
    """The folder, by its digest, that some agents run from and the one that they would: the files in which they differ, and how many more do.

    `old`: None where they run from none yet; then every file is added.
    """

    agents: tuple[str, ...]
    old: str | None
    new: str
    files: tuple[FileChange, ...] = ()
    more_files: int = 0
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one object: `created`, `changed`, `published` (a draft that was there already) or `unchanged`.

    `version` is the number that the object now stands at (None for kinds without versions), `draft` whether that
    version is not published.
    """

    kind: str
    name: str
    action: str
    version: int | None = None
    draft: bool = False
    fields: tuple[FieldChange, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MadeRelease:
    """A release that became current: of which pipeline, the numbers that it pins, and the release that ran before."""

    pipeline: str
    version: int
    digest: str
    agents: Mapping[str, int]
    instead_of: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    """Model aliases, and what each of them stands for."""


@dataclass(slots=True)
class Applied:
    """All that one `apply` did, or would do."""

    dry_run: bool
    publish: bool
    changes: list[Change] = field(default_factory=list)
    releases: list[MadeRelease] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    pending: list[MadeRelease] = field(default_factory=list)
    """Without `publish`: the releases that publishing would put in the place of what pipelines run now."""
    code: tuple[CodeChange, ...] = ()
    """What changed in the code of the agents whose version is another one than before."""
    asks: str | None = None
    """Who has to say yes first, to all or some of it."""
    proposal: Proposal | None = None
    """Where people decide what is published: what was put to them; all of it is stored as drafts."""
    denied: list[str] = field(default_factory=list)
    """What runs already and will be refused once the permissions are published, as they are with `publish`: a sentence each."""

    @property
    def unchanged(self) -> bool:
        """Whether nothing at all was written."""
        return not self.releases and all(change.action == "unchanged" for change in self.changes)

    @property
    def unpublished(self) -> list[Change]:
        """The objects whose newest version is a draft."""
        return [change for change in self.changes if change.draft]


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What one rollback did; `releases` are those that pipelines run now, `forward` says that the target is the newer one.

    For a pipeline also its two releases, and in `keep` the agents whose permissions in force are not those of the target.
    `elsewhere` counts the new releases of pipelines that aren't shown to whoever rolled back.
    """

    kind: str
    name: str
    from_version: int
    to_version: int
    releases: tuple[MadeRelease, ...]
    forward: bool = False
    from_release: str | None = None
    to_release: str | None = None
    keep: tuple[str, ...] = ()
    elsewhere: int = 0


@dataclass(frozen=True, slots=True)
class Published:
    """What one publication did: the drafts of agents that went with it, the release that runs now, the pipelines that `stay` as they were.

    Pipelines that aren't shown to whoever published are only counted: `stay_elsewhere`. `denied`: what ran already and is refused from now on.
    """

    kind: str
    name: str
    from_version: int | None
    to_version: int
    agents: tuple[tuple[str, int], ...] = ()
    releases: tuple[MadeRelease, ...] = ()
    stay: tuple[str, ...] = ()
    stay_elsewhere: int = 0
    denied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pin:
    """An agent of a pipeline whose version would change: what runs now (None if it is not among them), what would run, and what differs."""

    name: str
    running: int | None
    version: int
    fields: tuple[FieldChange, ...] = ()
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """What a publication would do: fields that differ from what runs now, agents whose version changes, and what forbids it.

    `unchanged` says that what would be published runs already; `seen` is the digest of what would be published, for `publish` to hold to.
    `denied`: what runs elsewhere already and would be refused from then on.
    """

    kind: str
    name: str
    from_version: int | None
    to_version: int
    fields: tuple[FieldChange, ...] = ()
    pins: tuple[Pin, ...] = ()
    problems: tuple[Problem, ...] = ()
    unchanged: bool = False
    seen: str = ""
    code: tuple[CodeChange, ...] = ()
    denied: tuple[str, ...] = ()
    asks: str | None = None
    """Who has to say yes first: publishing proposes it to them."""


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """The leaves in which two nested values differ, by dotted path, in the order of their names."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    paths = sorted(before.keys() | after.keys())
    return tuple(FieldChange(path, before.get(path), after.get(path)) for path in paths if _written(before, path) != _written(after, path))


def overlap(old: Mapping[str, Any], one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both change the old value in the same way somewhere. Two changes of its code or instructions do, whatever they differ in."""
    return bool(_moves(old, one) & _moves(old, other))


def _moves(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[tuple[str, str]]:
    moved = [(change.path, change.new) for change in compare(old, new)]
    return {(path, "" if path in _TEXTS and value is not None else json.dumps(value, sort_keys=True, default=str)) for path, value in moved}


def _written(leaves: Mapping[str, Any], path: str) -> str | None:
    """As JSON, in which `true` is not `1`; None where there is no such leaf, which is not the same as null."""
    return json.dumps(leaves[path], sort_keys=True, default=str) if path in leaves else None


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value
