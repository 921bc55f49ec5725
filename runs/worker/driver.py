"""One run, driven: outcomes come into its inbox, each becomes one transition, and what that opens is performed.

Holds the snapshot while the lease is held; reads the rows again only when the revision moved. One driver per run and process.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from django.db import DatabaseError

from audit import clock
from runs import services, store
from runs.engine import machine
from runs.engine.commands import Move
from runs.engine.outcomes import Failed, Result
from runs.engine.states import CallKind, CallState, Cause, RunState, StepState
from runs.performers import Ask, Refusal
from runs.worker import halting, planning
from runs.worker.messages import Asked, Ended, Ends, Event, Gone, Input, Intents, Poked, Resent, Settled, Tools, Withdrawn, give, unread
from runs.worker.performing import Performing
from runs.worker.planning import Calls, Turn, admitted, carried_on, diverged, first_in_child, is_under_way, judged_by, planned, record_of, told_late
from runs.worker.relatives import tell_family

log = logging.getLogger(__name__)

GRACE_S = 0.25
"""How long after a step's deadline the engine itself ends it: the boundary ends it at the deadline and keeps the evidence."""
MOST_REREADS = 20


class LostAuthority(Exception):
    """Somebody else holds the run: nothing more may be done for it here."""


class Driver:
    """Cancel `drive` to abandon the run: what is at work is killed and nothing is written."""

    def __init__(self, loaded: store.Loaded, tools: Tools) -> None:
        self.run, self.team = loaded.run.id, loaded.run.team.name
        self.tools = tools
        self.inbox: asyncio.Queue[Input] = asyncio.Queue()  # of each step at work one, for it waits for its answer, and one poke
        self.finished = self._is_poked = False
        self.unsent: set[str] = set()
        self.heeded = tools.boundary.stops.generation
        self._closing: Sequence[store.CallSettled] = ()
        self._left: Sequence[store.CallSettled] = ()
        self.performing = Performing(self.run, loaded.snapshot.plan, tools, self.inbox)
        self._take_over(loaded)

    def _take_over(self, loaded: store.Loaded) -> None:
        self.loaded, self.snapshot, self.seen = loaded, loaded.snapshot, loaded.seen
        self.attempt = loaded.run.attempt
        self.calls = store.call_records(loaded.calls.values())
        self.responses = dict(loaded.responses)
        self.tools.boundary.take_up(self.run, loaded.line, loaded.behalf, priority=loaded.run.priority)

    @property
    def parked(self) -> bool:
        """Nothing of it can go on: whatever ends its wait brings it back, here or elsewhere."""
        return self.snapshot.run.state is RunState.WAITING

    async def drive(self) -> None:
        """Until the run has finished, waits, or is no longer ours."""
        try:
            if not self.tools.boundary.children.are_free and self._overruled() is None and (agent := first_in_child(self.snapshot)) is not None:
                await self.performing.room_for(agent, self.snapshot.run.deadline_at)
            await self._settle(self._first)
            while not (self.finished or self.parked):
                await self._react(await self._next())
        except LostAuthority as lost:
            log.warning("run %s is no longer driven here: %s", self.run, str(lost) or "another worker holds it")
        except DatabaseError:
            raise  # it may pass: whoever takes the run next goes on
        except Exception as error:
            log.exception("run %s: driving it failed", self.run)
            await self._end_as_lost(error)
        finally:
            await self.tools.committer.lasting(self._let_go())  # whoever cancels it twice must not lose what was answered either

    async def _let_go(self) -> None:
        """Nobody goes on here. What was answered, written or not, is written as the calls' own truth: conditional on each being dispatched."""
        await self.performing.drop_all()
        self.tools.boundary.leave(self.run)
        answered = [each for each in (*self._closing, *self._arrived()) if self._is_news(each)]
        ends = {each.call.key: each for each in reversed([*answered, *self._left])}
        if ends:
            await self._tell_late(list(ends.values()))

    async def _tell_late(self, ends: list[store.CallSettled]) -> None:
        await self.tools.committer.call(services.settle_late, run=self.run, team=self.team, ends=ends, actor=self.tools.actor)

    async def _end_as_lost(self, error: Exception) -> None:
        """What failed here by itself would fail at the next worker too, and the run would only be seen to hang until its deadline."""
        message = f"the platform failed while it drove this run ({type(error).__name__}); the worker's log says how"
        await self._settle(lambda: machine.failed_run(self.snapshot, Cause.LOST, message, clock.now()))

    def poke(self, revision: int | None = None) -> None:
        if not self._is_poked:  # one that has yet to be read says enough: the rows are then read as they are
            self._is_poked = True
            self.performing.hurry()
            self.inbox.put_nowait(Poked(revision))

    async def _next(self) -> Input:
        if not self.inbox.empty():  # what has arrived comes before what time says: waiting for no time at all would never read it
            return self.inbox.get_nowait()
        pause = (machine.wake_at(self.snapshot) - clock.now()).total_seconds() + (GRACE_S if len(self.performing) else 0.0)
        try:
            async with asyncio.timeout(max(pause, 0.0)):  # wait_for would make a task for each
                return await self.inbox.get()
        except TimeoutError:
            return Poked()

    async def _react(self, event: Input) -> None:
        match event:
            case Ended():
                await self._take_end(event)
            case Asked():
                await self._write_intent(event)
            case Settled():
                await self._write_end(event)
            case Withdrawn(settled=settled) if self._is_over(settled.call):
                await self.tools.committer.lasting(self._tell_late([settled]))
            case Poked(revision=revision):
                self._is_poked = False
                if revision is not None and revision > self.seen.revision:
                    await self._reload(())
                if not self.finished:
                    await self._settle(self._timed)

    async def _take_end(self, event: Ended) -> None:
        self.performing.forget(event)
        closing = () if event.settled is None else (event.settled,)
        late = [each for each in closing if not self._is_dispatched(each.call) and self._is_news(each)]
        if late:
            await self.tools.committer.lasting(self._tell_late(late))  # given up as it was answered
        await self._settle(lambda: self._absorbed(event.result, closing), closing)

    def _first(self) -> Move:
        now, loaded = clock.now(), self.loaded
        if loaded.run.attempt > store.MAX_ATTEMPTS:
            message = f"{loaded.run.attempt - 1} workers in a row took this run and were gone before its next step was written"
            return machine.failed_run(self.snapshot, Cause.LOST, message, now)
        return machine.begin(self.snapshot, now)

    def _overruled(self) -> Move | None:
        """What comes before anything else: a record that can't be trusted, a cancel, the run's own deadline."""
        now, run, problem = clock.now(), self.snapshot.run, self.loaded.problem
        if problem is not None:
            return machine.failed_run(self.snapshot, problem.cause, problem.message, now)
        if run.cancel_by is not None or now >= run.deadline_at:
            return machine.decide(self.snapshot, now)
        return None

    def _absorbed(self, result: Result, closing: Sequence[store.CallSettled]) -> Move:
        """What came back. Where it failed before its call had an end, and that may have acted, it is not failed but unresolved."""
        judged, now = judged_by(self.calls, result, closing), clock.now()
        if isinstance(judged, Failed) and not closing and self._is_at_work(judged.key, judged.attempt):
            step = self.snapshot.steps[judged.key]
            acted = halting.may_have_acted(step, self.calls)
            if acted is not None:
                return halting.parked(self.snapshot, step, acted, judged.message, now)
        return machine.absorb(self.snapshot, judged, now)

    def _timed(self) -> Move:
        """What time alone brings, and a stop. A step at its deadline whose call may have acted is not late but unresolved."""
        now, self.heeded = clock.now(), self.tools.boundary.stops.generation
        answered = {each.result.key for each in unread(self.inbox) if isinstance(each, Ended)} if self.tools.boundary.stops.every else ()
        halted = halting.halted(self.snapshot, self.calls, answered, self.tools.boundary, now) or halting.late(self.snapshot, self.calls, now)
        return halted or machine.decide(self.snapshot, now)

    # --- one transition ---

    async def _settle(self, decide: Callable[[], Move], settled: Ends = (), opened: Intents = (), resent: Resent = ()) -> None:
        """Decide, write, carry out. If the row moved meanwhile, read it again and decide the same thing anew."""
        self._closing = settled
        for tries in range(MOST_REREADS):
            if self.finished or (tries and self.parked):
                return None  # a run that was parked by a commit without an answer: taken up now, its wait would count as time to work
            overruled = self._overruled()
            turn = self._turn(overruled or decide(), settled, *(((), ()) if overruled else (opened, resent)))
            if turn.is_empty:
                self.snapshot = turn.transition.move.snapshot
                for plan in turn.plans:
                    self.performing.launch(plan)
                return await self._take_in_hand() if tries else None
            written = await self._written(turn)
            if written is not None:
                self._advance(turn, written)
                await tell_family(self.tools, self.run, self.snapshot.plan, turn.transition.move, written.ready)
                for call in told_late(turn.transition.move, self.loaded.calls):
                    await self.tools.committer.call(services.take_late, call=call, actor=self.tools.actor)
                return await self._take_in_hand() if tries else None
        raise LostAuthority(f"a transition could not be written in {MOST_REREADS} tries")

    async def _take_in_hand(self) -> None:
        """After a commit whose answer was lost, what it opened is written and in nobody's hands, whatever else was written since."""
        answered = {event.result.key for event in unread(self.inbox) if isinstance(event, Ended)}
        running = [key for key in sorted(self.snapshot.open - answered) if self.snapshot.steps[key].state is StepState.RUNNING]
        idle = tuple(key for key in running if key not in self.performing)
        if idle and not self.finished:
            await self._settle(lambda: Move(self.snapshot, perform=idle))

    def _turn(self, move: Move, settled: Ends, opened: Intents, resent: Resent) -> Turn:
        new = [each for each in opened if each.call.key not in self.calls and self._is_at_work(each.call.step, each.call.attempt)]
        opened = [each for each in new if clock.now() < each.call.not_after and self.tools.boundary.has_room(each.grants)]
        opened = [each for each in opened if not halting.is_stopped(each.call, self.snapshot, self.tools.boundary)]
        resent = [each for each in resent if self._is_dispatched(each) and not halting.is_stopped(each, self.snapshot, self.tools.boundary)]
        closing = [each for each in settled if self._is_dispatched(each.call)]
        closing += self._abandoned(move, {each.call.key for each in closing})
        known = Calls(self.calls, self.responses, self.unsent)
        move = carried_on(move.at(store.with_account(move.snapshot, opened, closing)), known, self.tools.boundary)
        also = self._abandoned(move, {each.call.key for each in closing})
        snapshot = store.with_account(move.snapshot, (), also)
        closing += also
        plans = []
        for key in move.perform:
            plan = planned(snapshot.steps[key], snapshot, known, self.tools.boundary)
            snapshot = store.with_account(snapshot, plan.opened, plan.settled)
            plans.append(plan)
        transition = store.Transition(
            run=self.run,
            team=self.team,
            seen=self.seen,
            move=move.at(snapshot),
            actor=self.tools.actor,
            attempt=self.attempt,
            deadline_at=self.snapshot.run.deadline_at,
            generation=self.tools.boundary.stops.generation,
            opened=(*opened, *(each for plan in plans for each in plan.opened)),
            settled=(*closing, *(each for plan in plans for each in plan.settled)),
            resent=(*resent, *(plan.resent for plan in plans if plan.resent is not None)),
        )
        return Turn(transition, tuple(plans))

    async def _written(self, turn: Turn) -> store.Committed | None:
        try:
            answer: store.Committed | store.Stale = await self.tools.committer.commit(turn.transition)
        except DatabaseError as error:
            log.warning("run %s: a transition may not have been written (%s); reading the run again", self.run, error)
            answer = store.Stale(lost=False)
        except BaseException:
            self._give_back(turn)
            raise
        if isinstance(answer, store.Committed):
            return answer
        self.tools.boundary.fill(answer.full)
        self.tools.boundary.heed(answer.stops)
        if answer.outdated:
            await self.tools.learn(self.snapshot.plan.agents)
        self._give_back(turn)
        self.unsent |= {each.call.key for each in turn.transition.opened}
        await self._reload(turn.transition.settled)
        return None

    def _give_back(self, turn: Turn) -> None:
        for plan in turn.plans:
            if plan.place is not None:
                plan.place.give_back()

    def _advance(self, turn: Turn, written: store.Committed) -> None:
        transition = turn.transition
        self.snapshot, self.seen = transition.move.snapshot, written.seen
        for call in (*transition.sent, *(each.call for each in transition.settled)):
            self.calls[call.key] = call
            self.unsent.discard(call.key)
        for key, state in transition.move.resolved.items():
            self.calls[key] = replace(self.calls[key], state=state)
        self.tools.boundary.note(used for each in transition.opened for used in each.grants)
        self.attempt = 0 if transition.is_progress else self.attempt
        self.finished = transition.move.finish is not None
        for fact in (*map(store.resent, transition.resent), *transition.move.facts):
            self.tools.listener(Event.of(self.run, fact, self.snapshot.steps))
        for key in transition.move.abandon:
            self.performing.drop(key)
        for plan in turn.plans:
            self.performing.launch(plan)

    # --- what others changed ---

    async def _reload(self, closing: Sequence[store.CallSettled]) -> None:
        """Read the rows again. The calls' own truth is written even if the run is somebody else's by now, once nothing more can arrive."""
        loaded = (await self.tools.committer.call(store.load, [self.run]))[0]
        self.finished = loaded.run.state == RunState.FINISHED
        if self.finished or loaded.seen.fence != self.seen.fence:
            out = store.call_records(loaded.calls.values()).values() if self.finished else ()  # nobody will use what is still on its way
            self._left = [*closing, *(store.abandoned(call, loaded.snapshot, run=self.run) for call in out if call.state is CallState.DISPATCHED)]
            if not self.finished:
                raise LostAuthority
            return
        resumed = self.snapshot.run.resumed
        self._take_over(loaded)
        self.snapshot = replace(self.snapshot, run=replace(self.snapshot.run, resumed=resumed))
        if loaded.problem is None and loaded.snapshot.run.state in (RunState.RUNNING, RunState.WAITING):
            self.snapshot = machine.rebuild(self.snapshot, clock.now()).snapshot
            self.performing.keep(self.snapshot.open)

    def _arrived(self) -> list[store.CallSettled]:
        """The ends of calls that lie in the inbox, and stay there: money and evidence are not dropped with it."""
        ends = [event for event in unread(self.inbox) if not isinstance(event, (Asked, Poked))]
        return [end.settled for end in ends if end.settled is not None and (not isinstance(end, Withdrawn) or self._is_over(end.settled.call))]

    # --- calls ---

    async def _write_intent(self, asked: Asked) -> None:
        """T1 of a call whose step is at work already: its receipt, a refusal, or a row that says dispatched."""
        request = asked.request
        if asked.answer.done() or not self._is_at_work(request.step, request.attempt):
            return  # its step ended while it lay in the inbox: nobody waits for an answer, and nobody would send it
        known = self.calls.get(request.key)
        if known is not None and known.request_digest != request.digest():
            give(asked.answer, Refusal(Cause.DIVERGED, diverged(request).message))
        elif known is not None and known.state is CallState.CONFIRMED and request.key in self.responses:
            give(asked.answer, self.responses[request.key])
        elif known is not None and request.kind is CallKind.MODEL:
            await self._write_gone(known)
            give(asked.answer, Gone())
        elif known is not None and known.state is not CallState.DISPATCHED:
            cause = Cause(known.cause) if known.cause else Cause.LOST
            give(asked.answer, Refusal(cause, f"{known.name} was {known.state} before the worker died, and is not sent again under its key"))
        elif known is not None:
            refusal = self.tools.boundary.withdrawn(request)
            await (self._send_again(asked, known) if refusal is None else self._refuse(asked, refusal))
        else:
            await self._write_new_intent(asked)

    async def _send_again(self, asked: Asked, known: store.CallRecord) -> None:
        """Unless it has been stopped, or whoever sent it first has told its end, in the moment before this is written."""
        boundary, sent = self.tools.boundary, replace(known, not_after=asked.request.not_after)
        await self._settle(lambda: Move(self.snapshot), resent=(sent,))
        if not self._is_dispatched(sent):
            await self._write_intent(asked)
        elif (refusal := boundary.withdrawn(asked.request)) is not None:
            await self._refuse(asked, refusal)
        else:
            give(asked.answer, sent)

    async def _write_gone(self, known: store.CallRecord) -> None:
        """A model's answer that nobody waits for any more: whether it is billed nobody knows, so it is paid at its bound."""
        message = "the worker died before it answered; it is asked again in a call of its own"
        end = store.failed(known, plan=self.snapshot.plan, run=self.run, contained=None, cause=Cause.LOST, message=message)
        await self._settle(lambda: Move(self.snapshot), (end,))

    async def _write_new_intent(self, asked: Asked) -> None:
        """Admitted again where a permission turns out to have no room: another one may have, or the refusal says when the next use fits."""
        request = asked.request
        for _ in range(MOST_REREADS):
            refusal = admitted(request, self.snapshot.run, self.tools.boundary)
            if refusal is not None:
                await self._refuse(asked, refusal)
                return
            record, granted = record_of(request), self.tools.boundary.granted(request)
            await self._settle(lambda: Move(self.snapshot), opened=(store.opened(record, request.opening, granted),))
            if request.key in self.calls:
                give(asked.answer, record)
                return
            if self.finished or not self._is_at_work(request.step, request.attempt):
                return  # its step or the run has ended meanwhile, and nothing goes out any more
        message = f"'{request.agent.name}' found no permission with room in {MOST_REREADS} tries: others use them up as fast as they free themselves"
        give(asked.answer, Refusal(Cause.RATE, message))

    async def _refuse(self, asked: Asked, refusal: Refusal | Ask) -> None:
        """A function that asks for what is stopped is made to wait with its step, unless it may have acted; then it hears no, as of any refusal."""
        request, stop = asked.request, self.tools.boundary.stop_on(asked.request)
        if stop is not None and planning.is_on_the_way(request) and halting.may_have_acted(self.snapshot.steps[request.step], self.calls) is None:
            await self._settle(lambda: halting.waits(self.snapshot, request, stop, self.calls, clock.now()))
        else:
            await self._settle(lambda: Move(self.snapshot, facts=planning.denials(request, refusal)))
            give(asked.answer, refusal)

    async def _write_end(self, ended: Settled) -> None:
        await self._settle(lambda: Move(self.snapshot), (ended.settled,))
        if ended.response is not None:
            self.responses[ended.settled.call.key] = ended.response
        if not ended.answer.done():
            ended.answer.set_result(None)

    def _is_at_work(self, key: str, attempt: int) -> bool:
        step = self.snapshot.steps.get(key)
        return step is not None and step.state is StepState.RUNNING and step.attempt == attempt

    def _is_over(self, call: store.CallRecord) -> bool:
        """Whether nobody will send it any more; what a worker that leaves has not sent, the next one does."""
        return self.finished or not self._is_at_work(call.step, call.attempt)

    def _is_dispatched(self, call: store.CallRecord) -> bool:
        return (known := self.calls.get(call.key)) is not None and known.state is CallState.DISPATCHED

    def _is_news(self, end: store.CallSettled) -> bool:
        """Whether a call's own end says what nobody knew: it was out, or given up, or paid for when it was given up and has cost nothing."""
        known = self.calls.get(end.call.key)
        return known is not None and (known.state in halting.UNKNOWN or (known.state is CallState.REFUSED and end.costs_nothing))

    def _abandoned(self, move: Move, closing: set[str]) -> list[store.CallSettled]:
        """The calls of attempts that end without them; at the end of a run, every call that is still out. What has arrived of them is their truth."""
        out = [call for call in self.calls.values() if call.state is CallState.DISPATCHED and call.key not in closing]
        without = [call for call in out if move.finish is not None or call.step in move.abandon or not is_under_way(move.snapshot.steps, call)]
        arrived = {each.call.key: each for each in self._arrived()} if without else {}
        return [arrived.get(call.key) or store.abandoned(call, move.snapshot, run=self.run) for call in without]
