"""The words of a run's life and the moves between them, as tables.

Owns states, outcomes, causes, verbs and exit statuses. Knows no rows; read by everything in runs.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from audit.instants import to_the_second

SUPPORTED_ABIS: Final = frozenset({1, 2, 3, 4})
"""The versions of the engine's semantics that this engine carries out. A release names the oldest one that can run it; where no engine
is left that can, its runs wait `incompatible`. 2 adds waits, compensations and child runs to 1, 3 the for_each that
spreads, 4 people's yes on the way."""


class RunState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    FINISHED = "finished"


AT_WORK_RUN: Final = frozenset({RunState.QUEUED, RunState.RUNNING})
"""What a worker may take at any time. A waiting run holds none, until its answer comes or its time does."""
LIVE_RUN: Final = AT_WORK_RUN | {RunState.WAITING}


SPREAD: Final = "spread"
"""What starts a run that does some items of a loop of the run above: nobody judges it alone, so its outcome says nothing of its pipeline."""


class Outcome(StrEnum):
    VERIFIED = "verified"
    DEGRADED = "degraded"
    REJECTED = "rejected"
    UNVERIFIED = "unverified"
    FAILED = "failed"
    CANCELLED = "cancelled"


GOOD: Final = frozenset({Outcome.VERIFIED, Outcome.DEGRADED})
"""Somebody else than who did the work has found that the result is right."""
FOR_A_CAUSE: Final = frozenset({Outcome.FAILED, Outcome.UNVERIFIED})
"""How a run ends that has a failure of its own, with its cause and whose it is."""


class Integrity(StrEnum):
    INTACT = "intact"
    BROKEN = "broken"


class StepState(StrEnum):
    RUNNING = "running"
    RETRYING = "retrying"
    WAITING = "waiting"
    RETURNED = "returned"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STEP: Final = frozenset({StepState.RUNNING, StepState.RETRYING, StepState.WAITING})


class StepEvent(StrEnum):
    RETURN = "return"
    FAIL = "fail"
    PAUSE = "pause"
    RETRY = "retry"
    PARK = "park"
    CANCEL = "cancel"


STEP_MOVES: Final[dict[tuple[StepState, StepEvent], StepState]] = {
    (StepState.RUNNING, StepEvent.RETURN): StepState.RETURNED,
    (StepState.RUNNING, StepEvent.FAIL): StepState.FAILED,
    (StepState.RUNNING, StepEvent.PAUSE): StepState.RETRYING,
    (StepState.RUNNING, StepEvent.CANCEL): StepState.CANCELLED,
    (StepState.RUNNING, StepEvent.PARK): StepState.WAITING,
    (StepState.WAITING, StepEvent.RETURN): StepState.RETURNED,
    (StepState.WAITING, StepEvent.FAIL): StepState.FAILED,
    (StepState.WAITING, StepEvent.RETRY): StepState.RUNNING,
    (StepState.WAITING, StepEvent.CANCEL): StepState.CANCELLED,
    (StepState.RETRYING, StepEvent.RETRY): StepState.RUNNING,
    (StepState.RETRYING, StepEvent.FAIL): StepState.FAILED,
    (StepState.RETRYING, StepEvent.CANCEL): StepState.CANCELLED,
}


class IllegalMove(Exception):
    """A step was asked for a move that its state does not allow."""


def moved(state: StepState, event: StepEvent) -> StepState:
    """The state after `event`; an illegal move raises and changes nothing."""
    try:
        return STEP_MOVES[state, event]
    except KeyError:
        raise IllegalMove(f"a step that is {state} can't {event}") from None


class WaitKind(StrEnum):
    """What somebody or something has to do before a step, or a whole run, can go on."""

    TIMER = "timer"
    SIGNAL = "signal"
    REMOTE = "remote"
    UNRESOLVED = "unresolved"
    APPROVAL = "approval"
    INCOMPATIBLE = "incompatible"
    STOPPED = "stopped"


UNFORESEEN_WAITS: Final = {WaitKind.UNRESOLVED: 2, WaitKind.APPROVAL: 4, WaitKind.STOPPED: 4}
"""To these any run may come, whatever its release says: with the oldest engine that knows them. From then on its run needs that one."""


class WaitState(StrEnum):
    OPEN = "open"
    ANSWERED = "answered"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Resolution(StrEnum):
    """What somebody says of a call whose fate nobody knew."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


class Approval(StrEnum):
    """What people say of what waits for their yes; changes: it is to be made anew; void: what was asked for is not what would be sent any more."""

    APPROVED = "approved"
    DECLINED = "declined"
    CHANGES = "changes"
    VOID = "void"


class CallState(StrEnum):
    DISPATCHED = "dispatched"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    UNRESOLVED = "unresolved"
    RESOLVED_DONE = "resolved_done"
    RESOLVED_NOT_DONE = "resolved_not_done"


class CallKind(StrEnum):
    FUNCTION = "function"
    COMMAND = "command"
    INLINE = "inline"
    TOOL = "tool"
    MODEL = "model"


class Mode(StrEnum):
    READ = "read"
    IDEMPOTENT = "idempotent"
    AT_MOST_ONCE = "at_most_once"


class Cause(StrEnum):
    STALE = "stale"
    MISSING = "missing"
    CONTRACT = "contract"
    DEADLINE = "deadline"
    STALLED = "stalled"
    EXCEPTION = "exception"
    CRASHED = "crashed"
    REFUSED = "refused"
    UPSTREAM = "upstream"
    INPUT = "input"
    DENIED = "denied"
    DECLINED = "declined"
    EXPIRED = "expired"
    RATE = "rate"
    BREAKER = "breaker"
    BUDGET = "budget"
    STOPPED = "stopped"
    REJECTED = "rejected"
    UNVERIFIED = "unverified"
    LOST = "lost"
    UNRESOLVED = "unresolved"
    TAMPERED = "tampered"
    DIVERGED = "diverged"
    INCOMPATIBLE = "incompatible"


RETRYABLE: Final = frozenset(
    {Cause.MISSING, Cause.CONTRACT, Cause.DEADLINE, Cause.STALLED, Cause.EXCEPTION, Cause.CRASHED, Cause.UPSTREAM, Cause.RATE}
)
"""Causes another attempt may cure. Stale data, wiring, all other refusals and the platform's own failures are not among them."""

FALLS_BACK_AT_ONCE: Final = frozenset({Cause.STALE, Cause.BREAKER})
"""Causes that another attempt of the same agent can't cure, and another agent may."""

PIPELINE_CAUSES: Final = frozenset({Cause.INPUT, Cause.BUDGET, Cause.EXPIRED})
PLATFORM_CAUSES: Final = frozenset({Cause.LOST, Cause.UNRESOLVED, Cause.TAMPERED, Cause.DIVERGED, Cause.INCOMPATIBLE})


class Verb(StrEnum):
    """The ledger verbs of a run; each is registered with its openings in `OPENINGS`."""

    RUN_QUEUED = "runs.run.queued"
    RUN_STARTED = "runs.run.started"
    RUN_RESUMED = "runs.run.resumed"
    RUN_WAITING = "runs.run.waiting"
    RUN_CANCEL_REQUESTED = "runs.run.cancel_requested"
    RUN_FINISHED = "runs.run.finished"
    RUN_BROKEN = "runs.run.broken"
    START_REFUSED = "runs.start.refused"
    CANCEL_REFUSED = "runs.cancel.refused"
    STEP_STARTED = "runs.step.started"
    STEP_SKIPPED = "runs.step.skipped"
    STEP_RETRIED = "runs.step.retried"
    STEP_WAITING = "runs.step.waiting"
    STEP_RETURNED = "runs.step.returned"
    STEP_JUDGED = "runs.step.judged"
    STEP_FAILED = "runs.step.failed"
    STEP_CANCELLED = "runs.step.cancelled"
    CALL_DISPATCHED = "runs.call.dispatched"
    CALL_RESENT = "runs.call.resent"
    CALL_CONFIRMED = "runs.call.confirmed"
    CALL_REFUSED = "runs.call.refused"
    CALL_DENIED = "runs.call.denied"
    CALL_UNRESOLVED = "runs.call.unresolved"
    CALL_RESOLVED = "runs.call.resolved"
    CALL_TOLD_LATE = "runs.call.told_late"
    CALL_CORRECTED = "runs.call.corrected"
    APPROVAL_CONSUMED = "runs.approval.consumed"
    APPROVAL_VOIDED = "runs.approval.voided"
    WAIT_ANSWERED = "runs.wait.answered"
    ANSWER_REFUSED = "runs.answer.refused"


OPENINGS: Final[dict[Verb, frozenset[str]]] = {
    Verb.RUN_QUEUED: frozenset({"input"}),
    Verb.RUN_FINISHED: frozenset({"result", "failure", "missing", "acts"}),
    Verb.START_REFUSED: frozenset({"message"}),
    Verb.CANCEL_REFUSED: frozenset({"message"}),
    Verb.STEP_STARTED: frozenset({"input"}),
    Verb.STEP_WAITING: frozenset({"failure", "approval"}),
    Verb.APPROVAL_VOIDED: frozenset({"reason"}),
    Verb.CALL_RESOLVED: frozenset({"response", "reason"}),
    Verb.CALL_TOLD_LATE: frozenset({"answer"}),
    Verb.WAIT_ANSWERED: frozenset({"answer"}),
    Verb.ANSWER_REFUSED: frozenset({"message"}),
    Verb.STEP_RETRIED: frozenset({"failure"}),
    Verb.STEP_RETURNED: frozenset({"result", "undo", "lacks"}),
    Verb.STEP_JUDGED: frozenset({"result"}),
    Verb.STEP_FAILED: frozenset({"failure"}),
    Verb.CALL_DISPATCHED: frozenset({"request", "observed"}),
    Verb.CALL_CONFIRMED: frozenset({"response", "observed"}),
    Verb.CALL_DENIED: frozenset({"failure", "request"}),
    Verb.CALL_REFUSED: frozenset({"failure"}),
}


EXIT_STATUS: Final[dict[str, int]] = {
    Outcome.VERIFIED: 0,
    Outcome.DEGRADED: 10,
    Outcome.REJECTED: 11,
    Outcome.FAILED: 12,
    "unfinished": 13,
    Outcome.CANCELLED: 14,
    Outcome.UNVERIFIED: 15,
    Integrity.BROKEN: 16,
}


@dataclass(frozen=True, slots=True)
class Effective:
    """What every door says of a run at one instant: never the raw columns."""

    state: RunState
    outcome: Outcome | None
    integrity: Integrity
    as_of: datetime | None
    overdue: bool = False
    wake_at: datetime | None = None
    """While it waits: when time alone will bring it back, whether or not somebody answers before."""
    awaits: str = ""
    """While it waits for more than a time: `for the signal payment`, as whoever reads the waits says it."""

    @property
    def label(self) -> str:
        """One phrase for people: `verified`, `verified as of …`, `broken`, `running`, `waiting for …`, `waiting until …`."""
        if self.integrity is Integrity.BROKEN:
            return "broken"
        if self.outcome is None and self.awaits:
            return f"{self.state} {self.awaits}"
        if self.outcome is None:
            return str(self.state) if self.wake_at is None else f"{self.state} until {to_the_second(self.wake_at)}"
        if self.as_of is not None and self.outcome in (Outcome.VERIFIED, Outcome.DEGRADED):
            return f"{self.outcome} as of {to_the_second(self.as_of)}"
        return str(self.outcome)

    @property
    def exit_status(self) -> int:
        if self.integrity is Integrity.BROKEN:
            return EXIT_STATUS[Integrity.BROKEN]
        return EXIT_STATUS[self.outcome if self.outcome is not None else "unfinished"]


def effective(
    *,
    state: RunState,
    outcome: Outcome | None,
    deadline_at: datetime,
    as_of: datetime | None,
    integrity: Integrity,
    now: datetime,
    wake_at: datetime | None = None,
) -> Effective:
    """A live run past its deadline has failed, whether or not a worker lives to write it."""
    if state in LIVE_RUN and now >= deadline_at:
        return Effective(RunState.FINISHED, Outcome.FAILED, integrity, as_of, overdue=True)
    return Effective(state, outcome, integrity, as_of, wake_at=wake_at if wake_at is not None and now < wake_at else None)
