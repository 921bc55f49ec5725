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
class Act:
    """What an agent that acts does to the world, at `at`: unless its child has been killed before, at `ends_at` or with its process."""

    request: Request
    process: int
    at: float
    ends_at: float = float("inf")


@dataclass
class Outside:
    """`clock` is the world's time in seconds, `process` the number of the process that is at work, `on_send` looks at each call as it goes out.

    `gone_at`: when a process was killed, with its children; `misled`: how often somebody said of what was done that it was not.
    """

    seed: int
    failing: float
    slow: float
    clock: Callable[[], float]
    process: Callable[[], int]
    on_send: Callable[[Request], None]
    on_answer: Callable[["Sent"], None]
    gone_at: Callable[[int], float]
    names: dict[str, int] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    times: Counter[str] = field(default_factory=Counter)
    done: list[Act] = field(default_factory=list)
    misled: Counter[tuple[str, str]] = field(default_factory=Counter)

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

    def will_act(self, sent: Sent, after_s: float) -> Act:
        act = Act(sent.request, sent.process, self.clock() + after_s)
        self.done.append(act)
        return act

    def _has_happened(self, act: Act) -> bool:
        return act.at <= min(self.clock(), act.ends_at, self.gone_at(act.process))

    def acts(self) -> Counter[str]:
        """How often each call was carried out that may be at most once."""
        return Counter(act.request.key for act in self.done if act.request.mode == "at_most_once" and self._has_happened(act))

    def acts_by_place(self) -> Counter[tuple[str, str]]:
        mine = [act for act in self.done if act.request.mode == "at_most_once" and self._has_happened(act)]
        return Counter((act.request.run.hex, act.request.step) for act in mine)

    def acted_in(self, run: str) -> list[tuple[str, str]]:
        """Run and step of all that was done, however often it might be."""
        return [(act.request.run.hex, act.request.step) for act in self.done if act.request.run.hex == run and self._has_happened(act)]

    def was_done(self, key: str) -> bool:
        return any(act.request.key == key and self._has_happened(act) for act in self.done)

    def lasts(self, fate: Random) -> float:
        if fate.random() < self.slow:
            return fate.choice((*LASTS, NEVER))
        return fate.choice((0.0, 0.05, 0.4))


class Pool:
    """In the place of `agents.children.Pool`: `size` children, of which it says anew every few seconds which versions have quick ones."""

    contains = True
    """Its children have no network to be kept from."""

    def __init__(self, size: int, outside: Callable[[], Outside]) -> None:
        self.size, self.outside = size, outside

    def ahead(self, version: str) -> int:
        """How many calls may wait for this version's children."""
        return self._said("ahead", version).choice([0, 0, 1, 3])

    def living(self, version: str) -> int:
        return self._said("living", version).randint(0, self.size)

    def _said(self, what: str, version: str) -> Random:
        outside = self.outside()
        return Random(f"{outside.seed}:{what}:{version}:{int(outside.clock() // 3)}")

    async def call(
        self, job: Any, *, timeout_s: float, progress_timeout_s: float | None, on_call: Any, on_progress: Any, may_go: Callable[[], Broken | None]
    ) -> Returned | Broken:
        sent = False
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(self._waits())  # no child is ever there at once, and where there is no time left nothing is sent
                refused = may_go()
                if refused is not None:
                    return refused
                sent = True
                return await self._worked(*self.outside().sends(), on_call)
        except TimeoutError:
            return Broken("deadline", f"did not return within {round(timeout_s, 2):g} s", {} if sent else {"waited": True})

    def _waits(self) -> float:
        """What may never be sent twice has a place of its own, and waits for no other call's child."""
        request = asking.get()
        fate = Random(f"{self.outside().seed}:waits:{request.step}:{request.attempt}:{self.outside().clock():.3f}")
        return fate.choice([0.0, 0.0, 0.05, 0.6]) if request.may_wait else 0.0

    async def _worked(self, sent: Sent, fate: Random, on_call: Any) -> Returned | Broken:
        outside = self.outside()
        lasts = outside.lasts(fate)
        act = outside.will_act(sent, lasts * fate.choice([0.0, 0.5, 1.0])) if sent.request.agent.role == "act" else None
        try:
            await asyncio.sleep(lasts)
            return await self._answered(sent, fate, on_call)
        finally:
            if act is not None:
                act.ends_at = outside.clock()

    async def _answered(self, sent: Sent, fate: Random, on_call: Any) -> Returned | Broken:
        outside = self.outside()
        for _ in range(sent.request.arguments.get("calls", 0)):
            try:
                await on_call("fetch", {"url": f"{ADDRESS}{sent.request.step}/{fate.randint(0, 9) if fate.random() < 0.05 else 0}"})
            except CallError as refused:
                if fate.random() < 0.5:
                    return outside.answers(sent, Broken(refused.cause, str(refused), {"from_call": True}))
        if fate.random() < outside.failing:
            return self._broken(sent, fate)
        value = self._found(sent.request, fate) if sent.request.agent.name == "finder" else value_of(sent.request, fate, outside.failing)
        return outside.answers(sent, Returned(value, "", contained=True))

    def _found(self, look: Request, fate: Random) -> dict[str, Any]:
        """What a look-up reads: whether a call was carried out; now and then it can't say with what result."""
        key = look.arguments["key"]
        if not self.outside().was_done(key):
            return {"found": False}
        return {"found": True} if fate.random() < 0.2 else {"found": True, "result": {"of": key}}

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
