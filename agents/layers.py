"""What holders of permissions say together: an agent with its team, and the pipelines that its call is made for, each an upper bound.

Pure, as `agents.grants`, which judges each of them. The strictest decides: deny, then require_approval, then allow. Called by the boundary
and by whoever asks beforehand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from agents import grants
from agents.grants import ALLOW, BUILT_IN, DENY, REQUIRE_APPROVAL, Decision, Vocabulary

PIPELINE: Final = "pipeline:"
_NOTHING: Final[Mapping[str, Any]] = {}
_ROOM: Final[Collection[tuple[str, str]]] = frozenset()


@dataclass(frozen=True, slots=True)
class Layer:
    """One holder's rules. `holder` is empty for the agent with its team, else as ledger entries name it, such as pipeline:deploy.

    `observe`: what is refused there only because no rule allows it is allowed, and recorded; whatever a rule says holds.
    """

    holder: str
    permissions: tuple[str, ...]
    observe: bool = False


def decide(
    layers: Sequence[Layer],
    verb: str,
    resource: str,
    *,
    now: datetime,
    args: Mapping[str, Any] = _NOTHING,
    vocabulary: Vocabulary = BUILT_IN,
    full: Collection[tuple[str, str]] = _ROOM,
) -> Decision:
    """The strictest of what they say, each asked as `grants.decide`. `full`: rules without room, each with its holder."""
    return together([said_by(each, verb, resource, now=now, args=args, vocabulary=vocabulary, full=full) for each in layers])


def said_by(
    layer: Layer, verb: str, resource: str, *, now: datetime, args: Mapping[str, Any], vocabulary: Vocabulary, full: Collection[tuple[str, str]]
) -> Decision:
    """What one of them says by itself."""
    used_up = {rule for holder, rule in full if holder == layer.holder} if full else ()
    decision = grants.decide(layer.permissions, verb, resource, now=now, args=args, vocabulary=vocabulary, full=used_up)
    if layer.observe and decision.effect == DENY and decision.rule is None and decision.problem is None:
        decision = replace(decision, effect=ALLOW, lacks=True)
    return replace(decision, holder=layer.holder) if layer.holder else decision


def together(decisions: Sequence[Decision]) -> Decision:
    """What several say is denied where one of them denies it, and needs a yes where one of them asks for it."""
    if len(decisions) == 1:
        return decisions[0]
    denying = next((each for each in decisions if each.effect == DENY), None)
    if denying is not None or not decisions:
        return denying or Decision(DENY)
    asking = [each for each in decisions if each.effect == REQUIRE_APPROVAL]
    return _approvable(asking, tuple(decisions)) if asking else replace(decisions[0], parts=tuple(decisions))


def _approvable(asking: Sequence[Decision], parts: tuple[Decision, ...]) -> Decision:
    """Two policies for one thing are none, and the default one is a policy: no holder says by whom another's question may be answered."""
    first = next((each for each in asking if each.policy is not None), asking[0])
    other = next((each for each in asking if each.policy != first.policy), None)
    if other is not None:
        whose = f"the permission of {spoken(other.holder) or 'the agent'} that does"
        names = "names none, which is the default one of the agent's team" if other.policy is None else f"names policy '{other.policy}'"
        return Decision(DENY, first.rule, problem=f"{whose} {names}", policy=first.policy, holder=first.holder)
    return replace(first, parts=parts)


def spoken(holder: str) -> str:
    """A holder in a sentence: pipeline 'deploy'."""
    return f"pipeline '{holder.removeprefix(PIPELINE)}'" if holder else ""


@dataclass(frozen=True, slots=True)
class Network:
    """Whether a child gets the network itself: only where each holder gives it. `by`: the rules that do, each with its holder."""

    by: tuple[tuple[str, str], ...] = ()
    observed: tuple[tuple[str, str], ...] = ()


NO_NETWORK: Final = Network()


def network(layers: Sequence[Layer], *, args: Mapping[str, Any], now: datetime) -> Network:
    """What is only observed for want of a rule gives no network: a child without one is contained, and nothing was refused to it."""
    found = []
    for each in layers:
        said = grants.network(each.permissions, args=args, now=now)
        if not said.by:
            return NO_NETWORK
        found.append((each.holder, said))
    observed = tuple((holder, rule) for holder, said in found for rule in said.observed)
    return Network(tuple((holder, rule) for holder, said in found for rule in said.by), observed)


def explained(decision: Decision, verb: str, resource: str) -> tuple[str, str]:
    """As `grants.explained`, with whose rules those are."""
    if decision.lacks:
        why = "no permission allows it, and its team's agents are only observed: for want of a permission nothing is refused"
        return why, f'Add "{ALLOW} {verb} {resource}", so that it holds once the team says `observe: false`'
    why, change = grants.explained(decision, verb, resource)
    if not decision.holder:
        return why, change
    does = {ALLOW: "allows it", DENY: "does not allow it"}.get(decision.effect, "asks for a person's yes")
    return f"{spoken(decision.holder)} {does}: {why}", f"{change} (in the document of {spoken(decision.holder)})"


def rules_letting_through(decision: Decision) -> Iterator[tuple[str, str]]:
    """The rules by which something goes out, each with its holder; those that ask count too, once they were answered."""
    for each in decision.every:
        if each.rule is not None and each.effect != DENY:
            yield each.holder, each.rule


def rules_asking(decision: Decision) -> Iterator[tuple[str, str]]:
    """The rules that ask for a person's yes, each with its holder: whoever granted one of them had a hand in it."""
    for each in decision.every:
        if each.rule is not None and each.needs_approval:
            yield each.holder, each.rule


def recorded(decision: Decision, verb: str, resource: str) -> Iterator[str]:
    """What would have refused it if it were enforced, as the call's entry says it: rules that are only observed, and the want of one."""
    for each in decision.every:
        yield from each.observed
        if each.lacks:
            yield f"no permission allows {verb} {resource}"
