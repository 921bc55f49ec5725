"""One function call in one child: the job goes down; progress, requests and the result come up; deadlines cut it.

Must not know how children are shared; must not believe a child about anything that costs somebody else.
Called by the pool.
"""

import asyncio
import signal
from typing import Any

from agents.children import failures, frames
from agents.children.process import Ended, Process
from agents.children.values import Broken, CallError, Job, OnCall, OnProgress, Returned

# What a function may say of itself. Any other cause in its frame is a forgery and reads as its exception.
_OWN_CAUSES = frozenset({"exception", "crashed", "input", "contract", "missing", "stale", "refused"})
_MEMORY_SIGNS = ("memory allocation of", "MemoryError", "bad_alloc")


class _Stalled(Exception):
    pass


class Conversation:
    """The state of one call. `reusable` after it: the child may serve another."""

    def __init__(self, process: Process, job: Job, *, on_call: OnCall, on_progress: OnProgress) -> None:
        self.reusable = False
        self._process = process
        self._job = job
        self._on_call = on_call
        self._on_progress = on_progress
        self._refused: set[str] = set()

    async def hold(self, *, progress_timeout_s: float | None) -> Returned | Broken:
        """Sends the job and follows it to its end. The caller bounds the whole; the silence is bounded here."""
        try:
            await self._process.send_packed(_packed(self._job))
        except frames.BadFrame as error:
            self.reusable = True
            return Broken("input", f"the arguments can't be sent to the function: {error}")
        try:
            return await self._follow(progress_timeout_s)
        except _Stalled:
            return self.broken("stalled", f"no progress for {progress_timeout_s:g} s (its progress timeout)")
        except Ended as ended:
            return self._crashed(ended.how)
        except frames.BadFrame as error:
            return self.broken("crashed", f"the function wrote into the channel to its worker: {error}")

    def broken(self, cause: str, message: str, **details: Any) -> Broken:
        output = self._process.output()
        seen = {"stderr": output} if output else {}
        return Broken(cause, message, {**details, **seen, "contained": self._process.contained})

    async def _follow(self, progress_timeout_s: float | None) -> Returned | Broken:
        while True:
            frame = await self._next(progress_timeout_s)
            if "progress" in frame:
                self._on_progress(*_progress(frame["progress"]))
            elif "call" in frame:
                await self._process.send(await self._reply(frame["call"]))
            elif "returned" in frame:
                self.reusable = frame.get("clean") is True
                return Returned(frame["returned"], self._process.output(), self._process.contained)
            elif "broken" in frame:
                self.reusable = frame.get("clean") is True
                return self._reported(frame["broken"])
            else:
                raise frames.BadFrame("a frame of no known kind")

    async def _next(self, progress_timeout_s: float | None) -> frames.Frame:
        try:
            async with asyncio.timeout(progress_timeout_s):
                return await self._process.receive()
        except TimeoutError:
            raise _Stalled from None

    async def _reply(self, request: Any) -> frames.Frame:
        """The boundary's answer. The silence clock rests meanwhile: the call has a deadline of its own."""
        if not isinstance(request, dict) or not isinstance(request.get("arguments"), dict):
            raise frames.BadFrame("a call without arguments")
        try:
            value = await self._on_call(str(request.get("tool")), request["arguments"])
            frames.pack(frames.to_json({"ok": value}))
        except CallError as error:
            self._refused.add(error.cause)
            return {"error": {"cause": error.cause, "message": error.message}}
        except frames.BadFrame as error:
            self._refused.add("contract")
            return {"error": {"cause": "contract", "message": f"the tool's answer can't be handed on: {error}"}}
        return {"ok": value}

    def _reported(self, report: Any) -> Broken:
        if not isinstance(report, dict) or not isinstance(report.get("details"), dict):
            raise frames.BadFrame("a failure without its parts")
        # The frame may be the function's own work: only what `failures.report` says is read, cut and cleaned again.
        cause, message, said = str(report.get("cause"))[:100], failures.clean(str(report.get("message"))), report["details"]
        details = _trail(said.get("traceback"))
        if said.get("memory"):
            return self.broken("crashed", self._out_of_memory(), **details)
        if said.get("from_call") and cause in self._refused:
            return self.broken(cause, message, from_call=True, **details)
        if cause not in _OWN_CAUSES:
            return self.broken("exception", f"claims the cause {cause!r}, which no call of it had: {message}", **details)
        return self.broken(cause, message, **details)

    def _crashed(self, how: str) -> Broken:
        """Puts the keeper's last word into a sentence."""
        kind, _, number = how.partition(" ")
        broken = self.broken("crashed", "its process was ended from outside, and its keeper with it")
        if kind == "exit":
            return Broken("crashed", f"its process ended with exit status {number}", {**broken.details, "exit_status": int(number)})
        if kind == "processes":
            return Broken("crashed", f"it had more than {number} processes at once, which is the limit; start fewer, as a pool does", broken.details)
        if kind == "memory":
            return Broken("crashed", self._out_of_memory_together(*map(int, number.split())), broken.details)
        if kind == "signal":
            name = _signal_name(int(number))
            ran_out = name == "SIGABRT" and any(sign in broken.details.get("stderr", "") for sign in _MEMORY_SIGNS)
            message = self._out_of_memory() if ran_out else f"its process was killed by {name}"
            return Broken("crashed", message, {**broken.details, "signal": name})
        return broken

    def _out_of_memory(self) -> str:
        return f"ran out of its {self._job.memory_bytes / frames.MIB:g} MiB of memory; raise `memory` or keep less at a time"

    def _out_of_memory_together(self, held: int, count: int) -> str:
        held_mib, limit_mib = f"{-(-held // frames.MIB)} MiB", f"{self._job.memory_bytes / frames.MIB:g} MiB"
        return f"its {count} processes together held {held_mib}, more than the {limit_mib} of its `memory`; raise `memory` or start fewer"


def _packed(job: Job) -> bytes:
    folder = None if job.folder is None else str(job.folder.resolve())
    frame = {"job": {"folder": folder, "function": job.function, "arguments": job.arguments, "context": job.context}}
    try:
        return frames.pack(frames.to_json(frame))
    except (TypeError, ValueError, RecursionError) as error:
        raise frames.BadFrame(str(error)) from error


def _progress(said: Any) -> tuple[str | None, float | None]:
    if not isinstance(said, dict):
        raise frames.BadFrame("progress without its parts")
    message, fraction = said.get("message"), said.get("fraction")
    share = min(1.0, max(0.0, float(fraction))) if isinstance(fraction, int | float) else None
    return (None if message is None else str(message)[:500]), share


def _trail(said: Any) -> dict[str, Any]:
    lines = said[-failures.FRAMES :] if isinstance(said, list) else []
    return {"traceback": [failures.clean(str(line)) for line in lines]} if lines else {}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
