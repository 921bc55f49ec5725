"""The loop of a child interpreter: a request in, the function or program runs, one reply out.

Must not decide what a failure costs or who owns it; it says what happened.
Run by the keeper, in the process where a team's code will be.
"""

import contextlib
import faulthandler
import os
import signal
import sys
import threading

from . import calling, commanding, describing, failures, frames, link, processes

# Everything of the standard library that the loop needs is imported above, before a team's folder is on the path.


def serve(down: int, up: int, *, contained: bool) -> None:
    link.connect(down, up)
    faulthandler.enable()
    _fresh_stdio()
    link.send({"hello": {"contained": contained}})
    folder_of_worker = os.getcwd()
    while (frame := link.receive()) is not None:
        _answer(frame)
        _tidy(folder_of_worker)


def _answer(frame: frames.Frame) -> None:
    if "describe" in frame:
        describing.describe_all(**frame["describe"])
        return
    reply = _reply_to(frame["job"])
    if not link.is_ours():  # the function forked and both came back; the worker waits for the first one only
        os._exit(0)
    _flush()
    link.send_packed(reply)


def _reply_to(job: frames.Frame) -> bytes:
    link.begin(job["context"])
    try:
        value = commanding.run(job) if "program" in job else calling.call(job["folder"], job["function"], job["arguments"])
        clean = b"true" if _is_clean() else b"false"
        return frames.pack(b'{"clean":' + clean + b',"returned":' + value + b"}")
    except BaseException as error:  # noqa: BLE001 -- SystemExit and KeyboardInterrupt of a team's code are facts to report
        failure = failures.report(error, job["folder"])
        del error
    return frames.pack(frames.to_json({"clean": failure["cause"] != "crashed" and _is_clean(), "broken": failure}))


def _is_clean() -> bool:
    """Nothing of this call goes on: no thread, no child, and nobody whom the keeper had to adopt."""
    if threading.active_count() > 1:
        return False
    processes.reap()
    if sys.platform != "linux":
        return not _has_children()
    return not processes.children_of(os.getpid()) and processes.children_of(os.getppid()) == [os.getpid()]


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _tidy(folder: str) -> None:
    """What a function may have turned and the next call of the same agent must not meet."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    with contextlib.suppress(OSError):
        os.chdir(folder)
    _fresh_stdio()


def _fresh_stdio() -> None:
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    with contextlib.suppress(AttributeError, ValueError, OSError):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
