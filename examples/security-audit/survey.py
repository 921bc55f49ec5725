"""The surveyor: walks the tree, says what there is to look at and what not, and where the report goes.

Follows no link. Fails rather than looks at a part only: what it can't look at is listed, within limits.
"""

import os
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from records import Gap, Survey
from tree import LEFT_OUT, MAX_FILE, as_text, is_ours

import orchestra

MAX_FILES = 20_000
MAX_DEPTH = 40
MAX_GAPS = 1_000
MAX_BYTES = 256 * 1024 * 1024
PORTIONS = 8
WORTH_SPLITTING = 64 * 1024
START = 8 * 1024


class Seen(NamedTuple):
    """A file to look at."""

    path: str
    size: int
    binary: bool


def survey(path: str, exclude: list[str], report: str) -> Survey:
    """`exclude`: names or paths below the tree, `*` and `?` allowed. `report`: a file to write; empty for one in the temporary folder."""
    root = _root(path)
    found = _Walk(root, exclude)
    files = sorted(found.files())
    text = [one for one in files if not one.binary]
    python = [one for one in text if one.path.endswith((".py", ".pyi"))]
    return {
        "root": as_text(root),
        "report": _report(root, exclude, report),
        "files": len(files),
        "python": len(python),
        "binary": len(files) - len(text),
        "links": found.links,
        "excluded": sorted(found.excluded),
        "code": _portions(python),
        "text": _portions(text),
        "declarations": [one.path for one in text if _declares(one.path)],
        "gaps": sorted(found.gaps, key=lambda gap: gap["path"]),
    }


def _root(path: str) -> bytes:
    root = os.path.realpath(os.fsencode(path))
    if not os.path.lexists(root):
        raise orchestra.Missing(f"there is no folder {path!r}")
    if not os.path.isdir(root):
        raise orchestra.Missing(f"{path!r} is not a folder; give the folder that is to be audited")
    return root


class _Walk:
    """One pass over the tree, with what it met on the way."""

    def __init__(self, root: bytes, exclude: list[str]) -> None:
        self.root, self.exclude = root, exclude
        self.links, self.total, self.seen = 0, 0, 0
        self.gaps: list[Gap] = []
        self.excluded: set[str] = set()

    def files(self) -> Iterator[Seen]:
        pending: list[tuple[bytes, int]] = [(b"", 0)]
        while pending:
            below, depth = pending.pop()
            for entry in self._entries(below):
                name = os.path.join(below, entry.name)
                if entry.is_symlink():
                    self.links += 1
                elif entry.is_dir(follow_symlinks=False):
                    if not self._left_out(name, entry):
                        pending += [(name, depth + 1)] if self._is_reachable(name, depth) else []
                elif not is_excluded(as_text(name), self.exclude):
                    yield from self._file(name, entry)

    def _entries(self, below: bytes) -> list["os.DirEntry[bytes]"]:
        try:
            with os.scandir(os.path.join(self.root, below)) as scan:
                return list(scan)
        except OSError as error:
            if not below:
                raise orchestra.Missing(f"the folder can't be read: {error.strerror}") from None
            self._gap(below, f"can't be read: {error.strerror}")
            return []

    def _left_out(self, name: bytes, entry: "os.DirEntry[bytes]") -> bool:
        text = as_text(name)
        left_out = as_text(entry.name) in LEFT_OUT or is_excluded(text, self.exclude) or os.path.exists(os.path.join(entry.path, b"pyvenv.cfg"))
        if left_out and as_text(entry.name) not in {"__pycache__", ".git"}:
            self.excluded.add(text)
        return left_out

    def _is_reachable(self, name: bytes, depth: int) -> bool:
        if depth + 1 > MAX_DEPTH:
            self._gap(name, f"lies more than {MAX_DEPTH} folders deep")
        return depth + 1 <= MAX_DEPTH

    def _file(self, name: bytes, entry: "os.DirEntry[bytes]") -> Iterator[Seen]:
        self.seen += 1
        if self.seen > MAX_FILES:
            raise orchestra.Failure("refused", f"the tree has more than {MAX_FILES:,} files; audit a part of it, or exclude what isn't source")
        if not entry.is_file(follow_symlinks=False):
            self._gap(name, "is neither a file nor a folder")
            return
        size = entry.stat(follow_symlinks=False).st_size
        if size > MAX_FILE:
            self._gap(name, f"is larger than {MAX_FILE // 1024 // 1024} MiB")
            return
        self.total += size
        if self.total > MAX_BYTES:
            raise orchestra.Failure(
                "refused", f"the tree has more than {MAX_BYTES // 1024 // 1024} MiB; audit a part of it, or exclude what isn't source"
            )
        try:
            with Path(os.fsdecode(entry.path)).open("rb") as file:
                start = file.read(START)
        except OSError as error:
            self._gap(name, f"can't be read: {error.strerror}")
            return
        yield Seen(as_text(name), size, b"\0" in start)

    def _gap(self, name: bytes, why: str) -> None:
        if len(self.gaps) >= MAX_GAPS:
            raise orchestra.Failure("refused", f"more than {MAX_GAPS:,} files can't be looked at, the last one {as_text(name)!r}: it {why}")
        self.gaps.append({"path": as_text(name), "why": why})


def is_excluded(path: str, patterns: list[str]) -> bool:
    """Whether a path, or its last name, is one of the patterns."""
    return any(fnmatchcase(path, pattern.strip("/")) or fnmatchcase(path.rpartition("/")[2], pattern) for pattern in patterns)


def _declares(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name == "pyproject.toml" or (name.startswith("requirements") and name.endswith((".txt", ".in", ".lock")))


def _portions(files: list[Seen]) -> list[list[str]]:
    """About as much work in each, as many as there are processors: the largest first, each to the portion that has least."""
    wanted = max(1, min(os.cpu_count() or 1, PORTIONS, sum(one.size for one in files) // WORTH_SPLITTING + 1, len(files)))
    portions: list[list[str]] = [[] for _ in range(wanted)]
    weights = [0] * wanted
    for one in sorted(files, key=lambda one: (-one.size, one.path)):
        least = weights.index(min(weights))
        portions[least].append(one.path)
        weights[least] += one.size + 1
    return [sorted(portion) for portion in portions if portion]


def _report(root: bytes, exclude: list[str], report: str) -> str:
    """The absolute path of the report: never inside what is audited."""
    if report:
        folder, name = os.path.split(os.path.abspath(report))
        if not os.path.isdir(folder):
            raise orchestra.Missing(f"the report can't be written: there is no folder {folder!r}")
    else:
        folder, name = os.path.join(tempfile.gettempdir(), f"security-audit-{os.getuid()}"), f"{orchestra.context().get('run', 'report')}.md"
        if not is_ours(folder):
            raise orchestra.Failure("refused", f"{folder!r} is somebody else's; say another place with report=FILE")
    full = os.path.join(os.path.realpath(folder), name)
    inside = os.path.relpath(os.fsencode(full), root)
    if not inside.startswith(b"..") and not _below_excluded(as_text(inside), exclude):
        raise orchestra.Failure(
            "refused", f"the report {full!r} would lie in the tree that is audited; say another place with report=FILE, or exclude its folder"
        )
    return full


def _below_excluded(path: str, exclude: list[str]) -> bool:
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts))]
    return any(is_excluded(one, exclude) or one.rpartition("/")[2] in LEFT_OUT for one in above)
