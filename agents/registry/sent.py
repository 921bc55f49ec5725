"""`apply` for files that were sent rather than found: they are written to a folder of their own, applied as any other, and gone.

Knows no encoding of a request. Called by the API.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from agents.errors import ArtifactRefused
from agents.spec import Problem
from audit.actors import Actor

from .applying import apply_folder
from .changes import Applied
from .folders import MAX_BYTES, MAX_FILES, write_out

FILE_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,15}"
"""A plain relative name: no hidden file, nothing that leads out."""


def apply_files(files: Mapping[str, bytes], *, actor: Actor, name: str = "sent", publish: bool = False, dry_run: bool = False) -> Applied:
    """As `apply_folder`; `name` stands for the folder in problems and in the ledger. ArtifactRefused also for odd names."""
    if problems := _odd(files):
        raise ArtifactRefused(None, problems=problems)
    with tempfile.TemporaryDirectory(prefix="orchestra-sent-") as scratch:
        folder = Path(scratch) / name
        folder.mkdir()
        write_out(files, folder)
        return apply_folder(folder, actor=actor, publish=publish, dry_run=dry_run)


def _odd(files: Mapping[str, bytes]) -> list[Problem]:
    if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_BYTES:
        return [Problem("files", 1, f"{len(files):,} files with {sum(map(len, files.values())):,} bytes; at most {MAX_FILES:,} and {MAX_BYTES:,}")]
    wrong = [name for name in files if not re.fullmatch(FILE_NAME, name)]
    within = [name for name in files if any(str(parent) in files for parent in PurePosixPath(name).parents)]
    return [
        *(Problem(ascii(name)[:100], 1, "is no relative name of letters, digits, _ . - with / between") for name in wrong),
        *(Problem(name, 1, "lies below another file") for name in within if name not in wrong),
    ]
