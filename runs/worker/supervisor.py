"""The supervisor: keeps an engine and the queue's cluster at work, replaces either when it has ended or hangs, ends both when told to.

Looks at processes and at what they say, never at the database: one that can't be reached is no reason to end anybody. Its clerk writes
what others should know. Called by the command `worker`.
"""

import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from types import FrameType
from typing import Generic, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connections

from audit import clock
from runs import queue, store
from runs.models import Kind
from runs.worker import presence
from runs.worker.spawn import Cluster, EngineProcess, Started

log = logging.getLogger(__name__)

LOOK_S = 0.25
WRITE_S = 1.0
STOP_S = 10.0
AT_ONCE_S = 2.0
YOUNG_S = 30.0
LONGEST_PAUSE_S = 30.0
SWEEP_LATE = timedelta(minutes=3)
"""A queue that has not run the sweep for this long does not work, whatever its processes look like."""

S = TypeVar("S", bound=Started)


class Post(Generic[S]):
    """A place that is always filled. Whoever dies young is replaced less and less soon, so that a broken start doesn't eat the machine."""

    def __init__(self, start: Callable[[], S], gone: Callable[[UUID], None]) -> None:
        self._start, self._gone = start, gone
        self.holder: S | None = None
        self._not_before, self._pause_s = 0.0, 0.0

    def tend(self, *, fault: str | None = None) -> None:
        """`fault` is what somebody else has found; else it is asked."""
        if self.holder is not None and (fault := fault or self.holder.fault()) is not None:
            self._pause_s = 0.0 if self.holder.age_s > YOUNG_S else min(max(1.0, 2 * self._pause_s), LONGEST_PAUSE_S)
            log.warning("the %s (process %d) %s; starting it again", self.holder.name, self.holder.process.pid, fault)
            self.clear()
            self._not_before = time.monotonic() + self._pause_s
        if self.holder is None and time.monotonic() >= self._not_before:
            self._fill()

    def _fill(self) -> None:
        try:
            self.holder = self._start()
        except OSError:  # no process, no memory, no file descriptor: it may pass
            log.exception("a process can't be started; trying again in %g s", LONGEST_PAUSE_S)
            self._not_before = time.monotonic() + LONGEST_PAUSE_S

    def clear(self) -> None:
        if self.holder is not None:
            self.holder.kill()
            self._gone(self.holder.id)
            self.holder = None

    @property
    def is_over(self) -> bool:
        return self.holder is None or self.holder.has_ended


class Supervisor:
    def __init__(self, *, idle_s: float | None = None) -> None:
        self.clerk = Clerk()
        self.engine = Post(lambda: self._new_engine(idle_s), self.clerk.engine_is_gone)
        self.cluster = Post(self._new_cluster, self.clerk.cluster_is_gone)
        self._signals = 0

    def run(self) -> None:
        """Until a signal, or until an engine that was told to has left."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told)
        self.clerk.start()
        try:
            while not self._signals and not self._has_left():
                self.engine.tend()
                self.cluster.tend(fault=self.clerk.late())
                time.sleep(LOOK_S)
        finally:
            self._stop()

    def _told(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a handler
        self._signals += 1

    def _has_left(self) -> bool:
        return self.engine.holder is not None and self.engine.holder.has_left

    def _new_engine(self, idle_s: float | None) -> EngineProcess:
        engine = EngineProcess(idle_s=idle_s)
        self.clerk.engine_is_there(engine)
        return engine

    def _new_cluster(self) -> Cluster:
        cluster = Cluster()
        self.clerk.cluster_is_there(cluster)
        return cluster

    def _stop(self) -> None:
        """Both get the same seconds; a second signal takes them away."""
        self._ask()
        at_once, end = self._signals > 1, time.monotonic() + STOP_S
        while not (self.engine.is_over and self.cluster.is_over) and time.monotonic() < end:
            if self._signals > 1 and not at_once:
                at_once, end = True, time.monotonic() + AT_ONCE_S
                self._ask()
            time.sleep(0.05)
        self.engine.clear()
        self.cluster.clear()
        self.clerk.close()

    def _ask(self) -> None:
        for holder in (self.engine.holder, self.cluster.holder):
            if holder is not None:
                holder.ask_to_end()


class Clerk:
    """A thread that writes: waiting for a database must not keep the supervisor from looking."""

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self._work, daemon=True, name="clerk")
        self._news, self._is_closing = threading.Event(), False
        self._cluster: Cluster | None = None
        self._told: deque[Callable[[], None]] = deque()
        self._beat_at = 0.0
        self._is_late = False

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """What is still to be written gets a moment; rows that nobody updates say by themselves that they are silent."""
        self._is_closing = True
        self._news.set()
        self._thread.join(timeout=AT_ONCE_S)

    def engine_is_there(self, engine: EngineProcess) -> None:
        """Said for it, since it needs some seconds: a cluster that is quicker would start a short-lived one for what waits."""
        self._tell(lambda: presence.announce(engine.id, pid=engine.process.pid))

    def engine_is_gone(self, engine: UUID) -> None:
        """It is dead and buried, so its runs need not wait until their leases run out."""
        self._tell(lambda: presence.leave(engine))
        self._tell(lambda: store.forfeit_lease(owner=engine))

    def cluster_is_there(self, cluster: Cluster) -> None:
        self._cluster, self._beat_at, self._is_late = cluster, 0.0, False

    def cluster_is_gone(self, cluster: UUID) -> None:
        self._tell(lambda: presence.leave(cluster))

    def late(self) -> str | None:
        """Whether the queue has swept for too long no more; said once, to whoever can start the cluster again."""
        if not self._is_late:
            return None
        self._is_late = False
        return f"has not run the sweep for {SWEEP_LATE}"

    def _tell(self, write: Callable[[], None]) -> None:
        self._told.append(write)
        self._news.set()

    def _work(self) -> None:
        last = False
        while not last:
            self._news.wait(WRITE_S)
            self._news.clear()
            last = self._is_closing
            try:
                self._write(last=last)
            except DatabaseError as error:
                log.warning("what the supervisor sees can't be written (%s)", error)
                connections.close_all()
            except Exception:
                log.exception("what the supervisor sees can't be written; trying again")
        connections.close_all()

    def _write(self, *, last: bool) -> None:
        while self._told:
            self._told[0]()
            self._told.popleft()  # only now: what a database didn't take is told again
        cluster = self._cluster
        if not last and cluster is not None and time.monotonic() >= self._beat_at:
            queue.ensure_schedule()
            presence.announce(cluster.id, kind=Kind.QUEUE, pid=cluster.process.pid)
            self._is_late = cluster.age_s > SWEEP_LATE.total_seconds() and _sweep_is_late()
            self._beat_at = time.monotonic() + settings.ORCHESTRA_HEARTBEAT_S


def _sweep_is_late() -> bool:
    due = queue.sweep_due_at()
    return due is not None and clock.now() - due > SWEEP_LATE
