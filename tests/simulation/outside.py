"""What lies behind the adapters: children, a feed and a model that do what the seed says, and a memory of what they were sent.

A fate depends on seed, place, attempt, ordinal and how often the same call came; so a call that is sent again may fare otherwise.
Knows requests, no rows; the world asks it what was sent.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from random import Random
from typing import Any

from agents.prices import Tokens
from runs.adapters.asking import Answered, Question, Unanswered
from runs.adapters.children import Broken, CallError, Returned
from runs.adapters.http import Fetched, FetchFailed
from runs.boundary import Request
from tests.runs.engine.factories import verdict

ADDRESS = "https://feed.example/"
LASTS = (0.01, 0.3, 1.0, 2.0, 3.0, 4.0, 4.9, 5.0)
"""Seconds that a call may take; the agents of `scenarios` have five."""
NEVER = 10_000.0

asking: ContextVar[Request] = ContextVar("asking")
"""The call that the boundary is carrying out, in the task that does."""


@dataclass
class Sent:
    """One call that went out: `answer` is what the other side gave, once it has given anything to whom the boundary listens."""

    request: Request
    process: int
    at: float
    answered_at: float | None = None
    answer: Any = None


@dataclass
class Outside:
    """`clock` is the world's time in seconds, `process` the number of the process that is at work, `on_send` looks at each call as it goes out."""

    seed: int
    failing: float
    slow: float
    clock: Callable[[], float]
    process: Callable[[], int]
    on_send: Callable[[Request], None]
    on_answer: Callable[["Sent"], None]
    names: dict[str, int] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    times: Counter[str] = field(default_factory=Counter)

    def sends(self) -> tuple[Sent, Random]:
        """A call goes out: remembered, and its fate."""
        request = asking.get()
        self.on_send(request)
        self.times[request.key] += 1
        sent = Sent(request, self.process(), self.clock())
        self.sent.append(sent)
        run = self.names.setdefault(str(request.run), len(self.names))  # not its id, which says when it was made
        return sent, Random(f"{self.seed}:{run}:{request.step}:{request.attempt}:{request.ordinal}:{self.times[request.key]}")

    def answers(self, sent: Sent, answer: Any) -> Any:
        sent.answered_at, sent.answer = self.clock(), answer
        self.on_answer(sent)
        return answer

    def lasts(self, fate: Random) -> float:
        if fate.random() < self.slow:
            return fate.choice((*LASTS, NEVER))
        return fate.choice((0.0, 0.05, 0.4))


class Pool:
    """In the place of `agents.children.Pool`."""

    def __init__(self, outside: Callable[[], Outside]) -> None:
        self.outside = outside

    async def call(self, job: Any, *, timeout_s: float, progress_timeout_s: float | None, on_call: Any, on_progress: Any) -> Returned | Broken:
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(0)  # no child is ever there at once, and where there is no time left nothing is sent
                return await self._worked(*self.outside().sends(), on_call)
        except TimeoutError:
            return Broken("deadline", f"did not return within {timeout_s:g} s")

    async def _worked(self, sent: Sent, fate: Random, on_call: Any) -> Returned | Broken:
        outside = self.outside()
        await asyncio.sleep(outside.lasts(fate))
        for _ in range(sent.request.arguments.get("calls", 0)):
            try:
                await on_call("fetch", {"url": f"{ADDRESS}{sent.request.step}/{fate.randint(0, 9) if fate.random() < 0.05 else 0}"})
            except CallError as refused:
                if fate.random() < 0.5:
                    return outside.answers(sent, Broken(refused.cause, str(refused), {"from_call": True}))
        if fate.random() < outside.failing:
            return self._broken(sent, fate)
        return outside.answers(sent, Returned(value_of(sent.request, fate, outside.failing), "", contained=True))

    def _broken(self, sent: Sent, fate: Random) -> Broken:
        cause = fate.choice(["exception", "exception", "crashed", "missing"])
        broken = Broken(cause, "it broke", {"contained": True})
        return broken if cause == "crashed" else self.outside().answers(sent, broken)

    async def close(self) -> None:
        """Nothing runs by itself."""


def value_of(request: Request, fate: Random, failing: float) -> dict[str, Any]:
    """What comes back, marked with the call that it answers; a judge's is a verdict."""
    if request.agent.role == "check":
        return verdict("pass" if fate.random() > failing / 2 else fate.choice(["fail", "inconclusive"]))
    return {"of": request.key} if fate.random() > failing / 3 else {"odd": request.key}


class Provider:
    """In the place of a model provider."""

    def __init__(self, outside: Callable[[], Outside]) -> None:
        self.outside = outside

    async def get_ready(self) -> None:
        """It is."""

    async def close(self) -> None:
        """It has nothing to close."""

    async def ask(self, question: Question) -> Answered | Unanswered:
        if question.timeout_s <= 0:
            return Unanswered("deadline", "no time left", free=True)
        outside = self.outside()
        sent, fate = outside.sends()
        try:
            async with asyncio.timeout(question.timeout_s):
                await asyncio.sleep(outside.lasts(fate))
        except TimeoutError:
            return Unanswered("deadline", "no answer in time")
        if fate.random() < outside.failing:
            return self._unanswered(sent, fate)
        text = json.dumps({"of": sent.request.key}) if fate.random() > outside.failing else "no JSON"
        return outside.answers(sent, Answered(text, "complete", Tokens(input=fate.randint(1, 9), output=fate.randint(1, 9))))

    def _unanswered(self, sent: Sent, fate: Random) -> Unanswered:
        free = fate.random() < 0.5
        return self.outside().answers(sent, Unanswered("upstream", "it is overloaded", free=free, pause_s=fate.choice([0.0, 0.2])))


async def fetch(outside: Outside, asked: Any) -> Fetched | FetchFailed:
    """In the place of `runs.adapters.http.fetch`."""
    if asked.timeout_s <= 0:
        return FetchFailed("deadline", "no time left")
    sent, fate = outside.sends()
    try:
        async with asyncio.timeout(asked.timeout_s):
            await asyncio.sleep(outside.lasts(fate) / 4)
    except TimeoutError:
        return FetchFailed("deadline", "no answer in time")
    if fate.random() < outside.failing:
        return outside.answers(sent, FetchFailed("upstream", "it is down"))
    return outside.answers(sent, Fetched(200, asked.url, {}, sent.request.key, "0" * 64, "2026-03-01T12:00:00.000000Z"))
