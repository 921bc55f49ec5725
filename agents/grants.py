"""What an agent may do: rules "allow", "require_approval" or "deny", each VERB RESOURCE, within bounds; what none names is denied.

Pure over its arguments: the caller passes the live permissions, the instant and the call's arguments. Called by the boundary before
each call, by the registry when files are applied, and by whoever asks beforehand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from agents import expressions
from agents.errors import ExpressionError
from agents.spec.permissions import ALLOW, ARGS, DENY, EFFECTS, MAX_RULE, REQUIRE_APPROVAL, Rate, Rule, RuleInvalid, parse_rule
from agents.spec.vocabulary import BUILT_IN, VERB, Vocabulary

__all__ = [
    "ALLOW", "BUILT_IN", "DENY", "EFFECTS", "MAX_RULE", "REQUIRE_APPROVAL", "VERB", "Decision", "Network", "Rate", "Rule", "RuleInvalid",
    "Vocabulary", "decide", "explained", "is_about_connecting", "network", "opening", "parse_rule", "readable",
]  # fmt: skip

KEEPS_AWAY: Final = "keeps all of the network away: a child has the whole of it or none"
_NOTHING: Final[Mapping[str, Any]] = {}
_NOBODY: Final[Collection[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """`effect` is one of EFFECTS; `rule` is the text of the rule that decided, None where none speaks of it (and so it is denied)."""

    effect: str
    rule: str | None = None
    is_readable: bool = True
    """Whether that rule could be read: one that can't, and isn't there to allow, denies everything."""
    problem: str | None = None
    """Why nothing could be decided, so that it is denied: a word that nobody registered, a condition that failed."""
    missed: tuple[str, str, str] | None = None
    """A rule that would have allowed it, what keeps it from doing so now, and what to do about that."""
    observed: tuple[str, ...] = ()
    """Rules that are only observed, and would have refused what is allowed."""
    policy: str | None = None
    """Of what needs an approval: the policy that its rule names, None for the default."""
    holder: str = ""
    """Whose rules decided, where those are not the agent's own and its team's."""
    lacks: bool = False
    """It is allowed only because for want of a rule nothing is refused there; recorded."""
    parts: tuple[Decision, ...] = ()
    """Where rules of several holders were asked and none of them denied it: what each said."""

    @property
    def every(self) -> tuple[Decision, ...]:
        """What each holder of rules said, of those that had a say in it."""
        return self.parts or (self,)

    @property
    def allowed(self) -> bool:
        return self.effect == ALLOW

    @property
    def needs_approval(self) -> bool:
        """It is not allowed by itself, and would be with a person's yes."""
        return self.effect == REQUIRE_APPROVAL


@dataclass(slots=True)
class _Indexed:
    """An agent's rules, found by what they say: exact resources, and prefixes by their length."""

    unreadable: str | None = None
    exact: dict[tuple[str, str], list[tuple[int, Rule]]] = field(default_factory=dict)
    prefixes: dict[tuple[str, str], list[tuple[int, Rule]]] = field(default_factory=dict)
    lengths: dict[str, list[int]] = field(default_factory=dict)
    every: list[Rule] = field(default_factory=list)
    connecting: list[Rule] = field(default_factory=list)
    """Those that speak of hosts that a child would connect to by itself."""

    def covering(self, verb: str, resource: str) -> list[Rule]:
        """Those that speak of it, in the order in which they stand."""
        found = list(self.exact.get((verb, resource), ()))
        for length in self.lengths.get(verb, ()):
            if length > len(resource):
                break
            found += [each for each in self.prefixes.get((verb, resource[:length]), ()) if each[1].covers(verb, resource)]
        return [rule for _, rule in sorted(found, key=lambda each: each[0])]


@lru_cache(maxsize=256)
def _indexed(permissions: tuple[str, ...]) -> _Indexed:
    index = _Indexed()
    lengths: dict[str, set[int]] = {}
    for place, text in enumerate(permissions):
        try:
            rule = parse_rule(text)
        except RuleInvalid:
            if text.split()[:1] != [ALLOW] and index.unreadable is None:
                index.unreadable = text
            continue
        index.every.append(rule)
        if is_about_connecting(rule):
            index.connecting.append(rule)
        table = index.prefixes if rule.prefix else index.exact
        table.setdefault((rule.verb, rule.resource), []).append((place, rule))
        if rule.prefix:
            lengths.setdefault(rule.verb, set()).add(len(rule.resource))
    index.lengths = {verb: sorted(each) for verb, each in lengths.items()}
    return index


def decide(
    permissions: Sequence[str],
    verb: str,
    resource: str,
    *,
    now: datetime,
    args: Mapping[str, Any] = _NOTHING,
    vocabulary: Vocabulary = BUILT_IN,
    full: Collection[str] = _NOBODY,
) -> Decision:
    """Whether these permissions allow VERB on RESOURCE now, and which of them says so: deny wins, then require_approval, then allow.

    A rule that does not parse allows nothing, and one that was not to allow forbids everything; so does a condition that fails on `args`,
    of whichever rule speaks of this: an error in a policy is a refusal. `full`: texts of rules whose rate is used up; another goes first.
    """
    index = _indexed(tuple(permissions))
    if index.unreadable is not None:
        return Decision(DENY, index.unreadable, is_readable=False)
    unknown = vocabulary.problem_of(verb, resource)
    if unknown is not None:
        return Decision(DENY, problem=unknown)
    return _decided(index.covering(verb, resource), now, args, full)


def _decided(speaking: Sequence[Rule], now: datetime, args: Mapping[str, Any], full: Collection[str]) -> Decision:
    """By the rules that speak of it, in the order in which they stand."""
    found: dict[str, Rule] = {}
    policies: set[str | None] = set()
    missed: tuple[str, str, str] | None = None
    for rule in speaking:
        try:
            why_not = _why_silent(rule, args, now)
        except ExpressionError as error:
            return Decision(DENY, rule.text, problem=f"its condition can't be judged: {error.message}")
        if why_not is None:
            found[rule.effect] = _better(found.get(rule.effect), rule, full)
            policies |= {rule.policy}
        elif rule.effect == ALLOW and missed is None:
            missed = (rule.text, *why_not)
    effect = next((effect for effect in reversed(EFFECTS) if effect in found), DENY)
    if effect == ALLOW:
        return Decision(ALLOW, found[ALLOW].text, observed=tuple(rule.text for rule in speaking if _would_refuse(rule, args, now)))
    if effect == REQUIRE_APPROVAL:
        return _approvable(found[effect], policies)
    deciding = found.get(effect)
    return Decision(effect, deciding.text if deciding is not None else None, missed=None if found else missed)


def _approvable(rule: Rule, policies: Collection[str | None]) -> Decision:
    """Two policies for one thing would be two answers; which of them counts is for whoever wrote the permissions to say."""
    others = sorted({policy for policy in policies if policy is not None} - {rule.policy or ""})
    if others:
        return Decision(DENY, rule.text, problem=f"another permission that does names policy '{others[0]}'", policy=rule.policy)
    return Decision(REQUIRE_APPROVAL, rule.text, policy=rule.policy)


def _would_refuse(rule: Rule, args: Mapping[str, Any], now: datetime) -> bool:
    """Whether a rule that is only observed would, if it were enforced; one whose condition fails would."""
    if not rule.observe or rule.out_of_time(now) is not None:
        return False
    try:
        return rule.effect != ALLOW and _unmet(rule, args) is None
    except ExpressionError:
        return True


def _why_silent(rule: Rule, args: Mapping[str, Any], now: datetime) -> tuple[str, str] | None:
    """Why it says nothing of this call, and what to do about that; None where it does. Raises ExpressionError where the condition can't be judged."""
    out = rule.out_of_time(now)
    if out is not None:
        is_early = rule.since is not None and now < rule.since
        return out, "Wait until then, give that line an earlier `from`" if is_early else "Give that line a later `until`"
    if rule.observe:
        return "is only observed", "Take `observe` off that line"
    unmet = _unmet(rule, args)
    return None if unmet is None else (unmet, "Give the call what that condition asks for")


def _unmet(rule: Rule, args: Mapping[str, Any]) -> str | None:
    """Raises ExpressionError where the condition can't be judged."""
    return None if rule.when is None or expressions.holds(rule.when, {ARGS: args}) else "has a condition that these arguments don't meet"


def _better(first: Rule | None, rule: Rule, full: Collection[str]) -> Rule:
    """The first of one effect decides; one that names a policy before one that doesn't, and one that isn't counted, or has room, before one
    that is used up."""
    if first is not None and (first.policy is None) != (rule.policy is None):
        return rule if first.policy is None else first
    if first is None or (first.rate is not None and (rule.rate is None or (first.text in full and rule.text not in full))):
        return rule
    return first


@dataclass(frozen=True, slots=True)
class Network:
    """Whether a child gets the network itself. `by`: the rules that give it, none where it doesn't.

    `against`: the rule that keeps it away. `observed`: rules that are only observed, and would.
    """

    by: tuple[str, ...] = ()
    against: str | None = None
    observed: tuple[str, ...] = ()


NO_NETWORK: Final = Network()


def network(permissions: Sequence[str], *, args: Mapping[str, Any], now: datetime) -> Network:
    """A child gets the network only where a rule says `connect network:…`, or a prefix of that with a `*`.

    It is the whole network, so one host that is denied or requires an approval, or whose rule can't be judged, keeps all of it away.
    """
    index = _indexed(tuple(permissions))
    if index.unreadable is not None:
        return Network(against=index.unreadable)
    if not index.connecting:  # as of most agents
        return NO_NETWORK
    speaking, giving = index.connecting, []
    for rule in speaking:
        try:
            holds = not rule.observe and rule.out_of_time(now) is None and _unmet(rule, args) is None
        except ExpressionError:
            return Network(against=rule.text)
        if holds and rule.effect != ALLOW:
            return Network(against=rule.text)
        giving += [rule.text] if holds else []
    observed = tuple(rule.text for rule in speaking if _would_refuse(rule, args, now)) if giving else ()
    return Network(tuple(giving), observed=observed)


def is_about_connecting(rule: Rule) -> bool:
    """Whether it speaks of some host that a child would connect to by itself."""
    covers = rule.resource.startswith("network:") or (rule.prefix and "network:".startswith(rule.resource))
    return rule.verb == "connect" and covers


def opening(permissions: Sequence[str], *, args: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """The network addresses that rules allow to read by name, each exactly: only those may lie in a network that isn't public."""
    index = _indexed(tuple(permissions))
    for rule in index.every:
        exact = rule.verb == "read" and rule.effect == ALLOW and not rule.prefix and rule.resource.startswith("network:")
        if exact and not rule.observe and _holds(rule, args, now):
            yield rule.resource


def _holds(rule: Rule, args: Mapping[str, Any], now: datetime) -> bool:
    try:
        return rule.out_of_time(now) is None and _unmet(rule, args) is None
    except ExpressionError:
        return False


def readable(text: str) -> Rule | None:
    """The rule of a text, or None where it can't be read."""
    try:
        return parse_rule(text)
    except RuleInvalid:
        return None


def _speaks(text: str, verb: str, resource: str) -> bool:
    rule = readable(text)
    return rule is not None and rule.covers(verb, resource)


def explained(decision: Decision, verb: str, resource: str) -> tuple[str, str]:
    """Why it is decided so, and what would change that: two clauses for people. A change holds once it is applied with --publish."""
    rule = f'the permission "{decision.rule}"'
    if decision.problem is not None:
        return _undecided(decision, rule, decision.problem)
    if decision.rule is None:
        return _unnamed(decision, verb, resource)
    if not decision.is_readable:
        return f"{rule} can't be read and may forbid it", "Mend it"
    if decision.effect == DENY or not _speaks(decision.rule, verb, resource):
        wins = "wins over whatever allows it" if _speaks(decision.rule, verb, resource) else KEEPS_AWAY
        return f"{rule} {wins}", "Take it out, or narrow it"
    if decision.needs_approval:
        asks = "the default policy" if decision.policy is None else f"policy '{decision.policy}'"
        return f"{rule} asks for a person's yes, as {asks} says", f'Change it to "{ALLOW} {verb} {resource}" if that needs nobody'
    if decision.observed:
        observed = f'"{decision.observed[0]}"'
        return f"{rule} allows it, and {observed}, which is only observed, would refuse it", f"Take `observe` off {observed}: then it is refused"
    return f"{rule} allows it", f'Take it out, or add "{DENY} {verb} {resource}"'


def _undecided(decision: Decision, rule: str, problem: str) -> tuple[str, str]:
    """As above, of what is denied because nothing could be decided."""
    if decision.rule is None:
        return problem, "Write a verb and a kind that are registered, or register yours in the team's document"
    if decision.policy is not None:
        return f"{rule} names policy '{decision.policy}', and {problem}", "Let both name the same policy, or narrow one of them"
    return (
        f"{rule} speaks of it, and {problem}",
        "Give what it asks for, of the type that it compares, or mend it (ask has(…) for what may be missing)",
    )


def _unnamed(decision: Decision, verb: str, resource: str) -> tuple[str, str]:
    if decision.missed is None:
        return "no permission allows it", f'Add "{ALLOW} {verb} {resource}"'
    text, why, change = decision.missed
    return f'no permission allows it now: "{text}" {why}', f'{change}, or add "{ALLOW} {verb} {resource}"'
