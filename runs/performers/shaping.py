"""Steps to requests and replies to outcomes, for every kind of agent. Pure."""

import shlex
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from agents import expressions
from audit import canonical
from runs.boundary import Ask, Refusal, Reply, Request, stored_replies, target_resource, with_bound
from runs.engine.outcomes import Failed, NeedsApproval, Result, Returned, Stopped, Unresolved
from runs.engine.states import CallKind, Cause, Mode
from runs.engine.values import Agent, Plan, RunView, Step

FETCH = "fetch"
LONGEST_NAME = 200
_NAMES = frozenset({"url", "headers"})


class Unshapable(Exception):
    """The step, or what a function asked for, can't be turned into a call."""

    def __init__(self, message: str, cause: Cause = Cause.EXCEPTION) -> None:
        super().__init__(message)
        self.cause = cause


def artifacts(plan: Plan) -> set[str]:
    """What lies in stored folders: the code of functions, and recorded replies."""
    replies = [stored_replies(agent.alias) for agent in plan.agents.values() if agent.alias is not None]
    return {agent.spec["artifact"] for agent in plan.agents.values() if agent.spec.get("artifact")}.union(*replies)


def providers(plan: Plan) -> set[str]:
    """The model providers that this plan's agents ask."""
    return {agent.alias["provider"] for agent in plan.agents.values() if agent.alias is not None}


def kind_of(agent: Agent) -> CallKind:
    """What its own call is."""
    return _what_runs(agent.spec["run"])[0]


def shape(plan: Plan, run: RunView, step: Step) -> Request:
    """A step's own call, ordinal 0. Unshapable where `uses` or the business key can't be filled in from the input."""
    agent = plan.agents[step.agent]
    kind, name = _what_runs(agent.spec["run"])
    scope = {"input": step.arguments}
    try:
        uses = tuple(_use(expressions.fill(template, scope)) for template in agent.spec["uses"])
        uses += (("read", _source(step.arguments)),) if kind is CallKind.TOOL else ()
        key = _business_key(agent.spec["mode"], scope)
    except expressions.ExpressionError as error:
        raise Unshapable(f"what '{agent.name}' uses can't be filled in from its input: {error}") from None
    silence = step.work.progress_timeout_ms
    request = Request(
        run=UUID(run.id),
        step=step.key,
        attempt=step.attempt,
        ordinal=0,
        agent=agent,
        kind=kind,
        name=name,
        arguments=step.arguments,
        mode=Mode.READ if kind is CallKind.INLINE else agent.mode,
        not_after=step.deadline_at,
        bound_nano=agent.spec["cost_nano"],
        uses=uses,
        as_of=run.as_of,
        business_key=key,
        progress_timeout_s=None if silence is None else silence / 1000,
        release=plan.release,
        approved=step.approved,
        asking=step.work.asking,
    )
    return with_bound(request) if kind is CallKind.MODEL else request


def _what_runs(run: Mapping[str, Any]) -> tuple[CallKind, str]:
    if "model" in run:
        return CallKind.MODEL, run["model"]["alias"]
    if "inline" in run:
        return CallKind.INLINE, run["inline"]
    if "tool" in run:
        return CallKind.TOOL, run["tool"]
    if "command" in run:
        return CallKind.COMMAND, shlex.join(run["command"])[:LONGEST_NAME]
    return CallKind.FUNCTION, run["python"]


def _use(text: str) -> tuple[str, str]:
    """As it was filled in: what is given with a blank behind it is another thing, and no permission for the one is one for the other."""
    verb, _, resource = text.partition(" ")
    return verb, resource


def _business_key(mode: str | Mapping[str, str], scope: Mapping[str, Any]) -> str | None:
    return str(expressions.resolve(mode["idempotent"], scope)) if isinstance(mode, Mapping) else None


def shape_fetch(parent: Request, ordinal: int, tool: str, arguments: Mapping[str, Any]) -> Request:
    """A tool call that a function asked for. Only `fetch` exists; it reads, so it may be sent again.

    What nothing can be made of says so (`odd`), without what it was given: the boundary refuses it, as it refuses anything.
    """
    name, odd, odd_cause = FETCH if tool == FETCH else "unknown", "", Cause.EXCEPTION
    uses: tuple[tuple[str, str], ...] = ()
    try:
        uses = (("read", _asked_of(tool, arguments)),)
    except Unshapable as error:
        arguments, odd, odd_cause = {}, str(error), error.cause
    return Request(
        run=parent.run,
        step=parent.step,
        attempt=parent.attempt,
        ordinal=ordinal,
        agent=parent.agent,
        kind=CallKind.TOOL,
        name=name,
        arguments=arguments,
        mode=Mode.READ,
        not_after=parent.not_after,
        bound_nano=0,
        uses=uses,
        as_of=parent.as_of,
        odd=odd,
        odd_cause=odd_cause,
    )


def _asked_of(tool: str, arguments: Mapping[str, Any]) -> str:
    if tool != FETCH:
        raise Unshapable(f"there is no tool '{tool}'; this version ships 'fetch'")
    return _source(arguments)


def _source(arguments: Mapping[str, Any]) -> str:
    """What a fetch reads, as grants name it. Unshapable where it is not one."""
    if arguments.keys() - _NAMES or not isinstance(arguments.get("url"), str):
        raise Unshapable(f"fetch takes 'url' (a text) and 'headers'; got {', '.join(sorted(arguments)) or 'nothing'}")
    headers = arguments.get("headers") or {}
    if not isinstance(headers, Mapping) or not all(isinstance(value, str) for value in headers.values()):
        raise Unshapable("fetch takes 'headers' as an object of texts")
    try:
        canonical.canonical_bytes(arguments, depth=canonical.MAX_DEPTH)  # a request that has no digest could not be written down
    except ValueError as error:
        raise Unshapable(str(error)) from None
    try:
        return target_resource(arguments["url"])
    except ValueError as error:  # an odd URL: whatever is permitted, nobody is asked
        raise Unshapable(str(error), Cause.DENIED) from None


def unsent(request: Request, why: Refusal | Ask, **details: Any) -> Result:
    """How a step's turn ends whose call does not go out: it has failed, or waits for people's yes or the end of a stop."""
    if isinstance(why, Ask):
        return _people_asked(request, why)
    if why.stop:
        return Stopped(request.step, request.attempt, why.stop, why.message, why.owner)
    return Failed(request.step, request.attempt, why.cause, why.message, details=details, owner=why.owner)


def _people_asked(request: Request, ask: Ask) -> NeedsApproval:
    """A call that waits for people's yes, as the engine takes it: its step waits, and they are told what for."""
    policy, agent, asking = ask.policy, request.agent, request.asking
    owner, team = (f"policy:{policy.name}", policy.team) if policy.name else (f"agent:{agent.name}", agent.team)
    does = " and ".join(dict.fromkeys(f"{verb} {resource}" for verb, resource, _, _ in ask.uses))
    asks, within_ms = f"'{agent.name}' may {does} ({policy.said})", policy.within_ms
    if asking is not None:
        owner = owner if policy.name else f"team:{policy.team}"
        what = f"what step '{asking.of}' gave" if asking.of else "it"
        asks = f"the run goes on with {what} ({policy.said})"
        within_ms = min(policy.within_ms, asking.most_ms or policy.within_ms)
    who = agent if asking is None else asking.maker
    said = {
        "binding": ask.binding,
        "agent": who.name,
        "version": who.version,
        "version_digest": who.digest,
        "release": request.release,
        "uses": [_asking(*use) for use in ask.uses],
        "policy": policy.as_record(),
        "mode": str(request.mode),
        "bound_nano": request.bound_nano,
        **({} if asking is None else {"asks": {"of": asking.of or None, "round": asking.round, "rounds": asking.rounds}}),
    }
    return NeedsApproval(request.step, request.attempt, ask.binding, said, within_ms, owner, team, asks, voids=ask.voids)


def _asking(verb: str, resource: str, rule: str, holder: str) -> dict[str, str]:
    """A use with a permission that asks for a yes. Whose that is stands there where it is not the agent's or its team's."""
    said = {"verb": verb, "resource": resource, "permission": rule}
    return said | {"holder": holder} if holder else said


def outcome_of(request: Request, reply: Reply, *, chance: float) -> Result:
    """A reply as the engine takes it. Where nobody knows whether an at_most_once call was done, a person has to say."""
    if reply.cause is None:
        return Returned(request.step, request.attempt, reply.value)
    if reply.stop:
        return Stopped(request.step, request.attempt, reply.stop, reply.message)
    if not reply.answered and reply.sent and request.mode is Mode.AT_MOST_ONCE:
        message = f"{reply.message}; whether '{request.agent.name}' acted is not known, and it is never sent again"
        return Unresolved(request.step, request.attempt, request.key, message, request.not_after)
    return Failed(
        key=request.step,
        attempt=request.attempt,
        cause=reply.cause,
        message=reply.message,
        details=reply.details,
        owner=reply.owner,
        chance=chance,
        not_before_ms=reply.pause_ms,
    )
