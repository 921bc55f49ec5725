"""Whether a call may go out: stage by stage, the first that refuses decides. Pure; reads no row and no clock.

Order: identity, person, stop switch, containment, grants, approval, rate, breaker, price, budget, deadline, and last the rates of the
permissions themselves.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from agents import grants, layers
from agents.grants import Decision
from agents.layers import Layer
from agents.stops import InForce
from audit.wording import ended, money
from runs.boundary import approving
from runs.boundary.values import NOTHING_ABOVE, Above, Account, Ask, Refusal, Request, Standing
from runs.engine import pacing
from runs.engine.pacing import Admission, Pace
from runs.engine.states import CallKind, Cause
from runs.engine.values import instant_text

SUSPENDED: Final = "suspended"
ABLE: Final = frozenset({"draft", "active"})
ACT: Final = "act"
HIGH: Final = "high"
IN_CHILDREN: Final = frozenset({CallKind.FUNCTION, CallKind.COMMAND})


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request beside everything that the stages judge it by."""

    request: Request
    standing: Standing | None
    account: Account
    own: Mapping[str, Admission]
    now: datetime
    decisions: Sequence[Decision] = ()
    """What the grants say of each of the request's uses, in their order."""
    stop: InForce | None = None
    above: Above = NOTHING_ABOVE
    contains: bool = True
    """Whether this system can keep a child from the network."""

    @property
    def pace(self) -> Pace | None:
        """Where there is one to be kept. An inline check is no call: no row says that it was made."""
        return None if self.standing is None or self.request.kind is CallKind.INLINE else self.standing.pace


Stage = Callable[[_Asked], Refusal | Ask | None]


Full = Mapping[tuple[str, str], datetime]
"""Permissions without room, each with its holder as a layer names it, and when the next use of each fits."""
_NO_RATE: Final[Full] = {}


def admit(
    request: Request,
    *,
    standing: Standing | None,
    account: Account,
    own: Mapping[str, Admission],
    now: datetime,
    full: Full = _NO_RATE,
    stop: InForce | None = None,
    above: Above = NOTHING_ABOVE,
    contains: bool = True,
) -> Refusal | Ask | None:
    """Every stage in order; the first that refuses, or has people asked, decides. None: the call may be written down and sent.

    `own`: calls of the same agent that this process has admitted lately, by key; the standing may not know them yet.
    `full`: permissions that are used up. `above`: what bounds the run's calls beside their agents.
    """
    open_again = {rule: at for rule, at in full.items() if at > now}
    asked = _Asked(request, standing, account, own, now, decided(request, standing, now, full=open_again, above=above), stop, above, contains)
    for stage in STAGES:
        refusal = stage(asked)
        if refusal is not None:
            return refusal
    return _used_up(request.agent.name, asked.decisions, open_again)


def withdrawn(
    request: Request,
    *,
    standing: Standing | None,
    now: datetime,
    stop: InForce | None = None,
    above: Above = NOTHING_ABOVE,
    contains: bool = True,
) -> Refusal | None:
    """What keeps an admitted call, which had to wait, from being sent after all: its agent's standing as it is now. Its account has paid already."""
    asked = _Asked(request, standing, Account(0, None, 0, None), {}, now, decided(request, standing, now, above=above), stop, above, contains)
    said = next((said for stage in STANDING_STAGES if (said := stage(asked)) is not None), None)
    if isinstance(said, Ask):
        return Refusal(Cause.DENIED, f"'{request.agent.name}' may do it only with an approval, and none covers it any more: {approving.CHANGED}")
    return said


def layers_of(standing: Standing, above: Above) -> tuple[Layer, ...]:
    """Everybody whose permissions bound a call: its agent, then the pipelines, the run's own first."""
    return (Layer("", standing.permissions, standing.observe), *above.layers)


def decided(
    request: Request, standing: Standing | None, now: datetime, *, full: Collection[tuple[str, str]] = (), above: Above = NOTHING_ABOVE
) -> Sequence[Decision]:
    """What the grants say of each thing that a call touches, on its actual arguments. A check in this process leaves no record, so none is only
    observed.
    """
    if standing is None:
        return ()
    given, words = request.arguments, standing.vocabulary
    if not (above.layers or standing.observe):  # as of most calls: one holder is asked past the layers
        used_up = {rule for holder, rule in full if not holder} if full else ()
        return [
            grants.decide(standing.permissions, verb, resource, now=now, args=given, vocabulary=words, full=used_up)
            for verb, resource in request.uses
        ]
    every = layers_of(standing, above)
    if request.kind is CallKind.INLINE:
        every = tuple(replace(layer, observe=False) for layer in every)
    return [layers.decide(every, verb, resource, now=now, args=given, vocabulary=words, full=full) for verb, resource in request.uses]


def _used_up(agent: str, decisions: Sequence[Decision], full: Full) -> Refusal | None:
    for holder, text in (each for decision in decisions for each in layers.rules_letting_through(decision)):
        if (holder, text) in full:
            whose = layers.spoken(holder) or f"'{agent}'"
            used = f'the permission "{text}" of {whose} is used up: at most {grants.parse_rule(text).rate} over all runs'
            said = f"{used}; the next use fits at {instant_text(full[holder, text])}. Give the step a `retry` with a back-off, or raise its rate"
            return Refusal(Cause.RATE, f"{said} and apply again with --publish", holder or None)
    return None


def _shape(asked: _Asked) -> Refusal | None:
    return Refusal(asked.request.odd_cause, asked.request.odd) if asked.request.odd else None


def _identity(asked: _Asked) -> Refusal | None:
    if asked.standing is None:
        return Refusal(Cause.DENIED, f"there is no agent '{asked.request.agent.name}' any more")
    return None


def _person(asked: _Asked) -> Refusal | None:
    """A run has no more rights than whoever started it, at any moment."""
    lost = asked.above.lost
    return None if lost is None else Refusal(Cause.DENIED, lost)


def _containment(asked: _Asked) -> Refusal | None:
    """What acts at a high risk goes nowhere near a system that can't keep it from the network."""
    standing, request = asked.standing, asked.request
    if standing is None or asked.contains or request.kind not in IN_CHILDREN or not needs_containment(standing.role, standing.risk):
        return None
    said = f"'{request.agent.name}' acts at risk tier {HIGH}, and this worker's system can't keep its code from the network (uncontained)"
    return Refusal(Cause.DENIED, f"{said}. Run workers on Linux with user namespaces, or give the agent a lower `risk_tier` if that is what it is")


def needs_containment(role: str, risk: str) -> bool:
    return role == ACT and risk.strip().lower() == HIGH


def _stop(asked: _Asked) -> Refusal | None:
    """Stopped: it waits. An agent that is suspended is stopped, whichever of the two was read first; one that is retired does nothing any more."""
    name, state = asked.request.agent.name, "" if asked.standing is None else asked.standing.state
    if asked.stop is not None:
        message = f"{asked.stop.said}, and '{name}' is sent nothing until that is lifted"
        return Refusal(Cause.STOPPED, message, asked.stop.owner, asked.stop.subject)
    if asked.standing is None or state in ABLE:
        return None
    return Refusal(Cause.STOPPED, f"agent '{name}' is {state} and may not work", stop=f"agent:{name}" if state == SUSPENDED else "")


def _grants(asked: _Asked) -> Refusal | None:
    for (verb, resource), decision in zip(asked.request.uses, asked.decisions, strict=False):
        if not decision.allowed and not decision.needs_approval:
            why, change = layers.explained(decision, verb, resource)
            message = f"'{asked.request.agent.name}' may not {verb} {resource}: {ended(why)} {change} and apply again with --publish"
            return Refusal(Cause.DENIED, message, decision.holder or None)
    return None


def _approval(asked: _Asked) -> Refusal | Ask | None:
    return approving.wanted(asked.request, asked.standing, asked.decisions, asked.above)


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
    what, owner = f"{alias['provider']}/{alias['model']}", f"alias:{alias['name']}"
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
    if asked.request.asking is not None:
        return None  # people cost nothing here, and no call is made
    if account.calls_limit is not None and account.calls + 1 > account.calls_limit:
        made = f"limits.calls; made {account.calls}"
        return Refusal(Cause.BUDGET, f"step '{step}' would exceed the run's limit of {account.calls_limit} calls ({made})")
    if account.cost_limit is not None and account.committed + bound > account.cost_limit:
        held = f"limits.cost; spent and reserved {money(account.committed)}, asked {money(bound)}"
        return Refusal(Cause.BUDGET, f"step '{step}' would exceed the run's cost limit of {money(account.cost_limit)} ({held})")
    return None


def _deadline(asked: _Asked) -> Refusal | None:
    if asked.now >= asked.request.not_after:
        return Refusal(Cause.DEADLINE, f"step '{asked.request.step}' had no time left for {asked.request.name}")
    return None


STANDING_STAGES: Final[tuple[Stage, ...]] = (_shape, _identity, _person, _stop, _containment, _grants, _approval)
STAGES: Final[tuple[Stage, ...]] = (*STANDING_STAGES, _rate, _breaker, _price, _budget, _deadline)
