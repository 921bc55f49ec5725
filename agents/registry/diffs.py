"""What changed in the code that agents run, file by file, for whoever decides about it: made once, shown by every door in its own way.

Bounded, and never silent: what is cut, too large or no text is named with how much of it there is. No file takes the room of another: each has
its share. Called by the use-cases that show changes.
"""

from __future__ import annotations

import difflib
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice, takewhile
from typing import Final

from agents.errors import ArtifactRefused
from agents.models import Artifact
from audit.visible import visible

from .changes import CodeChange, FieldChange, FileChange
from .folders import unzip

MOST_FILES: Final = 100
MOST_LINES: Final = 400
MOST_CHARACTERS: Final = 64 * 1024
LONGEST_LINE: Final = 1_000
LARGEST_FILE: Final = 128 * 1024
MOST_LINES_OF_A_FILE: Final = 2_000
"""Comparing takes more than twice as long for twice as many lines; a file that is longer is named only."""
MOST_COMPARED: Final = 8_000
"""So many lines of all files together, before and after: some seconds at the worst. The rest is shown as replaced."""
_AROUND: Final = 3
_FOLDER: Final = "artifact"

File = tuple[str, bytes | None, bytes | None]
"""A path, and what stands there before and after; None where there was or is no such file."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much is shown and compared, of all files together."""

    lines: int = MOST_LINES
    characters: int = MOST_CHARACTERS
    files: int = MOST_FILES
    compared: int = MOST_COMPARED


@dataclass(frozen=True, slots=True)
class Folders:
    """Two folders by digest, the agents that run from them, and their files; None of one that can't be read. Without an `old` one all is new."""

    agents: Sequence[str]
    old: str | None
    new: str
    before: Mapping[str, bytes] | None
    after: Mapping[str, bytes] | None


def folders_of(changed: Iterable[tuple[str, Sequence[FieldChange]]]) -> list[Folders]:
    """Of agents with their changed fields, those whose folder is another one, or their first: each pair of folders once, with the agents that run
    from it. Files that are not run any more are nobody's to read again."""
    agents: dict[tuple[str | None, str], list[str]] = {}
    for name, fields in changed:
        for field in fields:
            if field.path == _FOLDER and field.new:
                agents.setdefault((field.old or None, field.new), []).append(name)
    return [Folders(names, old, new, {} if old is None else _files(old), _files(new)) for (old, new), names in agents.items()]


def code_changes(folders: Iterable[Folders]) -> tuple[CodeChange, ...]:
    """Compare them. It takes its time: call it in no transaction that others wait for."""
    room, changed = Room(), [(each, _differing(each)) for each in folders]
    counts = shares(room.files, [len(files) for _, files in changed])
    made = iter(file_changes([file for (_, files), count in zip(changed, counts, strict=True) for file in files[:count]], room))
    return tuple(
        CodeChange(tuple(each.agents), each.old, each.new, tuple(islice(made, count)), len(files) - count, each.before is None or each.after is None)
        for (each, files), count in zip(changed, counts, strict=True)
    )


def _differing(folders: Folders) -> list[File]:
    before, after = folders.before, folders.after
    if before is None or after is None:
        return []
    return [(path, before.get(path), after.get(path)) for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]


def _files(digest: str) -> Mapping[str, bytes] | None:
    """None for what is not there, or is no folder that was stored here."""
    row = Artifact.objects.filter(digest=digest).first()
    try:
        return None if row is None else unzip(bytes(row.data))
    except (ArtifactRefused, zipfile.BadZipFile, ValueError, OSError):
        return None


def shares(room: int, wanted: Sequence[int]) -> list[int]:
    """How much each gets: the same, and what the small ones leave over goes to the others."""
    given = [0] * len(wanted)
    for place, index in enumerate(sorted(range(len(wanted)), key=lambda index: wanted[index])):
        given[index] = min(wanted[index], room // (len(wanted) - place))
        room -= given[index]
    return given


def file_changes(files: Sequence[File], room: Room) -> list[FileChange]:
    """Each as a unified diff, as far as its share of the lines and of the characters goes."""
    whole = _compared(files, room)
    lines = shares(room.lines, [len(change.lines) for change in whole])
    cut = [_cut(change, share) for change, share in zip(whole, lines, strict=True)]
    characters = shares(room.characters, [sum(map(len, change.lines)) for change in cut])
    return [_cut(change, _fitting(change.lines, share)) for change, share in zip(cut, characters, strict=True)]


def _cut(change: FileChange, most: int) -> FileChange:
    return replace(change, lines=change.lines[:most], left_out=change.left_out + max(len(change.lines) - most, 0))


def _fitting(lines: Sequence[str], characters: int) -> int:
    return sum(total <= characters for total in accumulate(map(len, lines)))


def _compared(files: Sequence[File], room: Room) -> list[FileChange]:
    """Those of few lines first, so that the long ones don't take their time."""
    made: dict[int, FileChange] = {}
    costs, left = [_cost(file) for file in files], room.compared
    for index in sorted(range(len(files)), key=lambda index: costs[index]):
        in_time = costs[index] <= left
        made[index] = _file_change(*files[index], room.lines, in_time=in_time)
        left -= costs[index] if in_time and made[index].lines else 0
    return [made[index] for index in range(len(files))]


def _cost(file: File) -> int:
    """Lines that have to be compared: none of what is all new, or all gone."""
    _, before, after = file
    return 0 if before is None or after is None else before.count(b"\n") + after.count(b"\n") + 2


def _file_change(path: str, before: bytes | None, after: bytes | None, most: int, *, in_time: bool) -> FileChange:
    """With the first lines of it, which is all that could be shown."""
    what = "added" if before is None else "removed" if after is None else "changed"
    one, other = _lines(before), _lines(after)
    size = f"{len(before or b''):,} bytes, now {len(after or b''):,}"
    if one is None or other is None:
        return FileChange(path, what, f"not a text: {size}")
    if max(len(before or b""), len(after or b"")) > LARGEST_FILE or max(len(one), len(other)) > MOST_LINES_OF_A_FILE:
        return FileChange(path, what, f"too large to be compared here: {size}")
    lines = list(_unified(one, other)) if in_time else _replaced(one, other)
    return FileChange(path, what, "", tuple(_shown(line) for line in lines[:most]), max(len(lines) - most, 0))


def _lines(data: bytes | None) -> list[str] | None:
    """None for what is no text; of no file none. Lines end with what a file's own do, so that no two files are shown alike."""
    if data is None:
        return []
    try:
        return None if b"\0" in data else data.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return None


def _unified(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Without the two lines of a head."""
    found = difflib.unified_diff(list(before), list(after), n=_AROUND, lineterm="")
    return (line for number, line in enumerate(found) if number > 1)


def _replaced(before: list[str], after: list[str]) -> list[str]:
    """A unified diff that takes no time: all between the first and the last difference is gone and new."""
    start = _alike(before, after)
    end = _alike(before[start:][::-1], after[start:][::-1])
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    head = f"@@ -{start + bool(old)},{len(old)} +{start + bool(new)},{len(new)} @@"
    return [head, *(f"-{line}" for line in old), *(f"+{line}" for line in new)]


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """With how many of the same lines they begin."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _shown(line: str) -> str:
    sign, text = line[:1], line[1:]
    cut = f" (… of {len(text):,} characters)" if len(text) > LONGEST_LINE else ""
    return f"{sign}{visible(text, LONGEST_LINE)}{cut}"
