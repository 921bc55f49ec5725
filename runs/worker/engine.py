"""One engine process: claims runs as long as it has room, keeps their leases, and sees what others change.

A heartbeat that fails for longer than the lease means that authority is lost: everything is dropped, and the rows say how it goes on.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import DatabaseError

from audit import clock
from audit.actors import Actor
from runs import bell, performers, store, sweeps
from runs.models import Run
from runs.worker import presence, unprepared
from runs.worker.driver import Driver
from runs.worker.messages import Tools
from runs.worker.options import EngineOptions, unharmed

log = logging.getLogger(__name__)

LOOK_S = 0.5
CLAIM_S = 1.0
"""The bell makes either look sooner. These two are what losing it costs."""
SOONEST_S = 0.1
"""However often it rings, a look reads the rows of all runs at work."""
GATHER_S = 0.01
"""While there is work anyway, runs that become ready within so long are claimed together."""
GIVE_UP_S = 2.0
STUCK_S = 90.0
"""The database's own timeouts are shorter: what has not come back by then never will."""
CLAIM_BATCH = 64
SWEEP_S = 1.0
MARGIN_S = 1.0
READS = 2


async def _first(event: asyncio.Event, seconds: float) -> None:
    """Until it happens, and no longer than this. (wait_for would forget a cancel that comes just as it happens.)"""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


@dataclass(frozen=True, slots=True)
class _Read:
    """Claimed runs and what their first calls need."""

    loaded: list[store.Loaded]
    folders: Mapping[str, Path]
    stands: performers.Stands
    asked_at: datetime


class Engine:
    """Create and run it inside one event loop, that of the main thread (children die with the thread that spawned them)."""

    def __init__(self, options: EngineOptions | None = None) -> None:
        self.options = options or EngineOptions()
        self.id = self.options.id
        self.tools = Tools(
            store.Committer(),
            performers.Boundary(children=self.options.children),
            Actor.system("worker"),
            unharmed(self.options.listener),
            self.wake,
        )
        self._drivers: dict[UUID, Driver] = {}
        self._driving: dict[UUID, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()
        self._room, self._moved = asyncio.Event(), asyncio.Event()
        self._draining = False
        self._taken = 0
        self._swept_at: datetime | None = None
        self._held_until = 0.0
        self._is_crowded = self._family_at_work = False
        self._last_work = self._looked_at = time.monotonic()

    async def run(self) -> None:
        """Until stopped, idle for too long, or done with the runs it was made for."""
        await self._call(presence.announce, self.id, serves_all=self.options.only is None)
        work = (self._claiming(), self._beating(), self._looking(), self._sweeping(), bell.listen(self._heard))
        loops: list[asyncio.Task[None]] = [asyncio.create_task(loop) for loop in work]
        try:
            await self._until_done(loops)
        finally:
            await self._close(loops)

    def stop(self) -> None:
        """Leave: runs are given back to whoever comes next. Safe to call from a signal handler of the loop."""
        self._stopping.set()

    def drain(self, seconds: float) -> None:
        """Leave: take nothing more, let what is at work end for so long, then stop. Call it in the engine's loop."""
        self._draining = True
        self._room.set()
        asyncio.get_running_loop().call_later(seconds, self.stop)

    @property
    def is_draining(self) -> bool:
        return self._draining

    def is_stuck(self) -> bool:
        """Whether a look for ready runs, which comes every second, has not come back for far too long."""
        return time.monotonic() - self._looked_at > STUCK_S

    def wake(self) -> None:
        """A run is ready: look now instead of at the next turn. Call it in the engine's loop."""
        self._room.set()

    def _heard(self, run: UUID | None) -> None:
        """The bell: one of ours was changed, or another is ready."""
        if run is None or run in self._driving:
            self._moved.set()
        if run not in self._driving and (run is None or self.options.only is None or run in self.options.only or self._family_at_work):
            self.wake()

    async def _until_done(self, loops: list["asyncio.Task[None]"]) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        done, _ = await asyncio.wait([stopping, *loops], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done:
            if task is not stopping:
                task.result()  # a loop ends by itself only when its work is done, or with the error that ends the engine

    async def _close(self, loops: list["asyncio.Task[None]"]) -> None:
        held = list(self._driving)
        for task in (*loops, *self._driving.values()):
            task.cancel()
        await asyncio.gather(*loops, *self._driving.values(), return_exceptions=True)
        await self.tools.boundary.close()
        try:
            await self._call(store.release_lease, owner=self.id, runs=held)
            await self._say()
            await self._call(presence.leave, self.id)
        except DatabaseError as error:
            log.warning("leases could not be given back (%s); they run out in %s", error, self.options.ttl)
        await self.tools.committer.close()

    async def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await self.tools.committer.call(function, *args, **kwargs)

    # --- claiming ---

    async def _claiming(self) -> None:
        while True:
            self._room.clear()  # before the look: whoever rings while it is under way gets another
            room, was_idle = self._places(), not self._driving
            claimed = await self._claimed_or_none(room)
            self._looked_at = time.monotonic()
            if claimed:
                self._last_work = time.monotonic()
            if was_idle and self._is_done():  # else a run that parked meanwhile may have children that this look could not see
                return
            if claimed < room or not self._places():  # nothing else is ready, or there is no room for it
                await _first(self._room, CLAIM_S)
            if self._driving:
                await asyncio.sleep(GATHER_S)

    def _places(self) -> int:
        if self._draining:
            return 0
        return max(min(self.options.concurrency - len(self._driving), CLAIM_BATCH), 0)

    async def _claimed_or_none(self, room: int) -> int:
        try:
            return await self._claim(room)
        except DatabaseError as error:
            log.warning("no run can be claimed (%s)", error)
            await asyncio.sleep(1.0)
            return 0

    def _is_done(self) -> bool:
        if self._driving:
            self._last_work = time.monotonic()
            return False
        if self._draining:
            return True
        if self.options.only is not None:
            return not self._family_at_work and (not (self.options.only - set(self._drivers)) or self._gave_up())
        return self.options.idle_s is not None and time.monotonic() - self._last_work > self.options.idle_s

    def _gave_up(self) -> bool:
        """A run that somebody else holds, or that has ended, can't be claimed here."""
        return time.monotonic() - self._last_work > GIVE_UP_S

    async def _claim(self, room: int) -> int:
        wanted = self.options.only
        if not room or wanted == frozenset():
            return 0
        sent = time.monotonic()
        runs, read = await self._call(self._claimed, room, wanted, self._held())
        self._is_crowded = len(runs) >= room
        if not runs:
            return 0
        self._taken += len(runs)
        if not self._driving:  # else an older lease, which only a heartbeat prolongs, bounds what we hold
            self._held_until = sent + self.options.ttl.total_seconds() - MARGIN_S
        await (self._take(runs) if read is None else self._begin(read))
        return len(runs)

    def _held(self) -> dict[str, Any]:
        """What a claim must know of what is driven here. Where more wait than there is room for, the room is shared."""
        runs = [(driver.loaded.run, driver.attempt) for driver in self._live()]
        places = Counter((run.team_id, run.pipeline_id) for run, _ in runs) if self._is_crowded else None
        return {"held": places, "driven": [(attempt, run.lease_until) for run, attempt in runs]}

    def _claimed(self, room: int, wanted: Collection[UUID] | None, held: Mapping[str, Any]) -> tuple[list[Run], _Read | None]:
        """In a committer thread: claimed and read in one visit. What can't be read is looked at run by run."""
        # Before the claim: a child that ends after this look has made its parent ready, and the next claim finds that one.
        self._family_at_work = wanted is not None and store.family_at_work(wanted)
        runs = store.claim(owner=self.id, ttl=self.options.ttl, limit=room, only=wanted, **held)
        try:
            return runs, self._read(runs) if runs else None
        except Exception as error:  # noqa: BLE001 - it comes again, and is dealt with there
            log.warning("%d claimed runs can't be read together (%s)", len(runs), error)
            return runs, None

    def _read(self, runs: Sequence[Run]) -> _Read:
        """In a committer thread: all that the first calls of these runs need; code unpacked, standings as they are now."""
        loaded = store.load_rows(runs)
        plans = {each.snapshot.plan.release: each.snapshot.plan for each in loaded}.values()
        missing = {digest for plan in plans for digest in performers.artifacts(plan)} - set(self.tools.boundary.folders)
        asked_at = clock.now()
        pipelines = {place.pipeline for each in loaded for place in each.line}
        wanted = performers.Wanted({name for plan in plans for name in plan.agents}, pipelines, {each.behalf for each in loaded if each.behalf})
        stands = performers.as_it_stands(wanted, self.tools.boundary.stops)
        return _Read(loaded, performers.unpacked(sorted(missing)), stands, asked_at)

    async def _take(self, runs: list[Run]) -> None:
        """One run that can't be read must not keep its neighbours from starting."""
        try:
            read = await self._read_again(runs)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one run; it is logged or ends that run
            if len(runs) == 1:
                await self._end_unprepared(runs[0], error)
                return
            for run in runs:
                await self._take([run])
            return
        await self._begin(read)

    async def _read_again(self, runs: list[Run]) -> _Read:
        """A broken connection is replaced when it fails, and each committer thread has one: they are nobody's but ours by now."""
        for _ in range(READS):
            try:
                return await self._once_read(runs)
            except DatabaseError as error:
                log.warning("%d claimed runs can't be read (%s); trying again", len(runs), error)
        return await self._once_read(runs)

    async def _once_read(self, runs: list[Run]) -> _Read:
        read: _Read = await self._call(self._read, runs)
        return read

    async def _begin(self, read: _Read) -> None:
        self.tools.boundary.folders.update(read.folders)
        self.tools.boundary.look(read.stands, asked_at=read.asked_at)
        wanted = {provider for each in read.loaded for provider in performers.providers(each.snapshot.plan)}
        unready = await self.tools.boundary.get_ready(wanted)
        for each in read.loaded:
            if each.is_broken:
                await self._call(sweeps.mark_broken, each.run)
            else:
                await self._start_or_end(unprepared.fitted(each, unready))

    async def _start_or_end(self, loaded: store.Loaded) -> None:
        try:
            await self._start(loaded)
        except Exception as error:  # noqa: BLE001 - a row that no driver can begin with must not end the engine
            await self._end_unprepared(loaded.run, error)

    async def _end_unprepared(self, run: Run, error: Exception) -> None:
        """It ends here, is left to the next claim, or reads broken from now on."""
        loaded: store.Loaded | None = await self._call(unprepared.to_be_ended, run, error)
        if loaded is not None:
            await self._start(loaded)

    async def _start(self, loaded: store.Loaded) -> None:
        former = self._driving.get(loaded.run.id)
        if former is not None:  # our own lease had run out and we took the run again: what worked under the old fence ends first
            former.cancel()
            await asyncio.gather(former, return_exceptions=True)
        driver = Driver(loaded, self.tools)
        self._drivers[driver.run] = driver
        task = asyncio.create_task(self._drive(driver))
        self._driving[driver.run] = task
        task.add_done_callback(partial(self._driven, driver))
        log.info("run %s: taken", driver.run)

    async def _drive(self, driver: Driver) -> None:
        try:
            await driver.drive()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("run %s can't be driven here; its lease runs out and another worker takes it", driver.run)

    def _driven(self, driver: Driver, task: "asyncio.Task[None]") -> None:
        """However it ended: a task that is cancelled before it begins runs none of its own code, and a run that stays listed keeps its lease."""
        if self._draining or len(self._driving) >= self.options.concurrency or self.options.only is not None:
            self._room.set()  # room for another, or perhaps the end
        if self._driving.get(driver.run) is task:
            del self._driving[driver.run]
            self.tools.boundary.leave(driver.run)
            if self.options.only is None:
                self._drivers.pop(driver.run, None)
        log.info("run %s: %s", driver.run, "finished" if driver.finished else "no longer driven here")

    # --- authority ---

    async def _beating(self) -> None:
        while True:
            await asyncio.sleep(self.options.beat_s)
            await self._beat()

    async def _beat(self) -> None:
        sent = time.monotonic()
        held = dict(self._driving)
        try:
            ours = await self._call(store.heartbeat, owner=self.id, ttl=self.options.ttl, runs=list(held))
            self._held_until = sent + self.options.ttl.total_seconds() - MARGIN_S
            lost = [run for run, task in held.items() if run not in ours and self._driving.get(run) is task and not self._is_parked(run)]
            self._drop(lost, "another worker holds it")  # what was parked meanwhile and taken up again here has a lease of its own
            await self._say()
        except DatabaseError as error:
            log.warning("heartbeat failed (%s)", error)
            if time.monotonic() >= self._held_until:
                self._drop(list(self._driving), "its lease could not be prolonged")

    def _is_parked(self, run: UUID) -> bool:
        """Its lease was given back when it parked, or it has left already: nobody took it from us."""
        driver = self._drivers.get(run)
        return driver is None or driver.parked

    async def _say(self) -> None:
        counts = presence.counts(self._taken, self.tools.committer.sizes)
        await self._call(presence.beat, self.id, driving=len(self._driving), swept_at=self._swept_at, counts=counts)

    def _drop(self, runs: list[UUID], why: str) -> None:
        for run in runs:
            task = self._driving.get(run)
            if task is not None:
                log.warning("run %s is dropped: %s", run, why)
                task.cancel()

    async def _looking(self) -> None:
        while True:
            await _first(self._moved, LOOK_S)
            self._moved.clear()  # before the look, as above
            if time.monotonic() >= self._held_until:
                self._drop(list(self._driving), "its lease has run out")
            if self._driving:
                # A database that is cut off says nothing, not even no: whoever waited for it would not see that the lease has run out.
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._held_until - time.monotonic()):
                        await self._look()
                await asyncio.sleep(SOONEST_S)

    async def _look(self) -> None:
        try:
            seen = await self._call(store.look, list(self._driving))
            names, around = {name for driver in self._live() for name in driver.snapshot.plan.agents}, self.tools.boundary.around
            asked_at = clock.now()
            wanted = performers.Wanted(names, around.pipelines, around.people)
            self.tools.boundary.look(await self._call(performers.as_it_stands, wanted, self.tools.boundary.stops), asked_at=asked_at)
        except DatabaseError as error:
            log.warning("a look at the runs failed (%s)", error)
            return
        for driver in self._live():
            look = seen.get(driver.run)
            if look is not None and (look.revision > driver.seen.revision or driver.heeded != self.tools.boundary.stops.generation):
                driver.poke(look.revision)

    async def _sweeping(self) -> None:
        """What time has decided for runs that nobody drives."""
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self._call(sweeps.end_overdue)
                await self._call(sweeps.fit_engines)
                await self._call(sweeps.look_beside)
                self._swept_at = clock.now()
            except Exception:  # not the engine's end: the runs at work are none of the sweep's, and health says since when none came through
                log.exception("a sweep failed; the next one comes in %g s", SWEEP_S)

    def _live(self) -> list[Driver]:
        return [self._drivers[run] for run in list(self._driving)]
