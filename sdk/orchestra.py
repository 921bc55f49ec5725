"""What a team's function sees of Orchestra: `import orchestra`.

Standard library only. Outside a child (in a team's own tests) progress() does nothing, as_of() is None and call() fails.
Called by teams' code; speaks to its parent through the link that the child interpreter left in `sys.modules`.
"""

import math
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

#: Causes that a function may claim for its own failure; every other one is for Orchestra to find.
CLAIMABLE = frozenset({"missing", "contract", "stale", "refused"})
_REFUSALS = frozenset({"denied", "declined", "expired", "stopped"})
_PROGRESS_EVERY_S = 0.05
_last = {"progress": -math.inf}


class Failure(Exception):
    """A failure that the function names itself: Failure("stale", "the newest sample is of yesterday")."""

    def __init__(self, cause: str, message: str) -> None:
        if cause not in CLAIMABLE:
            raise ValueError(f"a function can't claim the cause {cause!r}; it may claim {', '.join(sorted(CLAIMABLE))}")
        super().__init__(message)
        self.cause = cause
        self.message = message


class Missing(Failure):
    """What was to be read isn't there, or is empty."""

    def __init__(self, message: str) -> None:
        super().__init__("missing", message)


class Malformed(Failure):
    """What was read breaks its format; the message names file and line."""

    def __init__(self, message: str) -> None:
        super().__init__("contract", message)


class CallFailed(Exception):
    """A call() did not succeed; `cause` says why. Left uncaught, it is the step's cause too."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message


class Denied(CallFailed):
    """A call() was not allowed: no grant, a person's no, or a stop switch."""


@dataclass(frozen=True)
class Source:
    """What a verifier read: its name or address, the SHA-256 of its bytes (hex), and when it was really read.

    `at` is datetime.now(UTC), or a fetch's `fetched_at`; never now(), which is the judged time under --as-of and reverify.
    """

    source: str
    digest: str
    at: datetime


@dataclass(frozen=True)
class Check:
    """A verifier's judgement of one criterion."""

    criterion: str
    verdict: Literal["pass", "fail", "inconclusive"]
    why: str
    read: list[Source] = field(default_factory=list)
    claimed: Any = None
    found: Any = None
    blames: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What an agent of role `check` returns."""

    checks: list[Check]
    as_of: datetime | None = None
    summary: str = ""

    @classmethod
    def __get_pydantic_json_schema__(cls, _core_schema: Any, _handler: Any) -> dict[str, Any]:
        """The contract of every verifier, said once and exactly; pydantic asks for it by this name."""
        return _verdict_schema()


def progress(message: str | None = None, fraction: float | None = None) -> None:
    """Say that the work goes on; `fraction` is 0..1. Cheap: more than twenty a second are dropped."""
    link = _link()
    now = time.monotonic()
    if link is None or now - _last["progress"] < _PROGRESS_EVERY_S:
        return
    _last["progress"] = now
    share = None if fraction is None else float(fraction)
    if share is not None and not math.isfinite(share):
        share = None
    text = None if message is None else str(message).encode(errors="replace").decode()  # half of a character is a question mark
    link.send({"progress": {"message": text, "fraction": share}})


def call(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Ask Orchestra for something outside, e.g. call("fetch", {"url": …}). Raises Denied, CallFailed, or TypeError where it isn't asked so."""
    if not isinstance(arguments, dict):
        raise TypeError(f"call({tool!r}, …) takes its arguments as a dict, such as {{'url': …}}; this is {type(arguments).__name__}")
    link = _link()
    if link is None:
        raise CallFailed("denied", f"{tool!r} can only be called from a function that Orchestra runs")
    reply = link.ask({"call": {"tool": tool, "arguments": arguments}})
    if "error" in reply:
        error = reply["error"]
        kind = Denied if error["cause"] in _REFUSALS else CallFailed
        raise kind(error["cause"], error["message"])
    value: dict[str, Any] = reply["ok"]
    return value


def as_of() -> datetime | None:
    """The instant that history is judged as of (aware), or None when the run is about now."""
    text = context().get("as_of")
    return None if text is None else datetime.fromisoformat(text)


def now() -> datetime:
    """as_of() where there is one, else the current time, UTC: what ages are judged by, not when something was read."""
    return as_of() or datetime.now(UTC)


def context() -> dict[str, Any]:
    """What this call belongs to: run, step, as_of, deadline (texts)."""
    link = _link()
    return {} if link is None else dict(link.context)


def _verdict_schema() -> dict[str, Any]:
    instant = {"type": "string", "format": "date-time"}
    digest = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    source = {"type": "object", "required": ["source", "digest", "at"], "properties": {"source": {"type": "string"}, "digest": digest, "at": instant}}
    check = {
        "type": "object",
        "required": ["criterion", "verdict", "why", "read"],
        "properties": {
            "criterion": {"type": "string", "minLength": 1},
            "verdict": {"enum": ["pass", "fail", "inconclusive"]},
            "why": {"type": "string"},
            "read": {"type": "array", "items": source},
            "claimed": True,
            "found": True,
            "blames": {"type": ["string", "null"]},
        },
    }
    properties = {
        "as_of": {"anyOf": [instant, {"type": "null"}]},
        "summary": {"type": "string"},
        "checks": {"type": "array", "items": check},
    }
    return {"type": "object", "required": ["checks"], "properties": properties}


def _link() -> Any:
    return sys.modules.get("_orchestra_child.link")
