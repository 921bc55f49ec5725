"""What came back from outside: the only inputs that change a run besides time.

Made by performers, the boundary and the worker; read by `machine.absorb`. Knows nothing of how they came about.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runs.engine.states import Cause


@dataclass(frozen=True, slots=True)
class Returned:
    """A step's attempt gave a value that any contract still has to be checked against."""

    key: str
    attempt: int
    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """A step's attempt failed. `retry_safe`: every call of it may be made again. `owner` overrides the cause's default.

    `fallback_safe`: nothing of it may have acted, so that another agent may do it instead; a key protects only against its own agent.

    `not_before_ms`: how long the other side asked to be left alone; a retry waits at least so long.
    """

    key: str
    attempt: int
    cause: Cause
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    retry_safe: bool = True
    fallback_safe: bool = True
    owner: str | None = None
    chance: float = 0.5
    not_before_ms: int = 0


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A step's attempt made a call whose fate nobody knows and that may not be sent again: somebody has to say what became of it.

    It can't be carried out any more after `not_after`, and a little.
    """

    key: str
    attempt: int
    call: str
    message: str
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Stopped:
    """A step's attempt may not go on, since somebody has stopped what it needs: it waits until that is lifted, and is then made (anew).

    `stop` is what was stopped, as its entries name it; `owner` overrides the cause's default. `sent`: calls of the attempt have gone out.
    """

    key: str
    attempt: int
    stop: str
    message: str
    owner: str | None = None
    sent: bool = False


@dataclass(frozen=True, slots=True)
class NeedsApproval:
    """A step's attempt may make its call only with people's yes, and has not: somebody is asked, and silence denies it.

    `binding`: the digest of what is asked for; `said`: what those who decide are told of it. `owner` and `team`: whose the answer is.
    `voids`: why a yes that was given does not cover it.
    """

    key: str
    attempt: int
    binding: str
    said: Mapping[str, Any]
    within_ms: int
    owner: str
    team: str | None
    asks: str
    voids: str | None = None


Result = Returned | Failed | Unresolved | Stopped | NeedsApproval
