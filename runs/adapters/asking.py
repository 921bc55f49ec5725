"""What a model is asked and what it answers, as values that every provider shares. Knows no provider, run or price.

Used by the boundary, which fills it in, and by the providers.
"""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from agents.prices import Tokens
from audit import canonical
from audit.visible import visible

OVERHEAD_TOKENS: Final = 2_048
"""What a provider adds of its own to a request (how to use a tool, roles, markup); some hundreds have been seen."""
MOST_BYTES: Final = 8 * 1024 * 1024
"""An answer of more bytes is no answer: the rest is not read."""


@dataclass(frozen=True, slots=True)
class Question:
    """One call: instructions, the turns so far (role, text), and the JSON Schema that the answer is to have. Times in seconds."""

    model: str
    endpoint: str
    secret_ref: str
    instructions: str
    turns: tuple[tuple[str, str], ...]
    schema: Mapping[str, Any]
    max_tokens: int
    stream: bool
    timeout_s: float = 0.0
    silence_s: float | None = None

    def digest(self) -> str:
        """SHA-256 of what is asked, whoever is asked: recorded replies are found by it."""
        return canonical.digest({"instructions": self.instructions, "turns": [list(turn) for turn in self.turns]})

    def most_tokens(self) -> int:
        """No more tokens than this can go in: a token stands for at least one byte of what is sent."""
        sent = json.dumps([self.instructions, self.turns, self.schema], ensure_ascii=False)
        # Some tokenizers normalise what they read, which may make it longer.
        longest = max(len(text.encode("utf-8", "surrogatepass")) for text in (sent, unicodedata.normalize("NFKC", sent)))
        return longest + OVERHEAD_TOKENS


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole answer. `text` is the JSON that the model gave (or what it gave instead); `end` is `complete`, `declined` or `cut`."""

    text: str
    end: str
    tokens: Tokens | None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No whole answer. `tokens`: what was received, where anything says so. `free`: the provider says that it did nothing."""

    cause: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    tokens: Tokens | None = None
    free: bool = False
    pause_s: float = 0.0


class Provider(Protocol):
    """Asks one question once. It never raises for what the other side does, and it ends within the question's `timeout_s`."""

    async def get_ready(self) -> None: ...

    async def ask(self, question: Question) -> Answered | Unanswered: ...

    async def close(self) -> None: ...


def said(text: object, *, secret: str = "") -> str:
    """A provider's own words for a message: short, and nothing in them that a terminal would obey. A secret goes first: a part of it is one too."""
    words = str(text).replace(secret, "[secret]") if secret else str(text)
    return visible(" ".join(words.split()), 200)


def storable(text: str) -> str:
    """Half characters as the escapes that JSON has for them: a text that can't be encoded can't be stored."""
    return text.encode("utf-8", "backslashreplace").decode()
