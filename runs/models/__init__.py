"""The rows of runs: what is happening. Re-exports the engine's words that doors show."""

from runs.engine.asides import RESULT
from runs.engine.states import (
    EXIT_STATUS,
    OPENINGS,
    SPREAD,
    Approval,
    CallKind,
    CallState,
    Cause,
    Effective,
    Integrity,
    Mode,
    Outcome,
    Resolution,
    RunState,
    StepState,
    Verb,
    WaitKind,
    WaitState,
)

from .call import Call, CallQuerySet
from .engine import Engine, Kind
from .run import Run, RunQuerySet, of_person
from .step import Step
from .wait import Wait, WaitQuerySet

__all__ = [
    "EXIT_STATUS",
    "OPENINGS",
    "RESULT",
    "SPREAD",
    "Approval",
    "Call",
    "CallKind",
    "CallQuerySet",
    "CallState",
    "Cause",
    "Effective",
    "Engine",
    "Integrity",
    "Kind",
    "Mode",
    "Outcome",
    "Resolution",
    "Run",
    "RunQuerySet",
    "RunState",
    "Step",
    "StepState",
    "Verb",
    "Wait",
    "WaitKind",
    "WaitQuerySet",
    "WaitState",
    "of_person",
]
