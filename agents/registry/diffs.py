"""What changed in the code that agents run, file by file, for whoever decides about it: made once, shown by every door in its own way.

Bounded, and never silent: what is cut, too large or no text is named with how much of it there is. Called by the use-cases that show changes.
"""

from __future__ import annotations

import difflib
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
"""So many lines of all files together, before and after: some seconds at the worst."""
_AROUND: Final = 3
_FOLDER: Final = "artifact"


@dataclass(slots=True)
class Room:
    """How much may still be shown and compared, of all files together."""

    lines: int = MOST_LINES
    characters: int = MOST_CHARACTERS
    files: int = MOST_FILES
    compared: int = MOST_COMPARED

    def takes(self, line: str) -> bool:
        if not self.lines or len(line) > self.characters:
            self.lines = 0
            return False
        self.lines, self.characters = self.lines - 1, self.characters - len(line)
        return True


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
    room = Room()
    return tuple(_changed(each, room) for each in folders)


def _changed(folders: Folders, room: Room) -> CodeChange:
    agents, old, new, before, after = folders.agents, folders.old, folders.new, folders.before, folders.after
    if before is None or after is None:
        return CodeChange(tuple(agents), old, new, unreadable=True)
    paths = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    shown = paths[: room.files]
    room.files -= len(shown)
    files = tuple(file_change(path, before.get(path), after.get(path), room) for path in shown)
    return CodeChange(tuple(agents), old, new, files, more_files=len(paths) - len(shown))


def _files(digest: str) -> Mapping[str, bytes] | None:
    """None for what is not there, or is no folder that was stored here."""
    row = Artifact.objects.filter(digest=digest).first()
    try:
        return None if row is None else unzip(bytes(row.data))
    except (ArtifactRefused, zipfile.BadZipFile, ValueError, OSError):
        return None


def file_change(path: str, before: bytes | None, after: bytes | None, room: Room) -> FileChange:
    """One file as a unified diff, as far as there is room; `before` or `after` is None where there was or is no such file."""
    what = "added" if before is None else "removed" if after is None else "changed"
    texts = [_lines(before), _lines(after)]
    size = f"{len(before or b''):,} bytes, now {len(after or b''):,}"
    if None in texts:
        return FileChange(path, what, f"not a text: {size}")
    one, other = ([] if lines is None else lines for lines in texts)
    if max(len(before or b""), len(after or b"")) > LARGEST_FILE or max(len(one), len(other)) > MOST_LINES_OF_A_FILE:
        return FileChange(path, what, f"too large to be compared here: {size}")
    if not room.lines or len(one) + len(other) > room.compared:
        return FileChange(path, what, f"not compared, the files before it are all that is shown here: {size}")
    room.compared -= len(one) + len(other)
    lines = [_shown(line) for line in _unified(one, other)]
    fit = next((number for number, line in enumerate(lines) if not room.takes(line)), len(lines))
    return FileChange(path, what, "", tuple(lines[:fit]), len(lines) - fit)


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


def _shown(line: str) -> str:
    sign, text = line[:1], line[1:]
    cut = f" (… of {len(text):,} characters)" if len(text) > LONGEST_LINE else ""
    return f"{sign}{visible(text, LONGEST_LINE)}{cut}"
