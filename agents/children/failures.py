"""Says in a frame how a team's function failed: cause, one sentence, and where in the team's own files.

Must not raise: whatever an exception's own __str__ does, something can be said.
Called by the child's loop and by describing.
"""

import errno
import sys
from types import TracebackType
from typing import Any

MESSAGE_LIMIT = 2000
FRAMES = 8


class Stopped(Exception):
    """A failure that the child itself found: wrong arguments, a result that isn't JSON, no such function."""

    def __init__(self, cause: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message
        self.details = details


def report(error: BaseException, folder: str | None) -> dict[str, Any]:
    """{"cause", "message", "details"} of a failed call."""
    if isinstance(error, Stopped):
        return _failure(error.cause, error.message, **error.details)
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return _failure("crashed", "ran out of its memory", memory=True, traceback=trail(error, folder))
    if isinstance(error, SystemExit):
        return _failure("crashed", f"the function ended its process with sys.exit({text_of(error)})", traceback=trail(error, folder))
    if (claimed := _claimed(error)) is not None:
        return {**claimed, "details": {**claimed["details"], "traceback": trail(error, folder)}}
    return _failure("exception", f"{type(error).__name__}: {text_of(error)}".rstrip(": "), traceback=trail(error, folder))


def text_of(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 -- a team's __str__
        text = "(its text can't be shown)"
    return clean(text)


def clean(text: str) -> str:
    return text[:MESSAGE_LIMIT].encode("utf-8", "replace").decode()


def trail(error: BaseException, folder: str | None) -> list[str]:
    """Place and function, as in `feed.py:12 in read`, of each frame in the team's folder, innermost last."""
    found = [f"{place} in {name}" for place, name in _places(error.__traceback__, folder)]
    if isinstance(error, SyntaxError) and error.filename and folder and error.filename.startswith(folder):
        found.append(f"{_inside(error.filename, folder)}:{error.lineno} (syntax)")
    return [clean(line) for line in found[-FRAMES:]]


def _places(step: TracebackType | None, folder: str | None) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    while step is not None:
        code = step.tb_frame.f_code
        if folder and code.co_filename.startswith(folder.rstrip("/") + "/"):
            place = (f"{_inside(code.co_filename, folder)}:{step.tb_lineno}", _function(code.co_qualname))
            if place not in found[-1:]:  # a comprehension has a frame of its own, on the same line
                found.append(place)
        step = step.tb_next
    return found


def _function(qualified: str) -> str:
    """The innermost name that the team gave: `read` for `read.<locals>.<listcomp>`, `<module>` where there is none."""
    named = [part for part in qualified.split(".<locals>.") if not part.endswith(">")]
    return named[-1] if named else "<module>"


def _inside(filename: str, folder: str) -> str:
    return filename[len(folder) :].lstrip("/")


def _claimed(error: BaseException) -> dict[str, Any] | None:
    sdk = sys.modules.get("orchestra")
    if sdk is None or not hasattr(sdk, "CLAIMABLE"):
        return None
    if isinstance(error, sdk.CallFailed):
        return _failure(str(error.cause), clean(str(error.message)), from_call=True)
    if isinstance(error, sdk.Failure) and error.cause in sdk.CLAIMABLE:
        return _failure(str(error.cause), clean(str(error.message)))
    return None


def _failure(cause: str, message: str, **details: Any) -> dict[str, Any]:
    return {"cause": cause, "message": message, "details": details}
