"""A tree of files that may be hostile: names as texts, what is left out by default, and reading without following links.

Used by the surveyor and the scanners. The verifier has rules of its own.
"""

import hashlib
import os
import stat
from urllib.parse import unquote_to_bytes

MAX_FILE = 1024 * 1024
LEFT_OUT = frozenset(
    ".git .hg .svn .bzr CVS _darcs .venv venv .tox .nox __pycache__ .mypy_cache .pytest_cache .ruff_cache .hypothesis "
    ".import_linter_cache .cache .eggs node_modules".split()
)


class Unreadable(Exception):
    """The message says why."""


def as_text(raw: bytes) -> str:
    """A name that can be shown and handed on: what isn't printable, or isn't UTF-8, as %XX, and so the % itself."""
    text = raw.decode("utf-8", "surrogateescape")
    return "".join(letter if letter.isprintable() and letter != "%" else _escaped(letter) for letter in text)


def as_bytes(text: str) -> bytes:
    """The name that as_text wrote."""
    return unquote_to_bytes(text)


def place(root: str, path: str) -> bytes:
    return os.path.join(as_bytes(root), as_bytes(path))


def read(root: str, path: str) -> bytes:
    """The bytes of a regular file below the root. Unreadable for a link on the way, a special file, or more than MAX_FILE."""
    full = place(root, path)
    if os.path.realpath(full) != full:
        raise Unreadable("leads out through a link")
    try:
        descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Unreadable(f"can't be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unreadable("is no file any more")
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise Unreadable(f"is larger than {MAX_FILE // 1024 // 1024} MiB")
    return data


def is_ours(folder: str) -> bool:
    """Whether a folder, if it is there, is one and our own: in a temporary folder that everybody shares, others can be first."""
    try:
        status = os.lstat(folder)
    except FileNotFoundError:
        return True
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


def lines_of(data: bytes) -> list[bytes]:
    """Lines as Python and editors count them: ended by LF, CR or both."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")


def line_digest(data: bytes, lines: list[bytes], line: int) -> tuple[int, str]:
    """The line's number and digest; 0 and the whole file's where a scanner names a line that isn't there."""
    if not 1 <= line <= len(lines):
        return 0, hashlib.sha256(data).hexdigest()
    return line, hashlib.sha256(lines[line - 1]).hexdigest()


def _escaped(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogateescape"))
