"""One call of a function or program in one child: the job goes down; progress, requests and the result come up; deadlines cut it.

Must not know how children are shared; must not believe a child about anything that costs somebody else.
Called by the pool.
"""

import asyncio
import contextlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from agents.children import endings, failures, frames
from agents.children.process import Ended, Process, nobody
from agents.children.values import Broken, CallError, Job, OnCall, OnProgress, Returned

# What a function may say of itself. Any other cause in its frame is a forgery and reads as its exception.
_OWN_CAUSES = frozenset({"exception", "crashed", "input", "contract", "missing", "stale", "refused"})


class _Stalled(Exception):
    pass


class Conversation:
    """The state of one call. `reusable`, before it has begun and after it: the child may serve another."""

    def __init__(self, process: Process, job: Job, *, on_call: OnCall, on_progress: OnProgress) -> None:
        self.reusable = True
        self._process = process
        self._job = job
        self._on_call = on_call
        self._on_progress = on_progress
        self._refused: set[str] = set()

    async def hold(self, *, progress_timeout_s: float | None) -> Returned | Broken:
        """Sends the job and follows it to its end. The caller bounds the whole; the silence is bounded here."""
        try:
            data = _packed(self._job)
        except frames.BadFrame as error:
            return Broken("input", f"the arguments can't be sent: {error}")
        self.reusable = False
        await self._process.send_packed(data)
        try:
            return await self._follow(progress_timeout_s)
        except _Stalled:
            return self.broken("stalled", f"no progress for {progress_timeout_s:g} s (its progress timeout)")
        except Ended as ended:
            return endings.of_interpreter(ended.how, self._seen(), self._job)
        except frames.BadFrame as error:
            return self.broken("crashed", f"it wrote into the channel to its worker: {error}")

    def broken(self, cause: str, message: str, **details: Any) -> Broken:
        return Broken(cause, message, {**details, **self._seen()})

    def _seen(self) -> dict[str, Any]:
        output = self._process.output()
        return {**({"stderr": output} if output else {}), "contained": self._process.contained}

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
            async with asyncio.timeout(progress_timeout_s) as silence:
                if self._job.program is not None and progress_timeout_s is not None:
                    self._process.on_output = lambda: _put_off(silence, progress_timeout_s)
                return await self._process.receive()
        except TimeoutError:
            raise _Stalled from None
        finally:
            self._process.on_output = nobody

    async def _reply(self, request: Any) -> frames.Frame:
        """The boundary's answer. The silence clock rests meanwhile: the call has a deadline of its own."""
        if not isinstance(request, dict) or not isinstance(request.get("arguments"), dict):
            raise frames.BadFrame("a call without arguments")
        _refuse_unsendable(request)
        try:
            value = await self._on_call(str(request.get("tool")), request["arguments"])
            frames.pack(frames.to_json({"ok": value}))
        except CallError as error:
            self._refused.add(error.cause)
            return {"error": {"cause": error.cause, "message": failures.clean(error.message)}}  # it may repeat what the child has sent
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
        if self._job.program is not None and "ended" in said:
            return endings.of_program(str(said["ended"])[:40], self._seen(), self._job)
        if said.get("memory"):
            return self.broken("crashed", endings.out_of_memory(self._job), **details)
        if said.get("from_call") and cause in self._refused:
            return self.broken(cause, message, from_call=True, **details)
        if cause not in _OWN_CAUSES:
            return self.broken("exception", f"claims the cause {cause!r}, which no call of it had: {message}", **details)
        return self.broken(cause, message, **details)


@lru_cache(maxsize=256)
def _resolved(folder: Path) -> str:
    """Once: a warm child goes on importing from where it began."""
    return str(folder.resolve())


def _packed(job: Job) -> bytes:
    folder = None if job.folder is None else _resolved(job.folder)
    described: dict[str, Any] = {"folder": folder, "function": job.function, "arguments": job.arguments, "context": job.context}
    if job.program is not None:
        described["program"] = {"argv": list(job.program.argv), "name": job.program.name, "scratch": str(job.program.scratch)}
    try:
        return frames.pack(frames.to_json({"job": described}))
    except (TypeError, ValueError, RecursionError) as error:
        raise frames.BadFrame(str(error)) from error


def _put_off(silence: asyncio.Timeout, by_s: float) -> None:
    """What a program prints is its sign of life."""
    with contextlib.suppress(RuntimeError):  # it has just run out
        silence.reschedule(asyncio.get_running_loop().time() + by_s)


def _refuse_unsendable(request: dict[str, Any]) -> None:
    """JSON can be read that can't be written: lone surrogates, numbers that overflow to infinity. What carries the call on would fail on it."""
    try:
        frames.to_json(request)
    except (TypeError, ValueError, RecursionError) as error:
        raise frames.BadFrame(f"a call that can't be handed on: {type(error).__name__}") from error


def _progress(said: Any) -> tuple[str | None, float | None]:
    if not isinstance(said, dict):
        raise frames.BadFrame("progress without its parts")
    message, fraction = said.get("message"), said.get("fraction")
    share = float(min(1, max(0, fraction))) if isinstance(fraction, int | float) else None  # cut first: an integer may be larger than any float
    return (None if message is None else str(message)[:500]), share


def _trail(said: Any) -> dict[str, Any]:
    lines = said[-failures.FRAMES :] if isinstance(said, list) else []
    return {"traceback": [failures.clean(str(line)) for line in lines]} if lines else {}
