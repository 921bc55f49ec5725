"""The rows of runs: what is happening. Re-exports the engine's words that doors show."""

from runs.engine.states import CallKind, CallState, Cause, Effective, Integrity, Mode, Outcome, RunState, StepState

from .call import Call
from .engine import Engine
from .run import Run, RunQuerySet
from .step import Step

__all__ = [
    "Call",
    "CallKind",
    "CallState",
    "Cause",
    "Effective",
    "Engine",
    "Integrity",
    "Mode",
    "Outcome",
    "Run",
    "RunQuerySet",
    "RunState",
    "Step",
    "StepState",
]
