"""Identifiers: UUID version 7 (RFC 9562 §5.7), so that rows made together lie together in an index.

Within one process each is greater than the one before, also inside a millisecond: entries of one transaction sort
in the order they were made. The time in an id is for locality only; nobody may decide anything by it.
"""

from __future__ import annotations

import os
import threading
import time
import uuid

_lock = threading.Lock()
_last = 0
_chance = bytearray()
_CHANCE = 4096
"""So many bytes of chance are fetched at once: for each fetch a thread lets go of the interpreter, and may wait long to have it back."""
os.register_at_fork(after_in_child=_chance.clear)


def new_id() -> uuid.UUID:
    """48 bits of milliseconds, 12 bits of their fraction (RFC 9562 §6.2, method 3), 62 bits of chance."""
    stamp = _next_stamp(time.time_ns())
    high = (stamp >> 12 << 16) | 0x7000 | (stamp & 0xFFF)
    low = int.from_bytes(_eight_bytes()) >> 2 | 1 << 63
    return uuid.UUID(int=high << 64 | low)


def _next_stamp(nanoseconds: int) -> int:
    global _last  # noqa: PLW0603 - the process's own high-water mark, under the lock
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    stamp = milliseconds << 12 | (rest << 12) // 1_000_000
    with _lock:
        _last = max(stamp, _last + 1)
        return _last


def _eight_bytes() -> bytes:
    with _lock:
        if not _chance:
            _chance.extend(os.urandom(_CHANCE))
        taken = bytes(_chance[-8:])
        del _chance[-8:]
        return taken
