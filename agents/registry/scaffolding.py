"""`new pipeline NAME`: a folder that applies, runs and verifies as it is, for a team to change.

Writes files and no row. The files lie beside this one, in scaffold/. Called by the new command.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from audit.errors import Conflict, Invalid

SCAFFOLD = Path(__file__).with_name("scaffold")
# The longest name that the scaffold derives from it ends in -auditor and has to stay within 63 characters.
MAX_NAME = 63 - len("-auditor")
_NAME = re.compile(r"[a-z][a-z0-9-]*")


class NameInvalid(Invalid):
    """A name is lower-case letters, digits and hyphens, and begins with a letter: monthly-report."""

    code = "name-invalid"


def new_pipeline(name: str, *, folder: Path, team: str = "dev") -> list[Path]:
    """Write the scaffold into `folder`, which must not exist or be empty; returns the files written."""
    check_name(name, "pipeline")
    check_name(team, "team")
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise Conflict(f"{folder} exists already and nothing in it was touched; name another with --folder, or move it away")
    folder.mkdir(parents=True, exist_ok=True)
    said = {"@NAME@": name, "@TEAM@": team, "@FOLDER@": shlex.quote(str(folder))}
    written = []
    for template in sorted(SCAFFOLD.glob("*.txt")):
        text = template.read_text(encoding="utf-8")
        for placeholder, value in said.items():
            text = text.replace(placeholder, value)
        path = folder / template.name.removesuffix(".txt")
        with path.open("x", encoding="utf-8") as file:  # never over a file that appeared meanwhile
            file.write(text)
        written.append(path)
    return written


def check_name(name: str, what: str) -> None:
    """NameInvalid says which rule the name breaks, and a name near it that would do."""
    if _NAME.fullmatch(name) and len(name) <= MAX_NAME:
        return
    better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:MAX_NAME].rstrip("-")
    hint = f"; try {better}" if _NAME.fullmatch(better) else ""
    rule = f"lower-case letters, digits and hyphens, beginning with a letter, at most {MAX_NAME} characters"
    raise NameInvalid(f"'{name[:80]}' can't name a {what}: a name is {rule}{hint}")
