"""What is known of a run while it goes on: its steps, each with state, time and progress, fed by a worker's events or by rows.

A plain value with two ways in and one listener; draws nothing. Timers are of the monotonic clock, so that a changed clock moves none; how long a
step took is what its row says, so that it reads as in the summary.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from audit import clock
from runs import services
from runs.management.terminal.words import instant, instant_of
from runs.models import Run, Step, StepState, WaitKind
from runs.worker import Event

_STATES: Final = {
    "runs.step.started": StepState.RUNNING,
    "runs.step.retried": StepState.RETRYING,
    "runs.step.waiting": StepState.WAITING,
    "runs.step.returned": StepState.RETURNED,
    "runs.step.judged": StepState.RETURNED,
    "runs.step.failed": StepState.FAILED,
    "runs.step.skipped": StepState.SKIPPED,
    "runs.step.cancelled": StepState.CANCELLED,
}
_AT_WORK: Final = frozenset({StepState.RUNNING, StepState.RETRYING})
_UNDO: Final = "undo:"


@dataclass(slots=True)
class Seen:
    """One step as people watch it."""

    key: str
    agent: str
    state: StepState
    began: float
    attempt: int = 1
    took: float | None = None
    """In seconds, once it has ended."""
    waited: float = 0.0
    waits_since: float | None = None
    note: str = ""
    fraction: float | None = None
    problem: str = ""

    @property
    def at_work(self) -> bool:
        return self.state in _AT_WORK

    @property
    def is_open(self) -> bool:
        return self.at_work or self.state is StepState.WAITING

    def seconds(self, now: float) -> float:
        return now - self.began if self.took is None else self.took


class Times(NamedTuple):
    """When a step began and ended as far as that is known, and when it was asked."""

    began: datetime | None
    ended: datetime | None
    now: datetime


class Tracker:
    """The steps in the order they began. `told` hears of each change, with the step as it is then."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.began = time.monotonic()
        self.steps: dict[str, Seen] = {}
        self.agents = agents_of(run.release.manifest)
        self.told: Callable[[Seen], None] = lambda _: None

    def hear(self, event: Event) -> None:
        """A worker's event; those that say nothing of a step are left out, and those of the runs below: their steps are not this run's."""
        key = event.facts.get("step")
        if not isinstance(key, str) or event.run != self.run.id:
            return
        if event.verb == "progress":
            self._progress(key, event)
        elif event.verb in _STATES:
            problem = event.facts.get("cause") or event.facts.get("verdict") or ""
            note = _waiting_for(event.facts) if event.verb == "runs.step.waiting" else ""
            seen = self._seen(key, Times(event.began, event.ended, clock.now()))
            self._moved(seen, self.agents.get(_node(key), ""), _STATES[event.verb], int(event.facts.get("attempt") or 1), str(problem), note)

    def read(self, rows: Iterable[Step], now: datetime, waits: Mapping[str, tuple[str, str]]) -> None:
        """The rows of a run that somebody else drives; `waits`: kind and subject of what its steps wait for, by key."""
        for row in rows:
            kind, subject = waits.get(row.key, (WaitKind.TIMER, ""))
            note = _waits(kind, subject, instant_of(row.deadline_at)) if row.state == StepState.WAITING else ""
            seen = self._seen(row.key, Times(row.started_at, row.finished_at, now))
            self._moved(seen, row.agent, StepState(row.state), row.attempt, row.failure_cause, note)

    def _seen(self, key: str, times: Times) -> Seen:
        """The step, with its times as its row has them."""
        now = time.monotonic()
        seen = self.steps.setdefault(key, Seen(key, "", StepState.SKIPPED, now, attempt=0))
        if times.began is not None:
            seen.began = now - (times.now - times.began).total_seconds()
            seen.took = None if times.ended is None else (times.ended - times.began).total_seconds()
        return seen

    def _moved(self, seen: Seen, agent: str, state: StepState, attempt: int, problem: str, note: str) -> None:
        if (seen.state, seen.attempt) == (state, attempt):
            return
        now = time.monotonic()
        if seen.waits_since is not None:
            seen.waited += now - seen.waits_since
        seen.waits_since = now if state is StepState.WAITING else None
        seen.state, seen.attempt, seen.problem, seen.agent = state, attempt, problem, agent
        if seen.is_open:
            seen.note, seen.fraction, seen.took = note, None, None
        elif seen.took is None:
            seen.took = now - seen.began
        self.told(seen)

    def _progress(self, key: str, event: Event) -> None:
        seen = self.steps.get(key)
        if seen is not None and seen.at_work:
            seen.note = event.message if event.message is not None else seen.note
            seen.fraction = event.fraction if event.fraction is not None else seen.fraction
            self.told(seen)


def _node(key: str) -> str:
    """The id of its node; that of a compensation is its step's with the mark before it."""
    mark = _UNDO if key.startswith(_UNDO) else ""
    return mark + key.removeprefix(_UNDO).rpartition("/")[2]


def _waiting_for(facts: Mapping[str, Any]) -> str:
    return _waits(str(facts.get("kind")), str(facts.get("subject") or ""), instant(facts.get("until")))


def _waits(kind: str, subject: str, until: str) -> str:
    return f"waits until {until}" if kind == WaitKind.TIMER else f"waits for {services.awaited(kind, subject)} until {until}"


def agents_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The agent of each step id; events don't carry it. An id that cases of a switch share keeps none if they differ."""
    found: dict[str, str] = {}
    _walk(manifest["pipeline"]["spec"], found)
    return found


def _walk(value: Any, found: dict[str, str]) -> None:
    if isinstance(value, Mapping):
        if isinstance(value.get("agent"), str):
            key = str(value.get("id") or "verify")
            found[key] = value["agent"] if found.get(key, value["agent"]) == value["agent"] else ""
            if value.get("compensate"):
                found[f"{_UNDO}{key}"] = value["compensate"]["agent"]
        for name, part in value.items():
            if name not in ("with", "input", "compensate"):
                _walk(part, found)
    elif isinstance(value, list):
        for part in value:
            _walk(part, found)
