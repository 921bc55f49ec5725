"""What ends a wait from outside, and what a step takes on from it. Frozen values; knows no run."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What ended a wait, when and by whom. `value` is a signal's payload, or what people say of a call."""

    at: datetime
    by: str
    value: Any


@dataclass(frozen=True, slots=True)
class Approved:
    """A yes that people gave for one attempt of a step: the wait that it answered, and the digest of what they said yes to."""

    wait: str
    binding: str
    asked: Mapping[str, Any] | None = None
    """The arguments that they were asked for, where they said yes to others: another attempt begins with these again."""
