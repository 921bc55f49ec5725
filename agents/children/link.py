"""The child's end of the pipes to its worker, and the context of the call at hand.

Must not know what the frames mean. Processes that a function forks hold a copy, and it is mute there.
Called by the child's loop, and by the sdk, which finds it in `sys.modules`.
"""

import os
import threading
from typing import Any, NoReturn

from . import frames

CHANNEL_LOST = 70

context: dict[str, Any] = {}

_pipes = {"down": -1, "up": -1, "owner": -1}
_writing = threading.Lock()
_asking = threading.Lock()


def connect(down: int, up: int) -> None:
    _pipes.update(down=down, up=up, owner=os.getpid())
    for fd in (down, up):
        os.set_inheritable(fd, False)


def is_ours() -> bool:
    return os.getpid() == _pipes["owner"]


def send(frame: frames.Frame) -> None:
    send_packed(frames.pack(frames.to_json(frame)))


def send_packed(data: bytes) -> None:
    if not is_ours():
        return
    with _writing:
        try:
            frames.write_all(_pipes["up"], data)
        except OSError:
            _lost()


def ask(frame: frames.Frame) -> frames.Frame:
    """Sends a request and waits for its reply; one at a time, whatever thread asks."""
    if not is_ours():
        raise RuntimeError("a forked process can't call Orchestra; do it in the process of the function itself")
    data = frames.pack(frames.to_json(frame))
    with _asking:
        send_packed(data)
        reply = receive()
    if reply is None:
        _lost()
    return reply


def receive() -> frames.Frame | None:
    try:
        return frames.read_frame(_pipes["down"])
    except (OSError, frames.BadFrame):
        _lost()


def begin(about: dict[str, Any]) -> None:
    context.clear()
    context.update(about)


def _lost() -> NoReturn:
    """The function closed what it doesn't own, or the worker has gone: nobody is left to tell."""
    os.write(2, b"the channel to the worker is closed\n") if _is_open(2) else None
    os._exit(CHANNEL_LOST)


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
