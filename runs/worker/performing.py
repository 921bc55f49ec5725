"""The side of a run that takes time: tasks that perform steps and carry their functions' calls through the boundary.

Tasks write nothing; they put what they have into the driver's inbox and wait until it is written.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from agents.prices import Used
from audit import clock
from runs import performers, store
from runs.engine.outcomes import Failed
from runs.engine.states import CallKind, Cause, Mode
from runs.engine.values import Agent, Plan
from runs.performers import Ask, CallError, Refusal, Reply, Request
from runs.worker.messages import Answer, Asked, Ended, Event, Gone, Input, Planned, Settled, Tools, Withdrawn

log = logging.getLogger(__name__)

FIRST_SHARE: Final = 0.25
"""Of the places for calls ahead of quick children, for runs that have yet to begin: so what has begun finds one as it ends its last step."""


class Performing:
    """The tasks of one run."""

    def __init__(self, run: UUID, plan: Plan, tools: Tools, inbox: "asyncio.Queue[Input]") -> None:
        self.run, self.plan, self.tools, self.inbox = run, plan, tools, inbox
        self._children = tools.boundary.children
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._places: set[performers.Place] = set()
        self._dropped: set[asyncio.Task[None]] = set()
        self._room: asyncio.Task[performers.Place] | None = None

    def __len__(self) -> int:
        return len(self._tasks)

    async def room_for(self, agent: Agent, until: datetime) -> None:
        """A run that would only wait for a child isn't begun yet: that takes no transaction, and no step's time runs.

        Returns when there is a place for its first call, which is this agent's: offered to it, if it makes the call before anything is awaited.
        Or when nobody is to wait any longer.
        """
        share = FIRST_SHARE if agent.mode is not Mode.AT_MOST_ONCE else 0
        place = self._children.take_now(self.run, agent.digest, ahead=share)
        if place is not None:
            self._children.offer(self.run, place)
            return
        self._room = room = asyncio.create_task(self._children.take(self.run, agent.digest, ahead=share))
        try:
            await asyncio.wait([room], timeout=(until - clock.now()).total_seconds())
        finally:
            self._room = None
            if room.done() and not room.cancelled():
                self._children.offer(self.run, room.result())
            room.cancel()

    def hurry(self) -> None:
        """Something has happened that is more important than room."""
        if self._room is not None:
            self._room.cancel()

    def launch(self, planned: Planned) -> None:
        """Start what a written transition has planned."""
        request = planned.request
        if planned.ended is not None or request is None:
            if planned.ended is not None:
                self.inbox.put_nowait(Ended(planned.ended))
        elif request.kind is CallKind.INLINE:
            reply = self.tools.boundary.answer_inline(request)
            self.inbox.put_nowait(Ended(performers.outcome_of(request, reply, chance=random.random())))
        else:
            record = planned.opened[0].call if planned.opened else planned.record
            task = self._tasks[planned.step.key] = asyncio.create_task(self._perform(request, record, planned.place))
            if planned.place is not None:
                task.add_done_callback(partial(_freed, planned.place))

    def __contains__(self, key: str) -> bool:
        return key in self._tasks

    def forget(self, ended: Ended) -> None:
        """It has been read. A task still at work is that of a later attempt."""
        if ended.place is not None:
            self._places.discard(ended.place)
            ended.place.give_back()
        key = ended.result.key
        if key in self._tasks and self._tasks[key].done():
            del self._tasks[key]

    def keep(self, keys: Collection[str]) -> None:
        """Abandon every step but these."""
        for key in self._tasks.keys() - set(keys):
            self.drop(key)

    def drop(self, key: str) -> None:
        """Abandon a step: its child is killed."""
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()
            self._dropped.add(task)
            task.add_done_callback(self._dropped.discard)

    async def drop_all(self) -> None:
        tasks = [*self._tasks.values(), *self._dropped]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for place in self._places:  # of ends that nobody has read
            place.give_back()
        self._places.clear()

    async def _perform(self, request: Request, record: store.CallRecord | None, place: performers.Place | None) -> None:
        try:
            ended = await self._ended(request, record, place)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("run %s: performing %s failed", self.run, request.step)
            message = f"the platform failed while it performed '{request.step}'; the worker's log says how"
            ended = Ended(Failed(request.step, request.attempt, Cause.LOST, message))
        self.inbox.put_nowait(ended)

    async def _ended(self, request: Request, record: store.CallRecord | None, place: performers.Place | None) -> Ended:
        if request.kind is CallKind.MODEL:
            return await self._asked_model(request, record)
        if request.kind is CallKind.TOOL:
            return await self._performed(request, record)
        return await self._in_child(request, record, place)

    async def _in_child(self, request: Request, record: store.CallRecord | None, place: performers.Place | None) -> Ended:
        """Its place is given back when its end has been read, so that the run's next step can have it; at once if there is none."""
        place = place or await self._children.take(request.run, request.agent.digest, ahead=request.may_wait)
        try:
            ended = replace(await self._performed(request, record), place=place)
        except BaseException:
            place.give_back()
            raise
        self._places.add(place)
        return ended

    async def _asked_model(self, request: Request, record: store.CallRecord | None) -> Ended:
        """A model's turn: the question, and if its answer breaks the contract one repair. Each is a call with its own intent and charge."""
        gone = 0
        while gone < store.MAX_ATTEMPTS:
            sent: Answer = record or await self._ask(request)
            record = None
            if isinstance(sent, Refusal | Ask):
                return Ended(performers.unsent(request, sent))
            if isinstance(sent, Gone):
                gone, request = gone + 1, replace(request, ordinal=request.ordinal + 1)
                continue
            settled = None
            if isinstance(sent, store.CallRecord):
                reply = await self.tools.boundary.ask_model(request)
                settled = self._end_of(sent, reply, reply.value)
            else:
                reply = performers.recalled(sent)
            repair = performers.following(request, reply)
            if repair is None:
                return Ended(performers.outcome_of(request, performers.meaning(request, reply), chance=random.random()), settled)
            if settled is not None:
                await self._write_end(settled, reply.value)
            request = repair
        message = f"{gone} workers in a row were gone before '{request.agent.name}' had its answer; it is not asked again"
        return Ended(Failed(request.step, request.attempt, Cause.LOST, message))

    async def _performed(self, request: Request, record: store.CallRecord | None) -> Ended:
        if record is None:
            answer = await self._ask(request)
            if isinstance(answer, Refusal | Ask):
                return Ended(performers.unsent(request, answer))
            assert isinstance(answer, store.CallRecord)
            record = answer
        try:
            reply = await self._carried_out(request)
        except performers.NeverSent:
            if not request.sent_before:
                never = Reply(cause=Cause.STOPPED, message="its step ended before a child was free", answered=False, sent=False, used=Used(0))
                self.inbox.put_nowait(Withdrawn(self._end_of(record, never, None)))
            raise
        evidence = {"stderr": reply.stderr} if reply.stderr else None
        settled = self._end_of(record, reply, evidence)
        if reply.cause is None:
            settled = replace(settled, late={**(evidence or {}), "value": reply.value})
        return Ended(performers.outcome_of(request, reply, chance=random.random()), settled)

    async def _carried_out(self, request: Request) -> Reply:
        """What breaks on our side leaves a call that is out, and perhaps done: it ends as one that was not answered."""
        try:
            return await performers.perform(self.tools.boundary, request, dispatch=self._tool_call, on_progress=self._progress_of(request))
        except Exception:
            log.exception("run %s: performing %s failed", self.run, request.step)
            message = f"the platform failed while it performed '{request.step}'; the worker's log says how"
            return Reply(cause=Cause.LOST, message=message, answered=False)

    def _end_of(self, record: store.CallRecord, reply: Reply, response: Mapping[str, Any] | None) -> store.CallSettled:
        if reply.answered:
            return store.confirmed(
                record,
                plan=self.plan,
                run=self.run,
                contained=reply.contained,
                response=response,
                cause=reply.cause,
                used=reply.used,
                observed=reply.observed,
            )
        cause = reply.cause or Cause.LOST
        return store.failed(
            record,
            plan=self.plan,
            run=self.run,
            contained=reply.contained,
            cause=cause,
            message=reply.message,
            used=reply.used,
            sent=reply.sent,
        )

    async def _tool_call(self, request: Request) -> Mapping[str, Any]:
        """A call that a function asked for: receipt or intent, the boundary, its settlement, and only then the function goes on."""
        answer = await self._ask(request)
        if isinstance(answer, Refusal):
            raise CallError(str(answer.cause), answer.message)
        if not isinstance(answer, store.CallRecord):
            assert not isinstance(answer, Gone | Ask)  # only a model is asked again in a call of its own, and only a whole step waits
            return answer
        reply = await self.tools.boundary.fetch(request)
        settled = self._end_of(answer, replace(reply, answered=reply.cause is None), reply.value)
        await self._write_end(settled, reply.value)
        if reply.cause is not None:
            raise CallError(str(reply.cause), reply.message)
        return dict(reply.value)

    async def _write_end(self, settled: store.CallSettled, response: Mapping[str, Any] | None) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.inbox.put_nowait(Settled(settled, response, done))
        await done

    async def _ask(self, request: Request) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.inbox.put_nowait(Asked(request, answer))
        return await answer

    def _progress_of(self, request: Request) -> Callable[[str | None, float | None], None]:
        def tell(message: str | None, fraction: float | None) -> None:
            self.tools.listener(Event(self.run, "progress", f"step:{request.step}", {"step": request.step}, message, fraction))

        return tell


def _freed(place: performers.Place, task: "asyncio.Task[None]") -> None:
    """A task that is cancelled before it began can't give anything back itself."""
    if task.cancelled():
        place.give_back()
