"""Rows in memory, and a worker that keeps to them: what the engine's tests drive a run with.

`Rows` writes and reads what runs.store does, and no more; `Play` holds the invariants at every move.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from runs.engine import machine, places
from runs.engine.commands import Fact, Finish, Move
from runs.engine.outcomes import Failed, Returned
from runs.engine.states import OPEN_STEP, Cause, Outcome, StepState, Verb
from runs.engine.values import Plan, RunView, Snapshot, Step

from . import factories

RESULTS, FAILURES = (Verb.STEP_RETURNED, Verb.STEP_JUDGED), (Verb.STEP_FAILED, Verb.STEP_RETRIED)


@dataclass
class Row:
    """A step's row with what lies in the openings it points to."""

    step: Step
    arguments: str = "{}"
    result: str | None = None
    has_failure: bool = False


class Rows:
    """The truth: what a crash leaves."""

    def __init__(self, plan: Plan, run: RunView) -> None:
        self.plan, self.run = plan, run
        self.steps: dict[str, Row] = {}
        self.facts: list[Fact] = []
        self.finish: Finish | None = None

    def apply(self, move: Move) -> None:
        assert self.finish is None, "nothing is written after the finish"
        opened = {(fact.verb, fact.subject): fact.openings for fact in move.facts}
        for step in move.opened:
            assert step.key not in self.steps, f"{step.key} is opened twice"
            self.steps[step.key] = Row(step, json.dumps(opened.get((Verb.STEP_STARTED, f"step:{step.key}"), {}).get("input", {})))
        for step in (*move.opened, *move.moved):
            row, subject = self.steps[step.key], f"step:{step.key}"
            row.step = step
            row.has_failure = any((verb, subject) in opened for verb in FAILURES)
            row.result = next((json.dumps(opened[verb, subject]["result"]) for verb in RESULTS if (verb, subject) in opened), None)
        self.facts += move.facts
        self.run, self.finish = move.snapshot.run, move.finish

    def load(self) -> Snapshot:
        """As store.load: no frames, values read anew, arguments only of open steps, nothing inherited."""
        steps = {key: self._step(row) for key, row in self.steps.items()}
        return Snapshot(self.plan, self.run, steps, frozenset(key for key, step in steps.items() if step.state in OPEN_STEP))

    def _step(self, row: Row) -> Step:
        step = row.step
        node = places.node_at(self.plan.root, step.key)
        assert node is not None, f"{step.key} has no place in the plan"
        held = None
        if step.state is StepState.RETURNED:
            assert step.held is not None and row.result is not None
            held = replace(step.held, value=json.loads(row.result))
        return Step(
            key=step.key,
            node=node,
            agent=step.agent,
            state=step.state,
            attempt=step.attempt,
            started_at=step.started_at,
            deadline_at=step.deadline_at,
            arguments=json.loads(row.arguments) if step.state in OPEN_STEP else {},
            not_before=step.not_before,
            finished_at=step.finished_at,
            held=held,
            failure=step.failure if row.has_failure else None,
            fell_back=step.fell_back,
        )


class Play:
    """One run, driven by hand. `now` moves only when told."""

    def __init__(self, plan: Plan, given: Mapping[str, Any] | None = None, *, begin: bool = True, **run: Any) -> None:
        held = dict(zip(("given", "given_missing"), run.pop("work"), strict=True)) if "work" in run else {}
        self.rows = Rows(plan, replace(factories.run(plan, given, **run), **held))
        self.snapshot, self.now = self.rows.load(), factories.AT
        self.performing: dict[str, int] = {}
        self.last = Move(self.snapshot)
        if begin:
            self.take(machine.begin(self.snapshot, self.now))

    def take(self, move: Move) -> Move:
        if move.changes_nothing:
            return move
        self.rows.apply(move)
        self.snapshot, self.last = move.snapshot, move
        for key in move.abandon:
            self.performing.pop(key, None)
        for key in move.perform:
            step = move.snapshot.steps[key]
            assert move.finish is None and step.state is StepState.RUNNING, f"{key} is {step.state} and would be performed"
            self.performing[key] = step.attempt
        assert move.finish is not None or set(self.performing) == self._running(), "what runs is performed, and nothing else"
        return move

    def _running(self) -> set[str]:
        return {key for key in self.snapshot.open if self.snapshot.steps[key].state is StepState.RUNNING}

    # --- what happens ---

    def returns(self, key: str, value: Any = None, attempt: int | None = None) -> Move:
        at = self.performing.pop(key) if attempt is None else attempt
        return self.take(machine.absorb(self.snapshot, Returned(key, at, value), self.now))

    def fails(self, key: str, cause: Cause = Cause.EXCEPTION, **said: Any) -> Move:
        return self.take(machine.absorb(self.snapshot, Failed(key, self.performing.pop(key), cause, "it broke", **said), self.now))

    def judged(self, *words: str, key: str = "verify", **said: Any) -> Move:
        return self.returns(key, factories.verdict(*words, **said))

    def passes(self, *keys: str) -> None:
        for key in keys:
            self.returns(key, key)

    def at(self, seconds: float) -> Move:
        self.now = factories.later(seconds)
        return self.take(machine.decide(self.snapshot, self.now))

    def after(self, seconds: float) -> Move:
        self.now += timedelta(seconds=seconds)
        return self.take(machine.decide(self.snapshot, self.now))

    def crashes(self) -> Move:
        """The process is gone; another one takes the run up from its rows."""
        self.performing.clear()
        self.snapshot = self.rows.load()
        return self.take(machine.begin(self.snapshot, self.now))

    def is_cancelled(self) -> Move:
        self.rows.run = replace(self.rows.run, cancel_by="alice")
        self.snapshot = replace(self.snapshot, run=replace(self.snapshot.run, cancel_by="alice"))
        return self.take(machine.decide(self.snapshot, self.now))

    # --- what is to see ---

    @property
    def running(self) -> list[str]:
        return sorted(self.performing)

    @property
    def finish(self) -> Finish:
        assert self.rows.finish is not None, f"the run goes on: {sorted(self.snapshot.open)}"
        return self.rows.finish

    @property
    def outcome(self) -> Outcome | None:
        return None if self.rows.finish is None else self.rows.finish.outcome

    @property
    def cause(self) -> Cause | None:
        return None if self.finish.failure is None else self.finish.failure.cause

    @property
    def result(self) -> Any:
        return None if self.finish.result is None else self.finish.result.value

    @property
    def verbs(self) -> list[str]:
        return [str(fact.verb).removeprefix("runs.") for fact in self.rows.facts]

    def step(self, key: str) -> Step:
        return self.snapshot.steps[key]

    def finished_facts(self) -> Mapping[str, Any]:
        return self.rows.facts[-1].facts


def finishing(facts: list[Fact]) -> list[int]:
    return [number for number, fact in enumerate(facts) if fact.verb is Verb.RUN_FINISHED]
