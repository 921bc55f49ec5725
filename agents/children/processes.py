"""Which processes hang below another, and ending them all, also those that left their session.

Must not import anything heavy: it runs in the keeper and, between calls, in the interpreter.
Called by the keeper, the child's loop and, where a keeper was killed, by the worker.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator

PROCESS_LIMIT = 64  # per child, threads not counted; a fork bomb is stopped here, a pool of helpers isn't


def below(root: int) -> set[int]:
    """All descendants of `root` that this moment shows (Linux)."""
    found: set[int] = set()
    pending = [root]
    while pending:
        children = set(children_of(pending.pop())) - found
        found |= children
        pending.extend(children)
    return found


def children_of(pid: int) -> list[int]:
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for task in tasks:
        try:
            found.extend(map(int, _read(f"/proc/{pid}/task/{task}/children").split()))
        except FileNotFoundError:  # this thread has just ended, or the kernel has no such list
            return [child for child, parent in _parents() if parent == pid]
        except ProcessLookupError:
            continue
    return found


def visible() -> list[int]:
    """Every process in /proc: in a process namespace of one's own, every process of it."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def end_all_below(root: int, *, within_s: float = 5.0) -> None:
    """SIGKILL until nothing is left. Stopped first: a fork bomb would refill the list while it is worked through."""
    until = time.monotonic() + within_s
    while (found := below(root)) and time.monotonic() < until:
        send(found, signal.SIGSTOP)
        send(found, signal.SIGKILL)
        reap()
        time.sleep(0.001)


def end_marked(token: str) -> None:
    """SIGKILL to whoever carries `token` in its environment: the strays of a keeper that was itself killed (Linux)."""
    mark = token.encode()
    for pid in visible():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            if mark in file.read() and pid != os.getpid():
                os.kill(pid, signal.SIGKILL)


def send(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def reap() -> dict[int, int]:
    """Wait statuses of children that have ended, by pid."""
    ended: dict[int, int] = {}
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = found[1]
    return ended


def _parents() -> Iterator[tuple[int, int]]:
    for pid in visible():
        with contextlib.suppress(OSError):
            after_name = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
            yield pid, int(after_name[1])


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
