"""Commands as somebody at a shell sees them: exit status, stdout, stderr; and stderr as a terminal where a test asks for one."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from typing import Any

from django.core.management import call_command


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document that stdout holds and nothing else."""
        return json.loads(self.out)

    @property
    def run(self) -> str:
        return str(self.document["id"])


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def typed(command: str, *arguments: Any, err: StringIO | None = None) -> Done:
    """Run a command in this process, as `manage.py` would."""
    out, err = StringIO(), StringIO() if err is None else err
    status = 0
    try:
        call_command(command, *map(str, arguments), stdout=out, stderr=err)
    except SystemExit as left:
        status = int(left.code or 0)
    return Done(status, out.getvalue(), err.getvalue())


def interrupt_when(happened: Callable[[], bool], *, number: signal.Signals = signal.SIGINT, limit_s: float = 20.0) -> threading.Thread:
    """Send this process a signal from a thread, as a person's Ctrl-C would come, once something has happened."""

    def wait_and_kill() -> None:
        until = time.monotonic() + limit_s
        while not happened() and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=wait_and_kill, daemon=True)
    thread.start()
    return thread
