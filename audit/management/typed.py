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
    """`python manage.py`, with the interpreter that runs this."""
    return f"{interpreter(Path(sys.executable), shutil.which('python'))} manage.py"


def interpreter(runs: Path, found: str | None) -> str:
    """As short as a shell takes it in the project's folder. `found`: what it would run for `python`, None where that is nothing."""
    if found is not None and Path(found).absolute().parent == runs.parent:
        return "python"
    return shlex.quote(str(runs.relative_to(ROOT) if runs.is_relative_to(ROOT) else runs))


def typeable(said: str) -> str:
    """A sentence of ours, with every `manage.py COMMAND` in it as it is typed here."""
    return _MENTIONED.sub(lambda _: manage(), said)
