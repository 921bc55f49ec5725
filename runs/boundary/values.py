"""What passes the boundary, as values: a request, what it is judged by, a refusal, a reply. Knows no adapter and no stage."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from agents.grants import BUILT_IN, Vocabulary
from agents.layers import Layer
from agents.prices import Used
from agents.spec.policies import Policy
from agents.stops import Hand
from audit import canonical
from runs.engine.answers import Approved
from runs.engine.asides import Asking
from runs.engine.pacing import Pace
from runs.engine.states import CallKind, Cause, Mode
from runs.engine.values import Agent


@dataclass(frozen=True, slots=True)
class Standing:
    """What an agent may do now: live, never pinned to a release. `permissions` are its own and its team's; `vocabulary` is the team's.

    `policies`: those in force that its permissions name; `team` is the one whose people decide where they name none. `observe`: for want of
    a permission nothing is refused, and recorded. `role` and `risk` bound where it may work at all.
    """

    state: str
    permissions: tuple[str, ...]
    pace: Pace | None = None
    vocabulary: Vocabulary = BUILT_IN
    team: str = ""
    policies: Mapping[str, Policy] = field(default_factory=dict)
    observe: bool = False
    role: str = ""
    risk: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a pipeline lets its runs do at all, now: live, never pinned. `permissions` is None where it says nothing, and narrows nothing."""

    permissions: tuple[str, ...] | None = None
    policies: Mapping[str, Policy] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Above:
    """What bounds a call beside its agent: the pipelines of its run and of all runs above that, and the person on whose behalf it is made.

    `lost`: why that person may not act any more; or why nobody knows what a pipeline lets its runs do.
    """

    layers: tuple[Layer, ...] = ()
    policies: Mapping[str, Policy] = field(default_factory=dict)
    lost: str | None = None


NOTHING_ABOVE: Final = Above()


@dataclass(frozen=True, slots=True)
class Account:
    """The run's own account as its row says. Money in nano-USD; a limit of None is none."""

    calls: int
    calls_limit: int | None
    committed: int
    cost_limit: int | None


@dataclass(frozen=True, slots=True)
class Request:
    """A call to be. `uses` is what it touches, filled in from its actual arguments."""

    run: UUID
    step: str
    attempt: int
    ordinal: int
    agent: Agent
    kind: CallKind
    name: str
    arguments: Mapping[str, Any]
    mode: Mode
    not_after: datetime
    bound_nano: int
    uses: tuple[tuple[str, str], ...] = ()
    as_of: datetime | None = None
    business_key: str | None = None
    progress_timeout_s: float | None = None
    repair: Mapping[str, Any] | None = None
    """A model's reply before this one, and what is wrong with it."""
    bound_tokens: int = 0
    sent_before: bool = False
    """A worker that has died may have sent it: whatever becomes of it now, it may have been done and may cost."""
    release: str = ""
    approved: Approved | None = None
    """The yes that its step was given for this attempt."""
    asking: Asking | None = None
    """Of a turn that is people's: nothing is sent, and nothing touched."""
    odd: str = ""
    """Why nothing can be made of what a function asked for; `odd_cause` is what it hears."""
    odd_cause: Cause = Cause.EXCEPTION

    @property
    def opening(self) -> Mapping[str, Any] | None:
        """What the intent's entry opens: a step's own input stands with its step already."""
        if self.kind is CallKind.MODEL:
            return self.repair
        return None if self.ordinal == 0 else self.arguments

    @property
    def key(self) -> str:
        """The idempotency key: a re-send after a crash keeps it, a decided retry raises the attempt."""
        place = "\x1f".join((str(self.run), self.step, str(self.attempt), str(self.ordinal)))
        return "o1_" + hashlib.sha256(place.encode()).hexdigest()[:40]

    @property
    def hand(self) -> Hand:
        """Who makes it and through what, as far as a stop may be of that: nothing goes on that an agent has made which is stopped."""
        agent = self.agent
        if self.asking is not None and self.asking.of:
            made = self.asking.maker
            return Hand(made.name, made.version, made.team, made.alias, made.tool)
        return Hand(agent.name, agent.version, agent.team, agent.through[0], self.name if self.kind is CallKind.TOOL else "")

    @property
    def may_wait(self) -> bool:
        """Whether it may wait for its child with its intent written: if the worker dies meanwhile, it is sent again."""
        return self.mode is not Mode.AT_MOST_ONCE

    def digest(self) -> str:
        """SHA-256 of what is asked; a call that asks something else under the same key has diverged."""
        asked = {"kind": str(self.kind), "name": self.name, "agent": self.agent.digest, "arguments": dict(self.arguments)}
        return canonical.digest(asked if self.repair is None else asked | {"repair": dict(self.repair)})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A stage said no; nothing was sent."""

    cause: Cause
    message: str
    owner: str | None = None
    stop: str = ""
    """What was stopped, as its entries name it: nothing has failed, and its step waits for the end of that."""


@dataclass(frozen=True, slots=True)
class Ask:
    """It may go out only with people's yes, and there is none that covers it. `binding` is the digest of what they are asked for."""

    binding: str
    policy: Policy
    uses: tuple[tuple[str, str, str, str], ...]
    """Verb, resource, the permission that asks for it, and who holds that; empty for the agent or its team."""
    voids: str | None = None
    """Why the yes that there was does not cover it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: a value, or a cause. `answered` is false where nobody knows whether the work was done; `sent`, where it never went out."""

    value: Any = None
    cause: Cause | None = None
    message: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    answered: bool = True
    sent: bool = True
    contained: bool | None = None
    owner: str | None = None
    used: Used | None = None
    pause_ms: int = 0
    stderr: str = ""
    stop: str = ""
    observed: tuple[str, ...] = ()
    """What would have refused where a fetch was led on its way, if that were enforced."""
