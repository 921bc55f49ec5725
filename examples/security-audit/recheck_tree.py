"""The verifier's own look at the tree: which files there are, and what a line of one is. Shares nothing with the scanners.

The rules are those of the README: names that are left out, links that aren't followed, files passed over that are larger than 1 MiB or have a NUL
in their first 8 KiB.
"""

import hashlib
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote_to_bytes

import orchestra

LARGEST = 1 << 20
DEEPEST = 40
BEGINNING = 8192
IGNORED = {
    *(".git", ".hg", ".svn", ".bzr", "CVS", "_darcs"),
    *(".venv", "venv", ".tox", ".nox", "node_modules", ".eggs"),
    *("__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache", ".cache"),
}


@dataclass
class Tree:
    """What is there now: texts that scanners must have looked at, and everything that they may have passed over."""

    root: Path
    texts: set[str] = field(default_factory=set)
    passed_over: set[str] = field(default_factory=set)
    read: list[orchestra.Source] = field(default_factory=list)
    _contents: dict[str, bytes | None] = field(default_factory=dict)

    def content(self, path: str) -> bytes | None:
        """The file's bytes, read once and remembered as a source; None where it is no regular file of this tree."""
        if path not in self._contents:
            self._contents[path] = self._opened(path)
        return self._contents[path]

    def digest_of(self, path: str, line: int) -> str | None:
        """Of a line, or of the whole file for line 0; None where there is no such line."""
        data = self.content(path)
        if data is None or line == 0:
            return None if data is None else hashlib.sha256(data).hexdigest()
        text = self.line(path, line)
        return None if text is None else hashlib.sha256(text).hexdigest()

    def line(self, path: str, line: int) -> bytes | None:
        lines = (self.content(path) or b"").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        return lines[line - 1] if 0 < line <= len(lines) else None

    def _opened(self, path: str) -> bytes | None:
        full = Path(os.fsdecode(os.path.join(os.fsencode(self.root), unquote_to_bytes(path))))
        if full.resolve() != full or not full.is_relative_to(self.root) or not full.is_file():
            return None
        with full.open("rb") as file:
            data = file.read(LARGEST + 1)
        self.read.append(orchestra.Source(path, hashlib.sha256(data).hexdigest(), datetime.now(UTC)))
        return data


def look(path: str, exclude: list[str]) -> Tree:
    """Walks the tree by recursion, where the surveyor uses a stack."""
    root = Path(path).resolve()
    if not root.is_dir():
        raise orchestra.Missing(f"the tree {path!r} is gone")
    tree = Tree(root)
    _enter(root, "", 0, exclude, tree)
    return tree


def _enter(folder: Path, below: str, depth: int, exclude: list[str], tree: Tree) -> None:
    try:
        names = sorted(os.listdir(os.fsencode(folder)))
    except OSError:
        tree.passed_over.add(below)
        return
    for raw in names:
        name = shown(raw)
        path, full = f"{below}/{name}" if below else name, folder / os.fsdecode(raw)
        if full.is_symlink() or _matches(path, name, exclude):
            continue
        if full.is_dir():
            if name in IGNORED or (full / "pyvenv.cfg").exists():
                continue
            if depth < DEEPEST:
                _enter(full, path, depth + 1, exclude, tree)
            else:
                tree.passed_over.add(path)
        else:
            (tree.texts if _is_text(full) else tree.passed_over).add(path)


def _is_text(full: Path) -> bool:
    try:
        if not full.is_file() or full.stat().st_size > LARGEST:
            return False
        with full.open("rb") as file:
            return b"\0" not in file.read(BEGINNING)
    except OSError:
        return False


def _matches(path: str, name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) or fnmatchcase(path, pattern.strip("/")) for pattern in patterns)


def shown(raw: bytes) -> str:
    """The README's spelling of a name: printable characters as they are, every other byte, and %, as %XX."""
    shown = []
    for letter in raw.decode("utf-8", "surrogateescape"):
        if letter == "%" or not letter.isprintable():
            shown += [f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogateescape")]
        else:
            shown.append(letter)
    return "".join(shown)
