"""How a command is typed in this installation, so that what a command says to type can be typed as it stands.

Knows no command. Pages and REST go on to say `manage.py …`: they are read where no shell is. Called by commands and by the demonstration.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
_MENTIONED: Final = re.compile(r"(?<![\w./-])(?<!python )manage\.py(?= (?:[a-z]|COMMAND))")


@cache
def manage() -> str:
    """`python manage.py`, with the interpreter that runs this; both with their whole paths where it is typed in another folder."""
    here = Path.cwd() == ROOT
    program = interpreter(Path(sys.executable), shutil.which("python"), here=here)
    return f"{program} {'manage.py' if here else shlex.quote(str(ROOT / 'manage.py'))}"


def interpreter(runs: Path, found: str | None, *, here: bool = True) -> str:
    """As short as a shell takes it. `found`: what it would run for `python`, None where that is nothing; `here`: in the project's folder."""
    if found is not None and _is_same(Path(found).absolute(), runs):
        return "python"
    return shlex.quote(str(runs.relative_to(ROOT) if here and runs.is_relative_to(ROOT) else runs))


def _is_same(one: Path, other: Path) -> bool:
    """An environment's interpreter is a link to one that is not in it."""
    return one.parent == other.parent and one.resolve() == other.resolve()


def typeable(said: str) -> str:
    """A sentence of ours, with every `manage.py COMMAND` in it as it is typed here."""
    return _MENTIONED.sub(lambda _: manage(), said)
