"""`manage.py chores`: the queue's cluster, for as long as whoever started it lives. The worker starts it beside itself."""

import os
import signal
import threading
import time
from typing import Any

from django.core.management.base import CommandError

from audit.management.teaching import TeachingCommand
from runs import queue

STOP_S = 10.0


EPILOG = """\
example:
  sleep infinity | manage.py chores

exit status: 0 it was told to end, 1 one of its processes was killed, 2 the database lacks tables,
75 the database is busy or out of reach
"""


class Command(TeachingCommand):
    epilog = EPILOG
    help = (
        "Run the queue's cluster (scheduled sweeps, the doorbell) until standard input ends. `manage.py worker` starts it and holds the other "
        "end, so that no cluster outlives its worker, however that one died. It ends when one of its processes was killed, and wants to be "
        "started again: `manage.py qcluster`, which does not, may hang for good then."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        threading.Thread(target=_end_with_input, daemon=True).start()
        if not queue.serve():
            _end_all()
            raise CommandError("the queue's cluster has ended because one of its processes was killed; start it again")


def _end_with_input() -> None:
    """The cluster asks to be ended by SIGTERM; it then lets the chores at work finish, and where it hangs it waits for ever."""
    lifeline = os.dup(0)  # read past sys.stdin: its lock, held here, would hang every process that the cluster forks and that closes it
    while os.read(lifeline, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_S)
    _end_all()


def _end_all() -> None:
    """Whoever starts the cluster beside itself gives it a session of its own: what it forked ends with it."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
