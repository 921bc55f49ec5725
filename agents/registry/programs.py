"""What a command names: which of its words are files of the folder, whether its program is there, and what makes it the same as another.

Runs nothing. Called by preparing, with the folder as it was taken; the child resolves words by the same rule when it runs them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import posixpath
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

INTERPRETER = "python"


def problems_of(argv: Sequence[str], code: Mapping[str, bytes]) -> Iterator[tuple[int, str]]:
    """What would keep this command from being started, each with the word's index."""
    for index, word in enumerate(argv):
        if word.startswith(("./", "../")) and file_of(word, code) is None:
            yield (
                index,
                f"the folder has no file {word!r}; what begins with ./ is a file of the folder that is applied (hidden and .yaml files are not kept)",
            )
    program, script = argv[0], file_of(argv[0], code)
    if script is not None and not code[script].startswith((b"#!", b"\x7fELF")) and b"\0" not in code[script][:1024]:
        yield 0, f"{program!r} does not say what runs it; begin it with a line such as #!/bin/sh, or write [{INTERPRETER}, {program}]"
    if script is None and not program.startswith(("./", "../")) and program != INTERPRETER and shutil.which(program) is None:
        yield 0, f"there is no program {program!r} here: it is not on the PATH and no file of the folder; install it, or correct the name"
    if program == INTERPRETER and len(argv) > 2 and argv[1] == "-m" and not _is_installed(argv[2]):
        yield 2, f"there is no module {argv[2]!r} beside Orchestra; install it, or write [{INTERPRETER}, FILE] for a file of the folder"


def executable_of(argv: Sequence[str], code: Mapping[str, bytes]) -> dict[str, Any]:
    """What makes two commands the same (R4): files by their bytes, so that a copy under another name is one; other words as written."""
    return {"kind": "command", "argv": [_identity(index, word, code) for index, word in enumerate(argv)]}


def file_of(word: str, code: Mapping[str, bytes]) -> str | None:
    """The file of the folder that a word of a command names."""
    path = posixpath.normpath(word)
    return path if path in code else None


def _identity(index: int, word: str, code: Mapping[str, bytes]) -> str | dict[str, str]:
    name = file_of(word, code)
    if name is not None:
        return {"file_digest": hashlib.sha256(code[name]).hexdigest()}
    program = shutil.which(word) if index == 0 and word != INTERPRETER else None
    return word if program is None else {"file_digest": _digest(Path(program))}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_installed(module: str) -> bool:
    """Looked up by its first name, which imports nothing."""
    try:
        return importlib.util.find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False
