"""Reads answers in the Messages protocol, whole or event by event, and keeps what was received of one that breaks off.

Pure over decoded JSON; trusts no member of it. Used by the provider that speaks this protocol.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from agents.prices import Tokens
from runs.adapters.asking import Answered, Unanswered, said, storable

_ENDS: Final = {
    "end_turn": "complete",
    "stop_sequence": "complete",
    "tool_use": "complete",
    "refusal": "declined",
    "max_tokens": "cut",
    "model_context_window_exceeded": "cut",
}
_COUNTS: Final = {
    "input": "input_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_write": "cache_creation_input_tokens",
    "output": "output_tokens",
}
_MOST_TOKENS: Final = 10**9
"""A count beyond it is no count."""


class AsSent(dict[str, Any]):
    """An object of an answer, written out again as it came: a key that stood twice does so again, for whoever judges it."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def items(self) -> Any:
        return self._pairs


class Nonsense(Exception):
    """What came is not of this protocol."""

    def __str__(self) -> str:
        return f"its answer is none in the Messages protocol: {super().__str__()}"


class Ended(Exception):
    """The server itself ended its stream, and said why."""


class Received:
    """One answer while it comes in. The API's `input_tokens` leaves out what was read from or written to a cache, so the four counts are disjoint."""

    def __init__(self, max_tokens: int, secret: str = "") -> None:
        self.max_tokens, self.secret = max_tokens, secret
        self.counts: dict[str, int] = {}
        self.is_counted = False
        self.blocks: dict[int, tuple[str, list[str]]] = {}
        self.stop: str | None = None
        self.is_whole = False
        self.events = 0

    # --- taking in ---

    def take_whole(self, message: Mapping[str, Any]) -> None:
        """The body of an answer that isn't streamed."""
        if message.get("type") != "message" or not isinstance(message.get("content"), list):
            raise Nonsense("it is no message")
        self._count(message.get("usage"), is_last=True)
        for index, block in enumerate(message["content"]):
            if isinstance(block, Mapping):
                self._open(index, block)
                if block.get("type") == "tool_use":
                    self._add(index, json.dumps(block.get("input"), ensure_ascii=False))
        self._stop(message.get("stop_reason"))
        self.is_whole = True

    def take(self, event: Mapping[str, Any]) -> None:
        """One event of a stream; events that this protocol may grow are passed over."""
        self.events += 1
        match event:
            case {"type": "message_start", "message": Mapping() as message}:
                self._count(message.get("usage"), is_last=False)
            case {"type": "content_block_start", "index": int() as index, "content_block": Mapping() as block}:
                self._open(index, block)
            case {"type": "content_block_delta", "index": int() as index, "delta": Mapping() as delta}:
                self._add(index, delta.get("partial_json", delta.get("text", "")))
            case {"type": "message_delta"}:
                last = event.get("delta")
                self._stop(last.get("stop_reason") if isinstance(last, Mapping) else None)
                self._count(event.get("usage"), is_last=self.stop is not None)
            case {"type": "message_stop"}:
                self.is_whole = True
            case {"type": "error"}:
                error = event.get("error")
                words = error.get("message", "") if isinstance(error, Mapping) else ""
                raise Ended(f"it ended its stream with an error ({said(words, secret=self.secret)})")
            case {"type": str()}:
                pass
            case _:
                raise Nonsense("an event has no type")

    def _open(self, index: int, block: Mapping[str, Any]) -> None:
        first = block.get("text", "")
        self.blocks[index] = (str(block.get("type")), [first] if isinstance(first, str) else [])

    def _add(self, index: int, part: Any) -> None:
        if index not in self.blocks or not isinstance(part, str):
            raise Nonsense("a part belongs to nothing")
        self.blocks[index][1].append(part)

    def _stop(self, reason: Any) -> None:
        self.stop = reason if isinstance(reason, str) or reason is None else "it is no text"

    def _count(self, usage: Any, *, is_last: bool) -> None:
        """Later counts stand for the whole call so far, and take the place of earlier ones; what came out is only known where the answer ends."""
        for name, theirs in _COUNTS.items():
            count = usage.get(theirs) if isinstance(usage, Mapping) else None
            if type(count) is int and 0 <= count <= _MOST_TOKENS:
                self.counts[name] = count
                self.is_counted = self.is_counted or (is_last and name == "output")

    # --- giving out ---

    def answer(self) -> Answered | Unanswered:
        """The whole answer, or what came of it."""
        if not self.is_whole:
            return self.broken("upstream", "its stream broke off" if self.events else "its answer is none in the Messages protocol: no events")
        end = _ENDS.get(self.stop or "")
        if end is None:
            return self.broken("upstream", f"it stopped for a reason that nobody here knows ({said(self.stop, secret=self.secret)})")
        return Answered(self._text(), end, self._tokens())

    def broken(self, cause: str, message: str) -> Unanswered:
        """What was received counts: what went in as it was reported, and no more tokens out than bytes came (or than were allowed)."""
        tokens = None
        if "input" in self.counts:
            size = sum(len(part.encode("utf-8", "surrogatepass")) for _, parts in self.blocks.values() for part in parts)
            out = min(max(self.counts.get("output", 0), size), max(self.max_tokens, self.counts.get("output", 0)))
            tokens = Tokens(**{**self.counts, "output": out})
        return Unanswered(cause, message, tokens=tokens)

    def _tokens(self) -> Tokens | None:
        """None as well where only the count was given with which a stream begins."""
        return Tokens(**self.counts) if self.is_counted and "input" in self.counts else None

    def _text(self) -> str:
        """What the tool was given; of an answer without it, its words."""
        given = ["".join(parts) or "{}" for kind, parts in self.blocks.values() if kind == "tool_use"]
        words = "".join("".join(parts) for kind, parts in self.blocks.values() if kind == "text")
        return storable(given[0] if given else words)
