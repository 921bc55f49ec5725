"""Durations and money as people write them ("15m", "0.50 USD"), as whole milliseconds and nano-USD.

Must not know where they stand. Used by the readers beside it.
"""

import re

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(?:[0-9]{1,12}(?:ms|s|m|h|d))+")
_PART = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_MONEY = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))? ?USD")
_RATE = re.compile(r"([0-9]{1,6})/((?:[0-9]{1,12}(?:ms|s|m|h|d))+|second|minute|hour|day)")
_SPANS = {"second": "1s", "minute": "1m", "hour": "1h", "day": "1d"}
_MEMORY = re.compile(r"([0-9]{1,7}) ?(MB|MiB|GB|GiB)")

MAX_DURATION_MS = 366 * _UNITS["d"]


def duration_ms(text: str) -> int | None:
    """Milliseconds of "500ms", "10s", "1h30m"; None for anything else or more than a year."""
    if not _DURATION.fullmatch(text):
        return None
    total = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return total if total <= MAX_DURATION_MS else None


def money_nano(text: str) -> int | None:
    """Nano-USD of "0.50 USD" (at most nine decimals); None for anything else."""
    found = _MONEY.fullmatch(text)
    if found is None:
        return None
    return int(found[1]) * 1_000_000_000 + int((found[2] or "0").ljust(9, "0"))


def rate_of(text: str) -> tuple[int, int] | None:
    """Calls and milliseconds of "60/1m" or "60/minute"; None for anything else."""
    found = _RATE.fullmatch(text)
    window = duration_ms(_SPANS.get(found[2], found[2])) if found is not None else None
    return None if found is None or window is None else (int(found[1]), window)


def duration_text(ms: int) -> str:
    """As files write it: 90s, 1m, 500ms."""
    unit, size = next((unit, size) for unit, size in reversed(_UNITS.items()) if ms % size == 0)
    return f"{ms // size}{unit}"


def rate_text(calls: int, window_ms: int) -> str:
    """As files write it: 60/1m."""
    return f"{calls}/{duration_text(window_ms)}"


def memory_mb(text: str) -> int | None:
    """Megabytes of "512MB" or "2GB"; None for anything else."""
    found = _MEMORY.fullmatch(text)
    if found is None:
        return None
    return int(found[1]) * (1024 if found[2].startswith("G") else 1)
