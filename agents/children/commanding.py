"""Runs a team's program instead of a function: its input on stdin, one JSON value from stdout.

Must not read its stderr (that goes to the worker as it is) nor end what it leaves behind (that is the keeper's).
Called by the child's loop.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
from typing import IO, Any, NoReturn

from . import failures, frames

_LOOK_EVERY_S = 0.05
_READ = 256 * 1024
_SHOWN = 80
_OWN_SESSION = sys.platform == "linux"  # elsewhere the keeper's only hold on it is the interpreter's process group
_CONTEXT = ("run", "step", "as_of", "deadline", "idempotency_key")


def run(job: frames.Frame) -> bytes:
    """The program's value as JSON. Raises Stopped; how a program ended that did not succeed is told in `details`."""
    written, name = job["program"]["argv"], job["program"]["name"]
    given = frames.to_json(job["arguments"])
    with _started(written, job) as program:
        try:
            body = _exchange(program, given)
        finally:
            _end(program)
    code = program.returncode
    if code != 0:
        ended = f"exit {code}" if code > 0 else f"signal {-code}"
        raise failures.Stopped("exception" if code > 0 else "crashed", f"{name} ended with {ended}", ended=ended)
    return _value(body, name)


def _started(written: list[str], job: frames.Frame) -> "subprocess.Popen[bytes]":
    argv, environment = _argv(written, job["folder"]), _environment(job)
    try:
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=_OWN_SESSION)
    except FileNotFoundError:
        raise failures.Stopped(
            "exception", f"there is no program {written[0]!r} on this worker, or what its first line (#!) names is not there"
        ) from None
    except (OSError, ValueError) as error:
        raise failures.Stopped("exception", f"{written[0]!r} can't be started: {failures.text_of(error)}") from None


def _end(program: "subprocess.Popen[bytes]") -> None:
    if program.poll() is not None:
        return
    if _OWN_SESSION:
        os.killpg(program.pid, signal.SIGKILL)
    else:
        program.kill()


def _argv(written: list[str], folder: str | None) -> list[str]:
    """Files of the folder by their place, `python` as this interpreter, everything else as it is written."""
    found = [_in_folder(entry, folder) for entry in written]
    argv = [place or entry for place, entry in zip(found, written, strict=True)]
    if written[0] != "python" or found[0]:
        return argv
    safe = [] if len(found) > 1 and found[1] else ["-P"]  # else the working directory comes first on the import path
    return [sys.executable, *safe, *argv[1:]]


def _in_folder(entry: str, folder: str | None) -> str | None:
    path = os.path.normpath(entry)
    if folder is None or os.path.isabs(path) or path.startswith(".."):
        return None
    place = os.path.join(folder, path)
    return place if os.path.isfile(place) else None


def _environment(job: frames.Frame) -> dict[str, str]:
    """What the child itself was given is an allow-list already; a home of its own, and what the call belongs to."""
    scratch, about = job["program"]["scratch"], job["context"]
    said = {f"ORCHESTRA_{key.upper()}": str(about[key]) for key in _CONTEXT if about.get(key) is not None}
    python = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    return {"LANG": "C.UTF-8", **os.environ, "HOME": scratch, "TMPDIR": scratch, **python, **said}


def _exchange(program: "subprocess.Popen[bytes]", given: bytes) -> bytes:
    """Feeds and reads at once, until the program itself has ended: what it left behind may hold stdout open for ever."""
    assert program.stdin is not None
    assert program.stdout is not None
    pipes, view, body = selectors.DefaultSelector(), memoryview(given), bytearray()
    for pipe, event in ((program.stdin, selectors.EVENT_WRITE), (program.stdout, selectors.EVENT_READ)):
        os.set_blocking(pipe.fileno(), False)
        pipes.register(pipe, event)
    with pipes:
        while pipes.get_map():
            ended = program.poll() is not None
            ready = [key.fileobj for key, _ in pipes.select(0 if ended else _LOOK_EVERY_S)]
            if program.stdin in ready:
                view = _fed(program.stdin, view, pipes)
            if program.stdout in ready:
                _read(program.stdout, body, pipes)
            elif ended:
                break
    program.wait()
    return bytes(body)


def _fed(stdin: IO[bytes], view: memoryview, pipes: selectors.BaseSelector) -> memoryview:
    try:
        left = view[os.write(stdin.fileno(), view[:_READ]) :]
    except BlockingIOError:
        return view
    except OSError:  # it reads no more, which is its own business
        left = view[:0]
    if not left:
        pipes.unregister(stdin)
        stdin.close()
    return left


def _read(stdout: IO[bytes], body: bytearray, pipes: selectors.BaseSelector) -> None:
    try:
        chunk = os.read(stdout.fileno(), _READ)
    except BlockingIOError:
        return
    if not chunk:
        pipes.unregister(stdout)
    body += chunk
    if len(body) > frames.RESULT_LIMIT:
        raise failures.Stopped("contract", f"it wrote more than {frames.RESULT_LIMIT // frames.MIB} MiB to stdout, which is the limit of a result")


def _value(body: bytes, name: str) -> bytes:
    if not body.strip():
        raise failures.Stopped("contract", f"{name} ended with exit status 0 and wrote nothing to stdout; one JSON value is asked for")
    try:
        value = json.loads(body.decode(), parse_constant=_refuse, object_pairs_hook=_object)
        again = frames.to_json(value)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        start = body[:_SHOWN].decode("utf-8", "replace")
        raise failures.Stopped("contract", f"what {name} wrote to stdout isn't JSON: {failures.text_of(error)}; it begins with {start!r}") from None
    if len(again) > frames.RESULT_LIMIT:
        raise failures.Stopped("contract", f"the result is more than {frames.RESULT_LIMIT // frames.MIB} MiB, the limit")
    return again


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in names if names.count(key) > 1)!r:.100} stands twice in one object")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
