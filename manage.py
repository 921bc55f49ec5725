#!/usr/bin/env python
"""The one entry point for people and scripts: `python manage.py COMMAND`.

Knows only the name of the settings and how commands are listed; every command lives in the app it belongs to.
"""

import os
import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else whoever started us wants it ignored
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until a command is at work, Ctrl-C leaves nothing behind and has nothing to say

from django.conf import settings

from orchestra_site.commands import Utility
from orchestra_site.env import OddSetting

BAD_INPUT = 2
STREAMS = {"stdout": 1, "stderr": 2}


def main() -> None:
    _have_streams()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra_site.settings")
    try:
        settings.TIME_ZONE  # noqa: B018  (reads the settings: a mistake in the environment is one sentence, not a traceback)
    except OddSetting as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(BAD_INPUT)
    Utility(sys.argv).execute()


def _have_streams() -> None:
    """Whoever starts us with streams closed wants no words; a file opened later must not get their numbers, and be written to."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= STREAMS["stderr"]:
        os.set_inheritable(number, True)
    os.close(number)
    for name, number in STREAMS.items():
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8"))


if __name__ == "__main__":
    main()
