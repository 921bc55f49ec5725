"""How durations, money and instants read to people, in a terminal and on a page alike.

Pure. Used by everything that shows a number with a unit; nothing decides by what stands here.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from audit.instants import readable

_NANO: Final = Decimal(1_000_000_000)


def lasting(seconds: float) -> str:
    """`0.16 s`, `12.3 s`, `2 min 05 s`, `3 h 20 min`, `4 d 02 h`."""
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 119.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest:02d} s"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60:02d} h"


def money(nano: int) -> str:
    """Nano-USD as dollars, exactly; at least cents."""
    if nano == 0:
        return "0 USD"
    cents = f"{Decimal(nano) / _NANO:.9f}".rstrip("0")
    whole, _, fraction = cents.partition(".")
    return f"{whole}.{fraction:0<2} USD"


def instant(at: datetime) -> str:
    """`2026-03-01 14:05:09`, in UTC."""
    return readable(at)


def ago(at: datetime, now: datetime) -> str:
    """How long ago in one unit: `12 s ago`, `5 min ago`, `3 h ago`, `9 d ago`; `in 5 min` for what is to come."""
    seconds = (now - at).total_seconds()
    gone = abs(seconds)
    units = ((86_400 * 2, 86_400, "d"), (3_600 * 2, 3_600, "h"), (120, 60, "min"), (0, 1, "s"))
    said = next(f"{int(gone // size)} {unit}" for least, size, unit in units if gone >= least)
    return f"{said} ago" if seconds >= 0 else f"in {said}"


def ended(text: str) -> str:
    """With a full stop, where it has no end yet."""
    return text if text.endswith((".", "?", "!")) else f"{text}."
