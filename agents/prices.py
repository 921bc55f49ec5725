"""What tokens cost: integer nano-USD per million tokens, always rounded up.

Pure over its arguments: a release holds the price that it was made with. Called by the boundary before a call (its bound) and after it (the truth).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MILLION = 1_000_000
_USD = re.compile(r"([0-9]{1,7})(?:\.([0-9]{1,9}))?")


def nano_of_usd(text: str) -> int | None:
    """Whole nano-USD of dollars as somebody writes them (3, 0.25); None for anything else, and for what lies beyond nano."""
    found = _USD.fullmatch(text)
    return None if found is None else int(found[1]) * 10**9 + int((found[2] or "0").ljust(9, "0"))


@dataclass(frozen=True, slots=True)
class Tokens:
    """Four disjoint counts: their sum is all tokens of a call."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True)
class Used:
    """What a call has cost and used. `estimated`: nobody said so, or not to its end."""

    cost_nano: int
    tokens: Tokens = Tokens()
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Price:
    """One version of the price of one model; it holds for calls of at most `input_limit` tokens going in (None: of any size)."""

    provider: str
    model: str
    version: int
    input: int
    cache_read: int
    cache_write: int
    output: int
    input_limit: int | None = None

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Price:
        """The price that a release's manifest holds."""
        return cls(**record)

    def as_record(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def name(self) -> str:
        """How charges name it."""
        return f"{self.provider}/{self.model} {self.version}"

    def cost_nano(self, tokens: Tokens) -> int:
        """What a call has cost that used these tokens."""
        whole = tokens.input * self.input + tokens.cache_read * self.cache_read + tokens.cache_write * self.cache_write + tokens.output * self.output
        return -(-whole // MILLION)

    def bound_nano(self, input_tokens: int, output_tokens: int) -> int:
        """What a call can cost at most, whichever way its input is counted."""
        dearest = max(self.input, self.cache_read, self.cache_write)
        return -(-(input_tokens * dearest + output_tokens * self.output) // MILLION)
