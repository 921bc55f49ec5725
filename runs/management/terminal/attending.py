"""Being there while a run goes on: driving it here, or following one that somebody else drives, until it has ended.

The first Ctrl-C (or SIGTERM) cancels the run and waits for its end, the second leaves at once. Runs in the main thread's loop.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import DatabaseError, connections

from audit import clock
from audit.actors import Actor
from audit.errors import OrchestraError
from runs import services, sweeps
from runs.management.terminal.progress import Progress
from runs.management.terminal.screen import Screen
from runs.management.terminal.tracking import Tracker
from runs.models import Run, RunState, Step
from runs.worker import Engine, EngineOptions

LOOK_S = 0.25
LONELY_S = 5.0
LEAVING_S = 3.0
LATE_S = 5.0
LEFT = 13
T = TypeVar("T")


def attend(run: Run, *, screen: Screen, actor: Actor, drive: bool) -> None:
    """Return when the run has ended, or when the person has left it."""
    attendance = _Attendance(run, screen, actor)
    with attendance.progress.shown():
        asyncio.run(attendance.through(drive=drive))


class _Attendance:
    def __init__(self, run: Run, screen: Screen, actor: Actor) -> None:
        self.run, self.actor = run, actor
        self.tracker = Tracker(run)
        self.progress = Progress(screen, self.tracker)
        self._rows = ThreadPoolExecutor(1, thread_name_prefix="reading")  # its connection is no business of the loop's
        self._engine: Engine | None = None
        self._left = asyncio.Event()
        self._asks: set[asyncio.Task[None]] = set()
        self._signals = 0

    async def through(self, *, drive: bool) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupted)
        try:
            if drive:
                await self._drive(loop)
            if not self._left.is_set():
                await self._follow(alone=not drive)  # a worker beside us may have been quicker to take the run
            await asyncio.gather(*self._asks)
        finally:
            await self._close()

    async def _drive(self, loop: asyncio.AbstractEventLoop) -> None:
        """Past the deadline the run has failed whatever happens here, so nothing may keep this process any longer."""
        engine = self._engine = Engine(EngineOptions(only=frozenset({self.run.id}), listener=self.tracker.hear))
        late = loop.call_later((self.run.deadline_at - clock.now()).total_seconds() + LATE_S, engine.stop)
        try:
            await engine.run()
        finally:
            late.cancel()

    async def _close(self) -> None:
        await self._read(connections.close_all)
        self._rows.shutdown(wait=True)

    async def _read(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._rows, function)

    # --- following ---

    async def _follow(self, *, alone: bool) -> None:
        """The run's deadline bounds this: past it the run reads as failed, whoever is there to write it."""
        lonely_at = asyncio.get_running_loop().time() + LONELY_S
        while not await self._read(self._look) and not self._left.is_set():
            if alone and asyncio.get_running_loop().time() > lonely_at:
                alone = False
                if await self._read(self._is_lonely):
                    self.progress.say("no worker has been heard of: start one with `make worker`, or Ctrl-C to cancel")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._left.wait(), timeout=LOOK_S)

    def _look(self) -> bool:
        """Whether the run has ended; its steps are told to the tracker on the way."""
        row, now = Run.objects.get(id=self.run.id), clock.now()
        self.tracker.read(Step.objects.filter(run_id=self.run.id), now)
        return row.effective(now).state is RunState.FINISHED

    def _is_lonely(self) -> bool:
        return sweeps.needs_engine()

    # --- being interrupted ---

    def _interrupted(self) -> None:
        self._signals += 1
        loop = asyncio.get_running_loop()
        if self._signals == 1:
            self.progress.say("cancelling; once more leaves at once, and the run to whoever takes it")
            self._asks.add(loop.create_task(self._cancel()))
            return
        self._left.set()
        if self._engine is not None:
            self._engine.stop()
        if self._signals == 2:
            loop.call_later(LEAVING_S, self._leave_now)

    def _leave_now(self) -> None:
        """Whatever still holds this process up: the run's lease runs out by itself."""
        self.progress.close()
        os._exit(LEFT)

    async def _cancel(self) -> None:
        try:
            await self._read(lambda: services.cancel_run(run=str(self.run.id), actor=self.actor))
        except OrchestraError:
            return  # it ended in the same moment: the summary says how
        except DatabaseError as error:
            self.progress.say(f"the cancel could not be written ({type(error).__name__}); try `manage.py cancel {self.run.id}`")
