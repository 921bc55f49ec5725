"""Being there while a run goes on: driving it here, or following one that somebody else drives, until it has ended or needs somebody.

The first Ctrl-C (or SIGTERM) cancels the run and waits for its end, the second leaves at once; while it waits for its time, the first leaves
it to a worker. Runs in the main thread's loop.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from enum import Enum
from typing import TypeVar
from uuid import uuid4

from django.db import DatabaseError, connections

from audit import clock
from audit.actors import Actor
from audit.errors import Conflict, OrchestraError
from audit.management.typed import manage
from runs import services, sweeps
from runs.management.terminal.interrupts import HEEDED, Interrupts
from runs.management.terminal.progress import Progress
from runs.management.terminal.screen import Screen
from runs.management.terminal.tracking import Tracker
from runs.management.terminal.words import instant_of
from runs.models import Run, RunState, Step, StepState, Wait, WaitKind, WaitState
from runs.services import WantedWaits
from runs.worker import Engine, EngineOptions

LOOK_S = 0.25
LONELY_S = 5.0
LEAVING_S = 3.0
LATE_S = 5.0
TELL_S = 30.0
SOON_S = 1.0
LEFT = 13
T = TypeVar("T")


class Standing(Enum):
    """How a run stands for whoever would drive it."""

    OVER = "over"
    OPEN = "open"
    ELSEWHERE = "elsewhere"
    WAITS = "waits"
    NEEDS_SOMEBODY = "needs somebody"


def attend(run: Run, *, screen: Screen, actor: Actor, drive: bool, kept: Interrupts) -> None:
    """Return when the run has ended, when one that is driven here needs somebody to go on, or when the person has left it.

    `kept`: within which it was started.
    """
    attendance = _Attendance(run, screen, actor)
    with attendance.progress.shown():
        asyncio.run(attendance.through(drive=drive, kept=kept))


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
        self._wakes_at: datetime | None = None
        self._drives = self._tells = False
        self._kept_for = run.lease_owner if run.fence == 0 else None
        """The engine that it was started for: the first one here. Whoever comes later has an id of its own."""

    async def through(self, *, drive: bool, kept: Interrupts) -> None:
        loop, self._drives = asyncio.get_running_loop(), drive
        for number in HEEDED:
            loop.add_signal_handler(number, self._interrupted)
        if kept.came:
            self._interrupted()
        try:
            await (self._go_on(loop) if drive else self._follow())
            await asyncio.gather(*self._asks)
        finally:
            await self._close()

    async def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Drive it whenever it is nobody's; a worker beside us may be quicker to take it. One that waits for its time is waited for."""
        while not self._left.is_set():
            standing = await self._read(self._stand)
            if standing is Standing.OVER:
                return
            if standing is Standing.NEEDS_SOMEBODY:
                await self._tell()
                return
            self._say_wait(standing)
            if standing is Standing.OPEN:
                await self._drive(loop)
            else:
                await self._pause()

    async def _tell(self) -> None:
        """Whoever it needs, also where no worker sweeps; the first Ctrl-C leaves that. What isn't sent then a worker or `manage.py sweep` sends."""
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        self._tells = True
        threading.Thread(target=_tell, args=(lambda: loop.call_soon_threadsafe(told.set),), name="telling", daemon=True).start()
        waits = [asyncio.create_task(event.wait()) for event in (told, self._left)]
        if not (await asyncio.wait(waits, timeout=SOON_S, return_when=asyncio.FIRST_COMPLETED))[0]:
            self.progress.say(f"telling whoever it needs; Ctrl-C leaves that to a worker or `{manage()} sweep`")
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _say_wait(self, standing: Standing) -> None:
        if standing is not Standing.WAITS:
            if self._wakes_at is not None:
                self.progress.unsay()
            self._wakes_at = None
        elif self._wakes_at != self.run.wake_at and self.run.wake_at is not None:
            self._wakes_at = self.run.wake_at
            self.progress.say(f"waits until {instant_of(self.run.wake_at)}; Ctrl-C leaves it to a worker")

    async def _drive(self, loop: asyncio.AbstractEventLoop) -> None:
        """Past the deadline the run has failed whatever happens here, so nothing may keep this process any longer."""
        engine = self._engine = Engine(EngineOptions(only=frozenset({self.run.id}), listener=self.tracker.hear, id=self._kept_for or uuid4()))
        self._kept_for = None
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

    async def _follow(self) -> None:
        """The run's deadline bounds this: past it the run reads as failed, whoever is there to write it."""
        lonely_at, alone = asyncio.get_running_loop().time() + LONELY_S, True
        while not await self._read(self._look) and not self._left.is_set():
            if alone and asyncio.get_running_loop().time() > lonely_at:
                alone = False
                if await self._read(self._is_lonely):
                    self.progress.say("no worker has been heard of: start one with `make worker`, or Ctrl-C to cancel")
            await self._pause()

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._left.wait()

    def _look(self) -> bool:
        """Whether the run has ended; its steps are told to the tracker on the way."""
        return self._stand() is Standing.OVER

    def _stand(self) -> Standing:
        """Read anew: a wait has moved its deadline, and another worker may have it."""
        self.run, now = Run.objects.select_related("pipeline").get(id=self.run.id), clock.now()
        rows = list(Step.objects.filter(run_id=self.run.id))
        waits = Wait.objects.filter(run_id=self.run.id, state=WaitState.OPEN) if any(row.state == StepState.WAITING for row in rows) else ()
        self.tracker.read(rows, now, {wait.step: (wait.kind, wait.subject) for wait in waits})
        if self.run.effective(now).state is RunState.FINISHED:
            return Standing.OVER
        if self._is_kept() or Run.objects.ready(now).filter(id=self.run.id).exists():
            return Standing.OPEN
        if self.run.state != RunState.WAITING:
            return Standing.ELSEWHERE
        waits = services.waits_wanted(WantedWaits(run=self.run.id), actor=self.actor, now=now)
        return Standing.NEEDS_SOMEBODY if waits.exclude(kind=WaitKind.TIMER).exists() else Standing.WAITS

    def _is_kept(self) -> bool:
        return self._kept_for is not None and (self.run.fence, self.run.lease_owner) == (0, self._kept_for)

    def _is_lonely(self) -> bool:
        return sweeps.needs_engine()

    # --- being interrupted ---

    def _interrupted(self) -> None:
        self._signals += 1
        loop = asyncio.get_running_loop()
        if self._signals == 1 and self._tells:
            self._leave()
            return
        if self._signals == 1:
            self._asks.add(loop.create_task(self._leave_or_cancel()))
            return
        self._leave()
        if self._signals == 2:
            loop.call_later(LEAVING_S, self._leave_now)

    def _leave(self) -> None:
        self._left.set()
        if self._engine is not None:
            self._engine.stop()

    def _leave_now(self) -> None:
        """Whatever still holds this process up: the run's lease runs out by itself."""
        self.progress.close()
        os._exit(LEFT)

    async def _leave_or_cancel(self) -> None:
        """What is driven here and waits at this moment needs nobody here; everything else is cancelled."""
        with contextlib.suppress(DatabaseError):
            if self._drives and await self._read(self._stand) in (Standing.WAITS, Standing.NEEDS_SOMEBODY):
                self._leave()
                return
        self.progress.say("cancelling; once more leaves at once, and the run to whoever takes it")
        await self._cancel()

    async def _cancel(self) -> None:
        try:
            await self._read(lambda: services.cancel_run(run=str(self.run.id), actor=self.actor))
        except Conflict:
            return  # it ended in the same moment: the summary says how
        except OrchestraError as error:
            self.progress.say(f"not cancelled: {error.message}; once more leaves it")
        except DatabaseError as error:
            self.progress.say(f"the cancel could not be written ({type(error).__name__}); try `{manage()} cancel {self.run.id}`")


def _tell(done: Callable[[], object]) -> None:
    """In a thread of its own, with a connection of its own."""
    try:
        sweeps.look_beside()
        sweeps.finish_beside(TELL_S)
    finally:
        connections.close_all()
        with contextlib.suppress(RuntimeError):  # nobody waits any more
            done()
