"""Calls of a team's programs: in the same children as functions, each with a home of its own that is gone afterwards.

Starts no process itself. Called by the boundary only.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

from agents.children import Broken, CallError, Job, MayGo, OnProgress, Program, Returned

from .children import Children

LONGEST_REMOVAL_S: Final = 5.0

_removals: set["asyncio.Task[None]"] = set()


async def call(
    children: Children, job: Job, *, argv: Sequence[str], timeout_s: float, progress_timeout_s: float | None, on_progress: OnProgress, may_go: MayGo
) -> Returned | Broken:
    """Run `argv` with the arguments of `job` on its stdin; the caller holds a place."""
    scratch = Path(tempfile.mkdtemp(prefix="orchestra-command-"))
    try:
        command = replace(job, program=Program(tuple(argv), scratch))
        return await children.call(
            command, timeout_s=timeout_s, progress_timeout_s=progress_timeout_s, on_call=_no_calls, on_progress=on_progress, may_go=may_go
        )
    finally:  # not awaited: a program may have left more files than its call has time for
        removal = asyncio.get_running_loop().create_task(_remove(scratch))
        _removals.add(removal)
        removal.add_done_callback(_removals.discard)


async def close() -> None:
    """Waits until the homes of ended calls are gone, for some seconds at most."""
    if _removals:
        await asyncio.wait(_removals, timeout=LONGEST_REMOVAL_S)


async def _remove(scratch: Path) -> None:
    for pause_s in (0.0, 0.5, 2.0):  # a cancelled call's program may write for another moment
        await asyncio.sleep(pause_s)
        if await asyncio.to_thread(_is_gone, scratch):
            return


def _is_gone(scratch: Path) -> bool:
    shutil.rmtree(scratch, ignore_errors=True)
    return not scratch.exists()


async def _no_calls(tool: str, _arguments: dict[str, Any]) -> NoReturn:
    raise CallError("denied", f"a command can't call {tool!r}")
