"""Processes that the worker starts: the supervised qcluster beside it, and a short-lived engine where none lives."""

import logging
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings

from audit import clock

log = logging.getLogger(__name__)

IDLE_S = 20
RING_AFTER = timedelta(minutes=3)
"""A cluster that has not run the sweep for this long has hung: a worker killed while it held the queue's lock stops them all."""


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), *arguments]


def short_lived_engine(engine: UUID) -> int:
    """Start an engine in a session of its own, which leaves when nothing has been ready for a while. Returns its process id."""
    command = _manage("worker", "--no-queue", "--idle", str(IDLE_S), "--engine", str(engine))
    started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    return started.pid


class Cluster:
    """The qcluster beside an engine: started again when it ends or hangs. Call `tend` every few seconds."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = clock.now()

    def tend(self) -> None:
        if self._process is not None and self._process.poll() is None and not self._hangs():
            return
        if self._process is not None:
            log.warning("the queue's cluster has %s; starting it again", "hung" if self._process.poll() is None else "ended")
            self.stop()
        self._started_at = clock.now()
        # Its standard input is the lifeline: the kernel closes our end whatever ends us, and the cluster ends with it.
        self._process = subprocess.Popen(_manage("chores"), stdin=subprocess.PIPE, start_new_session=True)

    def stop(self) -> None:
        """End it as it asks to be ended, and by force where it does not listen."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _hangs(self) -> bool:
        from runs import queue  # noqa: PLC0415 - opens the broker

        now = clock.now()
        due = queue.sweep_due_at()
        return due is not None and now - due > RING_AFTER and now - self._started_at > RING_AFTER
