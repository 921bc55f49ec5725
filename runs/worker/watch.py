"""An engine's word that its loop still turns: to the supervisor, and to a guard in its own process that no hang of Python's can hold up.

The guard ends the process with the trace of every thread; the supervisor, or whoever else keeps workers, starts another.
"""

import asyncio
import contextlib
import faulthandler
import os

from runs.worker.engine import Engine
from runs.worker.spawn import hang_s

STDERR = 2
TICK_S = 1.0
DRAIN_S = 7.0
"""With what comes after it, less than the ten seconds after which whoever asked it to end kills it."""


async def ticking(engine: Engine, told: int | None) -> None:
    """Until cancelled. An engine that got no answer of its database for too long hangs too, though its loop turns."""
    try:
        while True:
            if not engine.is_stuck():
                faulthandler.dump_traceback_later(hang_s(), exit=True, file=STDERR)
                _tell(told)
            await asyncio.sleep(TICK_S)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _tell(told: int | None) -> None:
    if told is not None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):  # a supervisor that stands still or has died is no business of ours
            os.write(told, b".")


def hold_lifeline(engine: Engine, told: int) -> None:
    """When standard input ends, whoever watched over this engine has died: it leaves, so that the next one starts with one engine."""
    os.set_blocking(told, False)
    os.set_inheritable(told, False)
    loop = asyncio.get_running_loop()

    def read() -> None:
        if not os.read(0, 1024):
            loop.remove_reader(0)
            engine.drain(DRAIN_S)

    loop.add_reader(0, read)
