"""`python -m tests.chaos.launcher NAME FOLDER manage COMMAND… | door USE-CASE CALLS`: a process of the product with faults in it.

It begins when it is told to. FOLDER holds its faults (NAME.faults), that it is ready (NAME.ready) and that it may begin (NAME.go).
"""

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
PATIENCE_S = 120.0
"""Whoever is stopped goes on: the guard of an engine that stands still would end it first where that takes long."""


def main(name: str, folder: Path, what: str, *words: str) -> None:
    if sys.platform == "linux":  # whoever started us may be killed, and nothing of ours goes on then
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra_site.settings")
    import django

    django.setup()
    from django.core.management import execute_from_command_line

    from tests.chaos import faults

    faults.arm(faults.from_text((folder / f"{name}.faults").read_text(encoding="utf-8")), folder, name)
    from runs.worker import watch  # what it imports has its faults by now

    watch.hang_s = lambda: PATIENCE_S
    (folder / f"{name}.ready").touch()
    while not (folder / f"{name}.go").exists():
        time.sleep(0.01)
    if what == "manage":
        execute_from_command_line(["manage.py", *words])
    else:
        _door(*words)


def _door(use_case: str, calls: str) -> None:
    """What REST, the admin and the commands do: one use-case, for each of the given arguments."""
    from runs import services
    from tests.chaos import outside

    for arguments in json.loads(calls):
        getattr(services, use_case)(actor=outside.BOB, **arguments)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
