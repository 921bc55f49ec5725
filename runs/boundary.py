"""The one way out (R6): every call is admitted here, stage by stage, and only from here does anything touch an adapter.

Order: identity, stop switch, grants, approval, rate, breaker, price, budget, deadline; then the store writes the intent, then `send`.
Knows no steps' meaning and writes no rows. Called by performers.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from agents import grants, registry
from agents.models import Agent as AgentRow
from agents.prices import Used, usd
from audit import bulk, canonical, clock
from runs import store
from runs.adapters import commands, http, inline, models
from runs.adapters.children import Broken, CallError, Children, Job, OnCall, OnProgress, Returned
from runs.engine import pacing
from runs.engine.pacing import Admission, Pace
from runs.engine.states import CallKind, Cause, Mode
from runs.engine.values import Agent, instant_text

__all__ = [
    "Account",
    "Boundary",
    "CallError",
    "OnCall",
    "OnProgress",
    "Refusal",
    "Reply",
    "Request",
    "Standing",
    "admit",
    "standings",
    "stored_replies",
    "target_resource",
    "unpacked",
    "with_bound",
]

ABLE: Final = frozenset({"draft", "active"})
MIB: Final = 1024 * 1024
MODEL_MARGIN_S: Final = 1.0
"""A model that doesn't answer fails so long before its step's deadline, or a tenth of its time: it is its alias's failure then, not the agent's."""
FETCH_S: Final = 30.0
"""One fetch takes at most so long, however much time its step has left."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What an agent may do now: live, never pinned to a release."""

    state: str
    permissions: tuple[str, ...]
    pace: Pace | None = None


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


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: a value, or a cause. `answered` is false where nobody knows whether the work was done."""

    value: Any = None
    cause: Cause | None = None
    message: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    answered: bool = True
    contained: bool | None = None
    owner: str | None = None
    used: Used | None = None
    pause_ms: int = 0
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request beside everything that the stages judge it by."""

    request: Request
    standing: Standing | None
    account: Account
    own: Mapping[str, Admission]
    now: datetime

    @property
    def pace(self) -> Pace | None:
        """Where there is one to be kept. An inline check is no call: no row says that it was made."""
        return None if self.standing is None or self.request.kind is CallKind.INLINE else self.standing.pace


Stage = Callable[[_Asked], Refusal | None]


def admit(request: Request, *, standing: Standing | None, account: Account, own: Mapping[str, Admission], now: datetime) -> Refusal | None:
    """Every stage in order; the first that refuses decides. None: the call may be written down and sent.

    `own`: calls of the same agent that this process has admitted lately, by key; the standing may not know them yet.
    """
    asked = _Asked(request, standing, account, own, now)
    for stage in STAGES:
        refusal = stage(asked)
        if refusal is not None:
            return refusal
    return None


def _identity(asked: _Asked) -> Refusal | None:
    if asked.standing is None:
        return Refusal(Cause.DENIED, f"there is no agent '{asked.request.agent.name}' any more")
    return None


def _stop(asked: _Asked) -> Refusal | None:
    if asked.standing is not None and asked.standing.state not in ABLE:
        return Refusal(Cause.STOPPED, f"agent '{asked.request.agent.name}' is {asked.standing.state} and may not work")
    return None


def _grants(asked: _Asked) -> Refusal | None:
    permissions, name = asked.standing.permissions if asked.standing is not None else (), asked.request.agent.name
    for verb, resource in asked.request.uses:
        decision = grants.decide(permissions, verb, resource)
        if decision.allowed or decision.needs_approval:
            continue
        why = "no permission allows it" if decision.rule is None else f'the permission "{decision.rule}" can\'t be read and may forbid it'
        advice = f'Add "allow {verb} {resource}"' if decision.rule is None else "Mend it"
        return Refusal(Cause.DENIED, f"'{name}' may not {verb} {resource}: {why}. {advice} and apply again with --publish")
    return None


def _approval(asked: _Asked) -> Refusal | None:
    """Nobody can give an approval in this version, so what requires one is refused: closed until there is somebody to ask."""
    permissions, name = asked.standing.permissions if asked.standing is not None else (), asked.request.agent.name
    for verb, resource in asked.request.uses:
        decision = grants.decide(permissions, verb, resource)
        if decision.needs_approval:
            message = f"'{name}' may {verb} {resource} only with an approval (\"{decision.rule}\"), and nobody can give one in this version"
            advice = f'Leave it out, or change the permission to "allow {verb} {resource}" and apply again with --publish'
            return Refusal(Cause.DENIED, f"{message}. {advice}")
    return None


def _rate(asked: _Asked) -> Refusal | None:
    pace, name = asked.pace, asked.request.agent.name
    if pace is not None and pace.unreadable:
        return Refusal(Cause.DENIED, f"the rate and breaker in force of agent '{name}' can't be read, so it may not work; publish it again")
    said = None if pace is None else pacing.beyond_rate(pace, name, asked.request.key, asked.own, asked.now)
    return None if said is None else Refusal(Cause.RATE, said)


def _breaker(asked: _Asked) -> Refusal | None:
    """What a function asks for on its way belongs to a turn that is out already."""
    if asked.pace is None or asked.request.ordinal:
        return None
    said = pacing.at_rest(asked.pace, asked.request.agent.name, asked.request.key, asked.own, asked.now)
    return None if said is None else Refusal(Cause.BREAKER, said)


def _price(asked: _Asked) -> Refusal | None:
    """No price: refused (R8). A price that holds only up to a size: refused beyond it."""
    alias = asked.request.agent.alias if asked.request.kind is CallKind.MODEL else None
    if alias is None:
        return None
    what, owner = models.named(alias), f"alias:{alias['name']}"
    if alias["price"] is None:
        say = f"say it with `manage.py prices set {alias['provider']} {alias['model']} --input USD --output USD`, then apply with --publish again"
        return Refusal(Cause.BUDGET, f"no price of {what} is known, so model alias '{alias['name']}' can't be asked; {say}", owner)
    limit, most = alias["price"]["input_limit"], asked.request.bound_tokens
    if limit is not None and most > limit:
        message = f"step '{asked.request.step}' would ask {what} with up to {most:,} tokens, and its price is known up to {limit:,}; ask for less"
        return Refusal(Cause.BUDGET, message, owner)
    return None


def _budget(asked: _Asked) -> Refusal | None:
    step, account, bound = asked.request.step, asked.account, asked.request.bound_nano
    if account.calls_limit is not None and account.calls + 1 > account.calls_limit:
        made = f"limits.calls; made {account.calls}"
        return Refusal(Cause.BUDGET, f"step '{step}' would exceed the run's limit of {account.calls_limit} calls ({made})")
    if account.cost_limit is not None and account.committed + bound > account.cost_limit:
        held = f"limits.cost; spent and reserved {usd(account.committed)}, asked {usd(bound)}"
        return Refusal(Cause.BUDGET, f"step '{step}' would exceed the run's cost limit of {usd(account.cost_limit)} ({held})")
    return None


def _deadline(asked: _Asked) -> Refusal | None:
    if asked.now >= asked.request.not_after:
        return Refusal(Cause.DEADLINE, f"step '{asked.request.step}' had no time left for {asked.request.name}")
    return None


STAGES: Final[tuple[Stage, ...]] = (_identity, _stop, _grants, _approval, _rate, _breaker, _price, _budget, _deadline)


def standings(names: Sequence[str]) -> dict[str, Standing]:
    """The live standing of agents, by name. One indexed read, and those of `store.pace_of` for agents with a rate or a breaker."""
    rows, now = bulk.read(AgentRow, match=["name"], rows=[[name] for name in names]), clock.now()
    return {row.name: Standing(row.state, tuple(row.permissions), store.pace_of(row.name, row.pace, now) if row.pace else None) for row in rows}


def unpacked(digests: Sequence[str]) -> dict[str, Path]:
    """The folders that functions are imported from, by artifact digest."""
    return {digest: registry.unpacked(digest) for digest in digests}


class Boundary:
    """The adapters of one engine process."""

    def __init__(self, *, children: int) -> None:
        self.children = Children(children, registry.private_files())
        self.models = models.Models()
        self.folders: dict[str, Path] = {}
        self.standings: dict[str, Standing] = {}
        self._admitted: dict[str, dict[str, Admission]] = {}

    def admit(self, request: Request, account: Account, *, now: datetime) -> Refusal | None:
        """As `admit`, over what this process knows. What it admits of an agent with a pace, it counts from now on."""
        agent = request.agent.name
        standing, own = self.standings.get(agent), self._admitted.get(agent, {})
        refusal = admit(request, standing=standing, account=account, own=own, now=now)
        if refusal is None and standing is not None and standing.pace is not None and request.kind is not CallKind.INLINE:
            self._admitted.setdefault(agent, {})[request.key] = Admission(now, is_turn=request.ordinal == 0)
        return refusal

    def learn(self, standings: Mapping[str, Standing], *, asked_at: datetime) -> None:
        """Take over what was read of these agents, and forget the admissions that it can't have missed."""
        self.standings.update(standings)
        for agent in standings.keys() & self._admitted.keys():
            self._admitted[agent] = pacing.unwritten(self._admitted[agent], asked_at)

    def answer_inline(self, request: Request) -> Reply:
        """A shipped pure check; nothing leaves the process."""
        try:
            return Reply(value=inline.CHECKS[request.name](request.arguments))
        except KeyError as error:
            return Reply(cause=Cause.INPUT, message=f"the inline check '{request.name}' needs an input named {error}")

    async def call_function(self, request: Request, *, on_call: OnCall, on_progress: OnProgress) -> Reply:
        """Run a function whose intent is written; the caller holds a place."""
        answer = await self.children.call(
            self._job(request),
            timeout_s=_left_s(request),
            progress_timeout_s=request.progress_timeout_s,
            on_call=on_call,
            on_progress=on_progress,
        )
        return _reply(answer)

    async def call_command(self, request: Request, *, on_progress: OnProgress) -> Reply:
        """Run a command whose intent is written; the caller holds a place. What it wrote to stderr is evidence also where it succeeds."""
        answer = await commands.call(
            self.children,
            self._job(request),
            argv=request.agent.spec["run"]["command"],
            timeout_s=_left_s(request),
            progress_timeout_s=request.progress_timeout_s,
            on_progress=on_progress,
        )
        return replace(_reply(answer), stderr=answer.stderr) if isinstance(answer, Returned) else _reply(answer)

    async def fetch(self, request: Request) -> Reply:
        """The tool `fetch`: one GET, each hop asked of the grants again."""
        permissions = self._permissions(request.agent.name)
        asked = http.FetchRequest(
            url=request.arguments["url"],
            allowed_private=http.endpoints_named(rule.resource for rule in _network_rules(permissions) if _opens_private(rule)),
            timeout_s=min(max((request.not_after - clock.now()).total_seconds(), 0.0), FETCH_S),
            headers=request.arguments.get("headers") or {},
        )
        answer = await http.fetch(asked, may=lambda resource: grants.decide(permissions, "read", resource).allowed)
        if isinstance(answer, http.FetchFailed):
            owner = "tool:fetch" if answer.cause == "upstream" else None
            return Reply(cause=Cause(answer.cause), message=answer.message, details=dict(answer.details), owner=owner)
        return Reply(value={**_plain(answer), "fetched_at": answer.fetched_at})

    async def get_ready(self, providers: Iterable[str]) -> None:
        await self.models.get_ready(providers)

    async def ask_model(self, request: Request) -> Reply:
        """Ask the model of a request whose intent is written, once."""
        alias = request.agent.alias
        assert alias is not None
        left = (request.not_after - clock.now()).total_seconds()
        asked = replace(
            models.question(request.agent.spec, alias, request.arguments, request.repair),
            endpoint=models.located(alias, self.folders),
            timeout_s=max(left - min(MODEL_MARGIN_S, left / 10), 0.0),
            silence_s=request.progress_timeout_s,
        )
        answer = await self.models.ask(alias["provider"], asked)
        used = models.used(answer, alias, request.bound_nano)
        if isinstance(answer, models.Answered):
            return Reply(value={"text": answer.text, "end": answer.end}, used=used)
        message, owner = f"model alias '{alias['name']}' ({models.named(alias)}): {answer.message}", f"alias:{alias['name']}"
        pause = round(answer.pause_s * 1000)
        return Reply(None, Cause(answer.cause), message, dict(answer.details), answered=answer.free, owner=owner, used=used, pause_ms=pause)

    async def close(self) -> None:
        await self.models.close()
        await self.children.close()
        await commands.close()

    def _job(self, request: Request) -> Job:
        spec = request.agent.spec
        return Job(
            folder=self.folders[spec["artifact"]],
            function=request.name,
            arguments=dict(request.arguments),
            context=self._context(request),
            memory_bytes=spec["memory_mb"] * MIB,
            network=self._has_network(request.agent.name),
            key=request.agent.digest,
        )

    def _context(self, request: Request) -> dict[str, Any]:
        return {
            "run": str(request.run),
            "step": request.step,
            "as_of": instant_text(request.as_of),
            "deadline": instant_text(request.not_after),
            "idempotency_key": request.business_key or request.key,
        }

    def _permissions(self, agent: str) -> tuple[str, ...]:
        standing = self.standings.get(agent)
        return standing.permissions if standing is not None else ()

    def _has_network(self, agent: str) -> bool:
        """A child gets the network itself only where a permission says `connect network:…`; `fetch` needs none.

        It is the whole network, so one host that requires an approval keeps all of it away.
        """
        effects = {rule.effect for rule in _network_rules(self._permissions(agent)) if rule.verb == "connect"}
        return effects == {grants.ALLOW}


def with_bound(request: Request) -> Request:
    """A model's request with the most that it can use and cost: every byte a token, every token at the dearest price."""
    assert request.agent.alias is not None  # the plan was refused otherwise
    most, cost = models.bound(request.agent.spec, request.agent.alias, request.arguments, request.repair)
    return replace(request, bound_tokens=most, bound_nano=cost)


stored_replies = models.stored_replies


def _left_s(request: Request) -> float:
    return max((request.not_after - clock.now()).total_seconds(), 0.0)


def target_resource(url: str) -> str:
    """What reading a URL touches, as grants name it. OddUrl says what is wrong with it."""
    return http.target_of(url).resource


def _opens_private(rule: grants.Rule) -> bool:
    """Only what allows reading one endpoint by name lets `fetch` go to an address that isn't public."""
    return rule.effect == grants.ALLOW and rule.verb == "read" and not rule.prefix


def _network_rules(permissions: Sequence[str]) -> list[grants.Rule]:
    rules = []
    for text in permissions:
        try:
            rule = grants.parse_rule(text)
        except grants.RuleInvalid:
            continue  # a rule that doesn't parse allows nothing
        if rule.resource.startswith("network:"):
            rules.append(rule)
    return rules


def _plain(answer: http.Fetched) -> dict[str, Any]:
    return {"status": answer.status, "url": answer.url, "headers": dict(answer.headers), "body": answer.body, "digest": answer.digest}


_UNANSWERED: Final = frozenset({Cause.DEADLINE, Cause.STALLED, Cause.CRASHED})


def _reply(answer: Returned | Broken) -> Reply:
    if isinstance(answer, Returned):
        return Reply(value=answer.value, contained=answer.contained)
    cause = Cause(answer.cause)
    return Reply(
        cause=cause,
        message=answer.message,
        details=dict(answer.details),
        answered=cause not in _UNANSWERED,
        contained=answer.details.get("contained"),
    )
