"""Receivers that kept this process waiting and then failed: for a while nothing else is sent to them, so that others don't wait behind them.

Knows receivers by a name and no messages. Kept in the process, which is what waits. Used by delivering, in several threads at once.
"""

from __future__ import annotations

import threading
import time
from typing import Final

SLOW_S: Final = 2.0
"""A failure that comes sooner holds nobody up."""
REST_S: Final = 30.0

_until: Final[dict[str, float]] = {}
_writing: Final = threading.Lock()


def left_s(receiver: str) -> float:
    """For how many seconds more nothing is to be sent to it; 0 where there is no reason to wait."""
    with _writing:
        left = _until.get(receiver, 0.0) - time.monotonic()
        if left <= 0.0:
            _until.pop(receiver, None)
        return max(left, 0.0)


def failed(receiver: str, *, after_s: float) -> None:
    """It did not take what it was sent, and said so only after so many seconds."""
    if after_s >= SLOW_S:
        with _writing:
            _until[receiver] = time.monotonic() + REST_S


def clear() -> None:
    """Everybody is asked again, as in a new process."""
    with _writing:
        _until.clear()
