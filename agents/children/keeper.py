"""The small process between a worker and an interpreter: whatever becomes of either, nothing is left behind.

    worker ── keeper ── interpreter           where the system gives no process namespace
    worker ── holder ── keeper ── interpreter where it does: the keeper is its init, and its end ends everything in it

Must not import a team's code or anything heavy; it forks before that, while it has one thread.
Run by the bootstrap. Ends when its lifeline (a pipe only the worker writes to) ends or the interpreter does.
"""

import contextlib
import os
import resource
import select
import signal
import sys
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from . import linux, processes, weighing

_LOOK_EVERY_S = 0.05


class Start(NamedTuple):
    """What the worker says on the command line. `level`: full (processes, files and network), net, none.

    `hidden`: files that the level full covers; the other levels have no mount namespace to do it in.
    """

    down: int
    up: int
    lifeline: int
    status: int
    parent: int
    memory_bytes: int
    level: str
    network: bool
    hidden: tuple[str, ...]


def main(argv: list[str]) -> NoReturn:
    down, up, lifeline, status, parent, memory = (int(text) for text in argv[:6])
    start = Start(down, up, lifeline, status, parent, memory, argv[6], argv[7] == "network", tuple(argv[8:]))
    if linux.HERE:
        _isolate(start)
    _watch(start)


def _isolate(start: Start) -> None:
    full = start.level == "full"
    if full or (start.level == "net" and not start.network):
        _or_refuse(start, lambda: linux.separate(processes=full, network=not start.network))
    if full:
        _become_init(start)
    else:
        linux.adopt_orphans()  # no signal at the worker's death: this keeper must outlive it, to end the orphans


def _become_init(start: Start) -> None:
    """The holder stays outside, the init goes on; either one's death is the whole namespace's."""
    linux.die_with_parent()  # asked for after the namespaces: new credentials clear it
    if os.getppid() != start.parent:
        os._exit(0)  # the worker died before the signal was asked for
    init = os.fork()
    if init:
        for fd in (start.down, start.up, start.lifeline):
            os.close(fd)
        os.waitpid(init, 0)  # returns when the whole namespace is empty; only then does `status` end
        os._exit(0)
    linux.die_with_parent()
    _or_refuse(start, linux.mount_own_proc)
    _or_refuse(start, lambda: _hide(start))


def _hide(start: Start) -> None:
    for path in start.hidden:
        linux.hide(path)


def _or_refuse(start: Start, step: Callable[[], None]) -> None:
    """Tells the worker, which tries again one level lower, that the system does not give this."""
    try:
        step()
    except OSError as error:
        os.write(start.status, f"refused {error}\n".encode())
        os._exit(0)


def _watch(start: Start) -> NoReturn:
    keeper = os.getpid()
    interpreter = os.fork()
    if interpreter == 0:
        _interpret(start, keeper)
    for fd in (start.down, start.up):
        os.close(fd)
    if linux.HERE:
        linux.go_first()
    said = _until_the_end(start, interpreter)
    if said:
        os.write(start.status, said.encode())
    if start.level == "full":
        os._exit(0)
    if linux.HERE:
        processes.end_all_below(os.getpid())
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(interpreter, signal.SIGKILL)
    os._exit(0)


def _until_the_end(start: Start, interpreter: int) -> str:
    """What to tell the worker: how the interpreter ended, or nothing if the worker itself has gone or wants an end."""
    bell_r, bell_w = os.pipe()
    os.set_blocking(bell_w, False)
    scale = weighing.Scale(start.memory_bytes)
    signal.set_wakeup_fd(bell_w, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ended = processes.reap()
        if interpreter in ended:
            return _how(ended[interpreter])
        readable, _, _ = select.select([start.lifeline, bell_r], [], [], _LOOK_EVERY_S)
        if start.lifeline in readable:
            return ""
        if bell_r in readable:
            os.read(bell_r, 4096)
        if start.level == "full":
            _hide(start)  # SQLite deletes its side files and makes new ones; what can't be covered any more ends the child
        if linux.HERE and (beyond := _beyond(start, scale)):
            return beyond


def _beyond(start: Start, scale: weighing.Scale) -> str:
    """Which bound the child's processes are beyond. Counted first: weighing a fork bomb would let it outrun its keeper."""
    members = {*(processes.visible() if start.level == "full" else processes.below(os.getpid()))} - {os.getpid()}
    if len(members) > processes.PROCESS_LIMIT:
        return f"processes {processes.PROCESS_LIMIT}\n"
    held = scale.too_much(members)
    return "" if held is None else f"memory {held} {len(members)}\n"


def _how(wait_status: int) -> str:
    code = os.waitstatus_to_exitcode(wait_status)
    return f"exit {code}\n" if code >= 0 else f"signal {-code}\n"


def _interpret(start: Start, keeper: int) -> NoReturn:
    try:
        os.close(start.lifeline)
        os.close(start.status)
        os.setsid()  # a function that kills its own process group doesn't reach the keeper
        if linux.HERE:
            linux.drop_privileges()
            linux.die_with_parent()
            if os.getppid() != keeper:
                os._exit(0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _limit_memory(start.memory_bytes)
        sys.argv[:] = [""]
        contained = linux.HERE and not start.network and start.level != "none"
        from . import inside  # noqa: PLC0415 -- heavier, and the keeper never needs it

        inside.serve(start.down, start.up, contained=contained)
        os._exit(0)
    except BaseException:  # noqa: BLE001 -- this process is forked: it must not return into the keeper's code
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def _limit_memory(limit: int) -> None:
    with contextlib.suppress(ValueError, OSError):  # macOS knows the limit and doesn't keep it
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
