"""What the parts of a worker tell each other: events for people, inputs for a driver, plans for a performance. Values only."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from audit import clock
from audit.actors import Actor
from runs import performers, store
from runs.engine.commands import Fact
from runs.engine.outcomes import Result
from runs.engine.values import Step

Ends = Sequence[store.CallSettled]
Intents = Sequence[store.CallOpened]
Resent = Sequence[store.CallRecord]


@dataclass(frozen=True, slots=True)
class Gone:
    """This call went out once and its answer is lost: who wants to know asks again, under the next ordinal."""


Answer = store.CallRecord | Mapping[str, Any] | performers.Refusal | performers.Ask | Gone
"""To a call that asks to go out: its intent is written, its receipt, a no, or that people have to be asked."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that people at a terminal want to see: a committed fact, or a function's progress."""

    run: UUID
    verb: str
    subject: str
    facts: Mapping[str, Any]
    message: str | None = None
    fraction: float | None = None
    began: datetime | None = None
    ended: datetime | None = None
    """Of the step that it is about, as its row says."""

    @classmethod
    def of(cls, run: UUID, fact: Fact, steps: Mapping[str, Step]) -> "Event":
        step = steps.get(str(fact.facts.get("step")))
        began, ended = (None, None) if step is None else (step.started_at, step.finished_at)
        return cls(run, str(fact.verb), fact.subject, fact.facts, began=began, ended=ended)


@dataclass(slots=True)
class Tools:
    """What the drivers of one engine share."""

    committer: store.Committer
    boundary: performers.Boundary
    actor: Actor
    listener: Callable[[Event], None]
    wake: Callable[[], None]
    """A run has become ready that this engine may take: look now."""

    async def learn(self, agents: Iterable[str]) -> None:
        """What these agents may do, and what bounds the runs that are driven here, as it is now."""
        around, asked_at = self.boundary.around, clock.now()
        wanted = performers.Wanted(sorted(agents), around.pipelines, around.people)
        self.boundary.look(await self.committer.call(performers.stands, wanted), asked_at=asked_at)


@dataclass(frozen=True, slots=True)
class Ended:
    """A step's attempt came back, with the end of its call. The place that it had is still taken: the run's next step may have it."""

    result: Result
    settled: store.CallSettled | None = None
    place: performers.Place | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A call wants its intent written."""

    request: performers.Request
    answer: "asyncio.Future[Answer]"


@dataclass(frozen=True, slots=True)
class Settled:
    """A tool call has ended and wants that written before its function goes on."""

    settled: store.CallSettled
    response: Mapping[str, Any] | None
    answer: "asyncio.Future[None]"


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A step was abandoned while its call still waited for a child: its intent was written, and it never went out."""

    settled: store.CallSettled


@dataclass(frozen=True, slots=True)
class Poked:
    """Time passed, or somebody saw the row at this revision."""

    revision: int | None = None


Input = Ended | Asked | Settled | Withdrawn | Poked


@dataclass(frozen=True, slots=True)
class Planned:
    """A step to perform, or how its turn has ended without that, and what its transition writes for it."""

    step: Step
    request: performers.Request | None
    ended: Result | None = None
    opened: tuple[store.CallOpened, ...] = ()
    settled: tuple[store.CallSettled, ...] = ()
    resent: store.CallRecord | None = None
    record: store.CallRecord | None = None
    place: performers.Place | None = None


def give(answer: "asyncio.Future[Answer]", value: Answer) -> None:
    if not answer.done():
        answer.set_result(value)


def unread(inbox: "asyncio.Queue[Input]") -> list[Input]:
    """What lies in it, and stays there."""
    events = [inbox.get_nowait() for _ in range(inbox.qsize())]
    for event in events:
        inbox.put_nowait(event)
    return events
