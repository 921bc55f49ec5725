"""What people, bells, supervisors and chance do to the world: one method for each word of a scenario's `happens`.

A door calls one use-case, as the real ones do; where that fails, its client asks again, or doesn't. Knows no transition.
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import DatabaseError

from agents import registry
from agents.models import Agent, Stop
from approvals import services as approvals
from approvals.models import Kind, Request
from approvals.services.intake import void
from audit.actors import Actor
from audit.errors import Conflict, OrchestraError
from runs import services, sweeps
from runs.models import Call, Resolution, Run, Wait
from tests.simulation.database import Killed
from tests.simulation.loop import running
from tests.simulation.scenarios import SIGNALS

if TYPE_CHECKING:
    from tests.simulation.world import Process, World

CLIENT = Actor.system("client")
BOB = Actor(kind="person", id="bob", auth="test", teams=frozenset({"lines"}))
CAROL = Actor(kind="person", id="carol", auth="test", teams=frozenset({"lines"}))
DECIDERS = (BOB, CAROL)
TRIES = 3


class Doors:
    """`happen(word)` is the only way in."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.random: Random = world.random
        self.started: dict[int, UUID] = {}
        self.reverified = 0
        self.rivals = 0
        """How many others say the same in the moment between somebody's look and their transaction."""
        self.said: deque[Callable[[], Any]] = deque()

    def happen(self, word: str) -> None:
        with self.world._as(0), running(None):
            try:
                getattr(self, word)()
                self.world._outside_transactions()
            except (DatabaseError, Killed) as error:  # the client is told of an error, or of nothing
                self.world.tell(f"{word}: {error or 'the door was killed'}")
            except OrchestraError as refusal:
                self.world.tell(f"{word} is refused: {refusal}")

    # --- use-cases ---

    @property
    def all_started(self) -> bool:
        return len(self.started) == len(self.world.scenario.inputs)

    def start(self) -> None:
        """The next run, or one that was started already: its client had no answer."""
        number = len(self.started)
        if self.all_started or (number and self.random.random() < 0.2):
            number = self.random.randrange(number)
        self._start(number)

    def start_all(self) -> None:
        for number in range(len(self.world.scenario.inputs)):
            if number not in self.started:
                with self.world._as(0), running(None):
                    self._start(number)

    def _start(self, number: int) -> None:
        given = self.world.scenario.inputs[number]
        for _ in range(TRIES):
            try:
                run = services.start_run(pipeline=f"line{number}", input=given, actor=CLIENT, idempotency_key=f"start {number}", ring=False)
            except (DatabaseError, Killed) as error:
                self.world.tell(f"start {number}: {error}")
                continue
            earlier = self.started.setdefault(number, run.id)
            self.world.tell(f"run {number} is started{' again' if run.found_again else ''}")
            if earlier != run.id:
                self.world.watch.complain("one start gives one run", f"start {number} gave {earlier} and {run.id}")
            self.ring()
            return

    def _any_run(self) -> UUID | None:
        runs = sorted(self.world.watch.runs)
        return UUID(self.random.choice(runs)) if runs else None

    def cancel(self) -> None:
        late = [name for name, deadline in self.world.watch.live.items() if deadline <= self.world.now()]
        run = UUID(late[0]) if late else self._any_run()
        if run is not None:
            self.world.tell("cancel")
            services.cancel_run(run=str(run), actor=CLIENT)

    def interrupt(self, process: "Process", run: UUID) -> None:
        """A run, or the one above it, is cancelled, and whoever is at work on it is asked to go."""
        above = Run.objects.filter(id=run).values_list("parent_run_id", flat=True).first()
        chosen = above if above is not None and self.random.random() < 0.5 else run
        self.world.tell(f"cancel {chosen}, and process {process.number} is asked to leave")
        with self.world._as(0), running(None):
            self._asked(lambda: services.cancel_run(run=str(chosen), actor=CLIENT))
            self.world._outside_transactions()
        if process.engine is not None and self.random.random() < 0.7:
            with running(process.loop):
                process.engine.stop()

    def reverify(self) -> None:
        run = self._any_run()
        if run is not None and self.reverified < 3:
            self.reverified += 1
            self.world.tell("reverify")
            services.reverify(run=str(run), actor=CLIENT)

    def sweep(self) -> None:
        self.world.tell(f"{sweeps.sweep()}")

    def signal(self) -> None:
        """Somebody sends a signal that a run waits for, or one that none waits for; sometimes twice, since no answer came."""
        waits = list(Wait.objects.filter(kind="signal").order_by("id"))
        wanted = [wait for wait in waits if wait.state == "open"] or waits[-1:]
        run = self._any_run()
        if run is None:
            return
        name, payload = self.random.choice(["nonsense", *SIGNALS]), {"word": self.random.randint(0, 99)}
        if wanted and self.random.random() < 0.9:
            wait = self.random.choice(wanted)
            run, name = wait.run_id, wait.subject
        given = payload if self.random.random() < 0.85 else {}

        def send() -> Any:
            self.world.tell(f"signal {name}: {given}")
            return services.send_signal(run=str(run), signal=name, payload=given, actor=BOB)

        self._maybe_twice(send)
        self._asked(send)

    def settle(self) -> None:
        """Bob says what became of a call, mostly rightly; where that is too early, he comes again."""
        calls = list(Call.objects.filter(state="unresolved").order_by("dispatched_at", "key"))
        calls = [call for call in calls if call.run.state != "finished"] or calls
        if not calls:
            return
        call = self.random.choice(calls)
        early = (call.not_after - self.world.now()).total_seconds() + 5.0
        if early > 0 and self.random.random() < 0.8:
            self.world.later.append((self.world.seconds + early + self.random.choice([0.0, 0.1, 3.0]), "settle"))
            return
        decision = self._decision(call.key)
        result = {"of": call.key} if decision == "done" and self.random.random() < 0.9 else None
        self.world.tell(f"settle {call.step} {call.attempt}: {decision}")
        said = services.Settlement(Resolution(decision), result, "seen at the other side")
        actor = BOB if self.random.random() < 0.9 else CLIENT

        def settle() -> None:
            services.settle_call(call=call.key, settlement=said, actor=actor)

        was_done = self.world.outside.was_done(call.key)
        self._maybe_twice(settle)
        self._asked(settle)
        if was_done and Call.objects.filter(key=call.key, state="resolved_not_done").exists():  # also where the first of two said it
            self.world.outside.misled[call.run_id.hex, call.step] += 1

    def approve(self) -> None:
        """Somebody of the team says yes or no to what waits for them; now and then two of them at once, or somebody who may not."""
        approvals.tend()
        waiting = list(Request.objects.order_by("pk"))
        waiting = [each for each in waiting if each.wait.state == "open"] or waiting[-1:]
        if not waiting:
            return
        request = self.random.choice(waiting)
        if self.random.random() < 0.08:
            self.world.tell(f"void {request.wait.step}: {void(request, 'the policy has changed')}")
            return

        def decide() -> Any:
            back = ["changes"] * 3 if request.kind == Kind.RESULT else []
            decision, who = self.random.choice(["approved", "approved", "approved", "declined", *back]), self.random.choice([BOB, BOB, CAROL, CLIENT])
            self.world.tell(f"{who.id}: {request.wait.step} is {decision}")
            return approvals.decide(request=str(request.pk), decision=decision, reason="looked at it", actor=who)

        self._maybe_twice(decide)
        self._asked(decide)

    def _decision(self, key: str) -> str:
        if self.random.random() < 0.3:
            return self.random.choice(["done", "not_done", "unknown"])
        return "done" if self.world.outside.was_done(key) else "not_done"

    def _maybe_twice(self, use: Callable[[], Any]) -> None:
        """Two people do the same at once, or one whose first try had no answer."""
        if self.random.random() < 0.4:
            self.said.append(use)
            self.rivals += self.random.choice([0, 1])
            self.world.happens.appendleft((self.world.seconds, "again"))

    def again(self) -> None:
        if self.said:
            self._asked(self.said.popleft())

    def _asked(self, use: Callable[[], Any]) -> bool:
        """Whether it was done, as far as whoever asked knows; a killed door may have done it too."""
        try:
            use()
        except OrchestraError as refusal:
            self.world.tell(f"is refused: {refusal}")
            return False
        except (DatabaseError, Killed) as error:
            self.world.tell(f"no answer: {error or 'the door was killed'}")
        return True

    def suspend(self) -> None:
        """An agent is stopped or let go on; engines see that when they look."""
        name = self.random.choice(["worker", "other", "actor"])
        self.world.tell(f"'{name}' is suspended or goes on")
        if Agent.objects.get(name=name).state == "suspended":
            registry.resume(name, actor=CLIENT)
        else:
            registry.suspend(name, actor=CLIENT, reason="odd")

    def stop(self) -> None:
        """Something is stopped, and after a while let go on; now and then by somebody whose answer never came, or who comes twice."""
        scope, name = self.random.choice(self._stoppable())
        if scope == "run":
            above = sorted({row["parent_run_id"] for row in self.world.watch.runs.values() if row["parent_run_id"] and row["state"] == "running"})
            run = UUID(self.random.choice(above)) if above and self.random.random() < 0.7 else self._any_run()
            if run is None:
                return
            name = str(run)
        self.world.tell(f"stop {scope} {name}")
        self._asked(lambda: services.set_stop(scope=scope, name=name, reason="odd", actor=CLIENT))
        self.world.later.append((self.world.seconds + self.random.choice([0.1, 0.6, 2.0, 5.0, 9.0]), "lift"))

    def _stoppable(self) -> list[tuple[str, str]]:
        agents = [("agent", name) for name in ("worker", "actor", "thinker", "judge")]
        pipelines = [(scope, name + end) for name in self.world.scenario.manifests for scope, end in (("pipeline", ""), ("version", "@1"))]
        return [("everything", ""), ("everything", ""), ("team", "lines"), ("tool", "fetch"), ("run", ""), ("run", ""), *agents, *pipelines]

    def lift(self) -> None:
        rows = list(Stop.objects.in_force().order_by("stopped_at", "id"))
        if rows:
            row = self.random.choice(rows)
            self.world.tell(f"lift {row.subject}")
            self._asked(lambda: services.lift_stop(stop=str(row.id), actor=CLIENT))

    def lift_all(self) -> None:
        with self.world._as(0), running(None):
            for row in Stop.objects.in_force():
                with suppress(Conflict):  # somebody else has just done it
                    services.lift_stop(stop=str(row.id), actor=CLIENT)

    # --- bells ---

    def ring(self) -> None:
        """The bell is heard by nobody, by one or by more, and by some more than once."""
        for process in self.world.processes:
            for _ in range(self.random.choice([0, 0, 1, 2]) if process.alive and process.engine else 0):
                with running(process.loop):
                    process.engine.wake()

    def poke(self) -> None:
        """Old news, or none, told to a driver."""
        process = self.world.some()
        if process is not None and process.engine is not None:
            for driver in process.engine._drivers.values():
                with running(process.loop):
                    driver.poke(self.random.choice([None, driver.seen.revision, driver.seen.revision + 1, 0]))

    # --- processes, and faults that are no transaction's ---

    def spawn(self) -> None:
        self.world.spawn()

    def leave(self) -> None:
        """An engine is asked to go, and gives its runs back."""
        process = self.world.some()
        if process is not None and process.engine is not None and not self.world.healed:
            self.world.tell(f"process {process.number} is asked to leave")
            with running(process.loop):
                process.engine.stop()

    def kill(self) -> None:
        process = self.world.some()
        if process is not None and not self.world.healed:
            self.world.kill(process)

    def pause(self) -> None:
        """A process is stopped, and goes on later as if nothing had been: its timers are overdue, its lease may have gone."""
        process = self.world.some()
        if process is not None and not self.world.healed:
            process.stopped_until = self.world.seconds + self.world.scenario.ttl * self.random.choice([0.3, 0.9, 1.1, 1.2, 2.0])
            self.world.tell(f"process {process.number} stands still until {process.stopped_until:.3f}")

    def jump(self) -> None:
        if not self.world.healed:
            by = self.random.choice([-2.0, -0.3, 2.5, 3.0, 6.5, 8.0, 20.0])
            self.world.jump(by)
            self.world.tell(f"the clock jumps by {by} s")

    def lapse(self) -> None:
        """Leases that have run out by some other machine's clock: they give no safety, so nothing may depend on them."""
        if not self.world.healed:
            self.world.tell("leases lapse")
            Run.objects.live().filter(lease_until__isnull=False).update(lease_until=self.world.now())
            self.ring()
