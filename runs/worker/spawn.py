"""Processes that a worker starts, each in a session of its own: an engine, the queue's cluster, a short-lived engine where none lives.

Owns starting, looking at and ending them; must not decide when. The supervisor tends the first two, a chore calls the third.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import psutil
from django.conf import settings

IDLE_S = 20
STARTING_S = 60.0
"""Until an engine has said its first word: imports, a busy machine, a database that is slow to answer."""

STANDSTILL_S = 5.0
REAP_S = 10.0
"""A process that was killed is gone at once, unless the kernel itself stands still in it (a disk that does not answer)."""

log = logging.getLogger(__name__)


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), *arguments]


def short_lived_engine(engine: UUID) -> int:
    """Start an engine in a session of its own, which leaves when nothing has been ready for a while. Returns its process id."""
    command = _manage("worker", "--no-queue", "--idle", str(IDLE_S), "--engine", str(engine))
    started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    return started.pid


def hang_s() -> float:
    """An engine that was silent for so long has lost its runs anyway: their leases have run out."""
    return max(float(settings.ORCHESTRA_LEASE_TTL_S), 10.0)


class Started:
    """A process beside us. Its standard input is its lifeline: the kernel closes our end whatever ends us, and it ends itself then.

    Until it is killed here its end is looked at and not taken: as long as that is so, no other process or group can be given its number.
    """

    name = "process"

    def __init__(self, command: Sequence[str], pass_fds: Sequence[int] = ()) -> None:
        self.id = uuid4()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, pass_fds=pass_fds)
        self.since = time.monotonic()

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.since

    @property
    def status(self) -> int | None:
        """What it has ended with, negative for a signal; None while it lives."""
        if self.process.returncode is not None or not hasattr(os, "waitid"):
            return self.process.poll()
        try:
            ended = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # somebody else in this process has taken its end
            return self.process.poll()
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    @property
    def has_ended(self) -> bool:
        return self.status is not None

    def fault(self) -> str | None:
        """Why it must be replaced, where it must."""
        return f"has ended with status {self.status}" if self.has_ended else None

    def ask_to_end(self) -> None:
        if not self.has_ended:
            os.kill(self.process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """It and what it has forked; also where it is dead itself and what it forked is not. What has been taken already is not ours any more:
        its number may be a stranger's by now."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        try:
            self.process.wait(timeout=REAP_S)
        except subprocess.TimeoutExpired:
            log.error(  # noqa: TRY400 - where it waited says nothing
                "the %s (process %d) has not ended %g s after SIGKILL; it is left to the system", self.name, self.process.pid, REAP_S
            )
        if self.process.stdin is not None:
            self.process.stdin.close()


class EngineProcess(Started):
    """An engine whose loop says every second that it turns. Whatever keeps it from that, a stopped process too, is a hang."""

    name = "engine"

    def __init__(self, *, idle_s: float | None) -> None:
        self._ticks, told = os.pipe()
        os.set_blocking(self._ticks, False)
        idle = () if idle_s is None else ("--idle", str(idle_s))
        try:
            super().__init__(_manage("worker", "--no-queue", "--engine", str(engine := uuid4()), "--watched", str(told), *idle), pass_fds=(told,))
        except BaseException:
            os.close(self._ticks)
            raise
        finally:
            os.close(told)
        self.id = engine
        self._silent_at = self.since + STARTING_S

    def fault(self) -> str | None:
        return super().fault() or (f"has said nothing for {hang_s():g} s" if self._is_silent() else None)

    @property
    def has_left(self) -> bool:
        """By itself, as it was told to: nothing was ready for long enough."""
        return self.status == 0

    def kill(self) -> None:
        super().kill()
        os.close(self._ticks)

    def _is_silent(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            if os.read(self._ticks, 4096):
                self._silent_at = time.monotonic() + hang_s()
        return time.monotonic() > self._silent_at


class Cluster(Started):
    """The queue's cluster. It ends by itself when one of its processes was killed; what it can't see is one that stands still."""

    name = "queue"

    def __init__(self) -> None:
        super().__init__(_manage("chores"))
        self._well_at = time.monotonic()

    def fault(self) -> str | None:
        if ended := super().fault():
            return ended
        idle = _at_a_standstill(self.process.pid)
        if not idle:
            self._well_at = time.monotonic()
        return f"stands still (process {idle[0]})" if time.monotonic() - self._well_at > STANDSTILL_S else None


def _at_a_standstill(root: int) -> list[int]:
    """Its own processes that are stopped, or dead and unnoticed; what they start in turn (an engine) is none of them."""
    try:
        own = psutil.Process(root)
        members = [own, *(found := own.children()), *(each for sentinel in found for each in sentinel.children())]
        return [each.pid for each in members if each.status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}]
    except psutil.NoSuchProcess:
        return []
