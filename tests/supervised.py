"""`manage.py worker` as it is started by people: a supervisor with an engine and the queue's cluster below it."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.workers import SHORT_LEASES, until


class Worker:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.seen: dict[int, psutil.Process] = {}

    def _child(self, word: str) -> psutil.Process | None:
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if word in child.cmdline():
                    return child
        return None

    @property
    def engine(self) -> psutil.Process | None:
        return self._child("--watched")

    @property
    def cluster(self) -> psutil.Process | None:
        return self._child("chores")

    def queue_workers(self) -> list[psutil.Process]:
        """q2's: the pool is forked first, then the monitor and the pusher."""
        [sentinel] = self.cluster.children() if self.cluster is not None else []
        return sorted(sentinel.children(), key=lambda each: each.pid)[:-2]

    def is_whole(self) -> bool:
        return self.engine is not None and self._is_at_work(self.cluster)

    def has_another_cluster(self, than: psutil.Process) -> bool:
        """Looked at once: between two looks it may go."""
        cluster = self.cluster
        return cluster is not None and cluster.pid != than.pid and self._is_at_work(cluster)

    @staticmethod
    def _is_at_work(cluster: psutil.Process | None) -> bool:
        try:
            return cluster is not None and len(cluster.children(recursive=True)) >= 5
        except psutil.NoSuchProcess:
            return False

    def family(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            self.seen.update({each.pid: each for each in psutil.Process(self.process.pid).children(recursive=True)})
        return list(self.seen.values())


@contextmanager
def supervised(environment: Mapping[str, str], root: Path, *arguments: str, whole: bool = True) -> Iterator[Worker]:
    """At work, unless told otherwise; nothing of it is left behind, whatever happened."""
    command = [sys.executable, "manage.py", "worker", *arguments]
    process = subprocess.Popen(command, cwd=root, env={**environment, **SHORT_LEASES, **{k: v for k, v in environment.items() if k in SHORT_LEASES}})
    worker = Worker(process)
    try:
        if whole:
            until(worker.is_whole, "the start of engine and cluster")
        worker.family()
        yield worker
    finally:
        family = worker.family()
        process.kill()
        process.wait()
        end(family)


def end(processes: Sequence[psutil.Process]) -> None:
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(processes, timeout=10)


def gone(processes: list[psutil.Process]) -> bool:
    return not any(_is_at_work(each) for each in processes)


def until_gone(processes: list[psutil.Process]) -> None:
    """Whoever is still there is named."""
    try:
        until(lambda: gone(processes), "their end")
    except AssertionError as error:
        raise AssertionError(f"{error}: {[_said(each) for each in processes if _is_at_work(each)]}") from None


def _said(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        threads = len(process.threads())
        return f"{process.pid} of {process.ppid()}, {process.status()}, {threads} threads, {process.cpu_times().user:g} s: {process.cmdline()[-5:]}"
    return f"{process.pid}"


def _is_at_work(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
