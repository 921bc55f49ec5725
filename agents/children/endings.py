"""Puts into words how a process ended: an interpreter that shouldn't have, or a team's program.

Pure: the keeper's or the child's last word in, cause and sentence out. Used by the conversation.
"""

import signal
from typing import Any

from agents.children import failures, frames
from agents.children.values import Broken, Job

_MEMORY_SIGNS = ("memory allocation of", "MemoryError", "bad_alloc")
_SHOWN = 300


def of_interpreter(how: str, seen: dict[str, Any], job: Job) -> Broken:
    """`how` is the keeper's word; `seen` what else is known, with what was printed."""
    kind, _, number = how.partition(" ")
    if kind == "exit":
        return Broken("crashed", f"its process ended with exit status {number}", {**seen, "exit_status": int(number)})
    if kind == "processes":
        return Broken("crashed", f"it had more than {number} processes at once, which is the limit; start fewer, as a pool does", seen)
    if kind == "memory":
        return Broken("crashed", _out_of_memory_together(number, job), seen)
    if kind == "signal":
        return _killed(int(number), seen, job)
    return Broken("crashed", "its process was ended from outside, and its keeper with it", seen)


def of_program(how: str, seen: dict[str, Any], job: Job) -> Broken:
    """`how` is "exit N" or "signal N" as the child says it. Its last line on stderr is part of the sentence."""
    kind, _, number = how.partition(" ")
    if not number.isdigit() or kind not in {"exit", "signal"}:
        raise frames.BadFrame("a program's end without its parts")
    if kind == "signal":
        return _killed(int(number), seen, job)
    last = _last_line(seen)
    if any(last.startswith(sign) for sign in _MEMORY_SIGNS):
        return Broken("crashed", out_of_memory(job), {**seen, "exit_status": int(number)})
    said = f": {last}" if last else ", and wrote nothing to stderr"
    name = job.program.name if job.program is not None else "the program"
    return Broken("exception", f"{name} ended with exit status {number}{said}", {**seen, "exit_status": int(number)})


def out_of_memory(job: Job) -> str:
    return f"ran out of its {job.memory_bytes / frames.MIB:g} MiB of memory; raise `memory` or keep less at a time"


def _out_of_memory_together(weighed: str, job: Job) -> str:
    held, count = map(int, weighed.split())
    held_mib, limit_mib = f"{-(-held // frames.MIB)} MiB", f"{job.memory_bytes / frames.MIB:g} MiB"
    return f"its {count} processes together held {held_mib}, more than the {limit_mib} of its `memory`; raise `memory` or start fewer"


def _killed(number: int, seen: dict[str, Any], job: Job) -> Broken:
    name = _signal_name(number)
    ran_out = name == "SIGABRT" and any(sign in seen.get("stderr", "") for sign in _MEMORY_SIGNS)
    message = out_of_memory(job) if ran_out else f"its process was killed by {name}"
    return Broken("crashed", message, {**seen, "signal": name})


def _last_line(seen: dict[str, Any]) -> str:
    lines = [line.strip() for line in str(seen.get("stderr", "")).splitlines() if line.strip()]
    return failures.clean(lines[-1])[:_SHOWN] if lines else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
