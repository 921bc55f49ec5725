"""What a measure is made of: figures, and the reason where there can't be one. Knows no contestant."""

from collections.abc import Callable, Iterator
from typing import Any

Figure = dict[str, Any]
Measure = Callable[[], Iterator[Figure]]

_LESS_IS_BETTER = frozenset({"ms", "s", "MiB"})


class Skipped(Exception):
    """It can't be measured here; the message says what is missing."""


def figure(measure: str, value: float, unit: str, peer: str | None = None, peer_value: float | None = None) -> Figure:
    """`ratio` above 1: Orchestra is ahead, be it more a second or fewer milliseconds."""
    ratio = None
    if peer_value is not None:
        ratio = round(peer_value / value if unit in _LESS_IS_BETTER else value / peer_value, 2)
        peer_value = round(peer_value, 2)
    return {"measure": measure, "value": round(value, 2), "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio}
