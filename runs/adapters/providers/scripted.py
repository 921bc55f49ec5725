"""Recorded replies: the same interface as a real model, without a key, a network or chance.

A file `{"replies": {DIGEST: REPLY}, "otherwise": [REPLY, …]}`. A reply is found by the digest of what is asked; where none was recorded for it,
`otherwise` answers by place: its first reply to the first question, its second to the repair.
"""

import asyncio
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from agents.prices import Tokens
from runs.adapters.asking import MOST_BYTES, Answered, Question, Unanswered, storable

_ENDS: Final = frozenset({"complete", "declined", "cut"})


class Scripted:
    """`endpoint` is the path of the file."""

    async def get_ready(self) -> None:
        """Nothing to load."""

    async def ask(self, question: Question) -> Answered | Unanswered:
        try:
            reply = _reply(await asyncio.to_thread(_recorded, question.endpoint), question)
            pause, answer = (0.0, None) if reply is None else (float(reply.get("after_s", 0.0)), _answer(reply))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            return Unanswered("upstream", f"the recorded replies can't be read ({type(error).__name__}); see how to use a model", free=True)
        if answer is None:
            message = f"no reply was recorded for {question.digest()}; record one under this digest, or under 'otherwise'"
            return Unanswered("upstream", message, free=True)
        await asyncio.sleep(min(pause, question.timeout_s))
        if pause > question.timeout_s:
            return Unanswered("upstream", f"it gave no whole answer within {question.timeout_s:.3g} s")
        return answer

    async def close(self) -> None:
        """Nothing is open."""


@lru_cache(maxsize=32)
def _recorded(path: str) -> Mapping[str, Any]:
    """Read once per process: what a release names by digest doesn't change."""
    with Path(path).open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError
    said: Mapping[str, Any] = json.loads(data)
    return said


def _reply(recorded: Mapping[str, Any], question: Question) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = recorded.get("replies", {}).get(question.digest())
    if found is not None:
        return found
    place, others = (len(question.turns) - 1) // 2, recorded.get("otherwise", [])
    return others[place] if place < len(others) else None


def _answer(reply: Mapping[str, Any]) -> Answered | Unanswered:
    usage = reply.get("usage")
    tokens = None if usage is None else Tokens(**{name: int(count) for name, count in usage.items()})
    if "fails" in reply:
        return Unanswered("upstream", str(reply["fails"]), tokens=tokens, free=bool(reply.get("free")), pause_s=float(reply.get("pause_s", 0.0)))
    text = reply["text"] if "text" in reply else json.dumps(reply["value"], ensure_ascii=False)
    end = reply.get("end", "complete")
    return Answered(storable(text), end if end in _ENDS else "cut", tokens)
