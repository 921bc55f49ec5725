"""One permission, a line of text: an effect, a verb and a resource, and what bounds it in time, number and by a condition.

Pure. Must not know who holds it or which words are registered. Read from files by the readers beside it, judged by `agents.grants`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from agents import expressions
from agents.spec.fields import NAME, Fields, described
from agents.spec.measures import rate_of, rate_text
from agents.spec.vocabulary import VERB
from audit.errors import Invalid
from audit.instants import recorded, to_the_second

MAX_RULE: Final = 1_000
MAX_PERMISSIONS: Final = 500
MAX_PERMISSION: Final = 200
MAX_CONDITION: Final = 500
MOST_USES: Final = 1_000
SHORTEST_MS: Final = 1_000
LONGEST_MS: Final = 24 * 60 * 60 * 1_000
ALLOW: Final = "allow"
REQUIRE_APPROVAL: Final = "require_approval"
DENY: Final = "deny"
EFFECTS: Final = (ALLOW, REQUIRE_APPROVAL, DENY)
"""In the order in which one gives way to the next."""
ARGS: Final = "args"
"""What a condition calls that which a call is given."""

_RULE = re.compile(r"\s*(\S+)\s+(\S+)\s+(\S+)(?:\s+(\S.*?))?\s*")
_CLAUSE = re.compile(r"(from|until|rate|policy)\s+(\S+)\s*")
_OBSERVE = re.compile(r"observe(?:\s+|$)")
_CONDITION = re.compile(r"when\s+(\S.*)")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class RuleInvalid(Invalid):
    """A permission reads: allow (or require_approval, or deny) VERB RESOURCE, such as "allow read feed:*"."""

    code = "permission-invalid"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most so many uses in so many milliseconds."""

    uses: int
    window_ms: int

    def __str__(self) -> str:
        return rate_text(self.uses, self.window_ms)


@dataclass(frozen=True, slots=True)
class Rule:
    """One permission. `resource` is exact, or a prefix where `prefix` is set (the text ends with `*`). `since` is in, `until` is not."""

    text: str
    effect: str
    verb: str
    resource: str
    prefix: bool
    since: datetime | None = None
    until: datetime | None = None
    rate: Rate | None = None
    policy: str | None = None
    """Of a rule that asks for an approval: who gives it, where that is not the default."""
    observe: bool = False
    """Decided and recorded, not enforced."""
    when: str | None = None

    def covers(self, verb: str, resource: str) -> bool:
        """Whether this rule speaks of the verb and the resource. Case matters; a `*` asked for is an ordinary character."""
        if verb != self.verb:
            return False
        if not self.prefix:
            return resource == self.resource
        if not resource.startswith(self.resource):
            return False
        # file:* is every file; file:data/* is what lies below data, and data/../secret does not, however it begins.
        whole_kind = self.resource == "" or self.resource.endswith(":")
        return whole_kind or ".." not in resource[len(self.resource) :].replace("\\", "/").split("/")

    def out_of_time(self, now: datetime) -> str | None:
        """Why it doesn't hold at this instant."""
        if self.since is not None and now < self.since:
            return f"holds only from {instant_said(self.since)}"
        if self.until is not None and now >= self.until:
            return f"held only until {instant_said(self.until)}"
        return None

    @property
    def is_bounded(self) -> bool:
        """Whether there are calls that it speaks of and doesn't hold for."""
        return self.observe or self.when is not None or self.since is not None or self.until is not None

    @property
    def words(self) -> str:
        """Its first three words: what it says without its bounds."""
        return f"{self.effect} {self.verb} {self.resource}{'*' if self.prefix else ''}"

    def canonical(self) -> str:
        """The one way to write it: what is stored, and what digests are made of."""
        times = {"from": self.since and instant_said(self.since), "until": self.until and instant_said(self.until)}
        said = {**times, "rate": self.rate, "policy": self.policy}
        bounds = [f"{name} {value}" for name, value in said.items() if value is not None]
        return " ".join([self.words, *bounds, *(["observe"] if self.observe else []), *([f"when {self.when}"] if self.when is not None else [])])


def _shown(text: str) -> str:
    """As a message quotes it: whole, or its beginning and an ellipsis."""
    return repr(text if len(text) <= MAX_PERMISSION else f"{text[: MAX_PERMISSION - 1]}…")


@lru_cache(maxsize=4096)
def parse_rule(text: str) -> Rule:
    """The rule that a text says; RuleInvalid tells what is wrong with it."""
    found = _RULE.fullmatch(text) if len(text) <= MAX_RULE else None
    if found is None:
        raise RuleInvalid(f'permission {_shown(text)} has not three words; it reads: allow VERB RESOURCE, such as "allow read feed:*"')
    effect, verb, resource, rest = found.groups()
    if effect not in EFFECTS:
        raise RuleInvalid(f"permission {_shown(text)} starts with {effect!r}; it begins with one of {', '.join(EFFECTS)}")
    if not VERB.fullmatch(verb):
        raise RuleInvalid(f"permission {_shown(text)}: {verb!r} is no verb; write a lower-case word such as read, write or call")
    if "*" in resource[:-1]:
        raise RuleInvalid(f"permission {_shown(text)}: a * may stand only at the very end of the resource, as in deny read feed:secret/*")
    prefix = resource.endswith("*")
    bounds = _bounds(text, rest or "")
    return _judged(Rule(text, effect, verb, resource.removesuffix("*") if prefix else resource, prefix, **bounds))


def _bounds(text: str, rest: str) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    while (found := _CLAUSE.match(rest)) is not None:
        name, value = found.groups()
        key, read, hint = _READERS[name]
        if key in bounds or (known := read(value)) is None:
            raise RuleInvalid(f"permission {_shown(text)}: {name} {value!r} can't be read; write {hint}, once")
        bounds[key], rest = known, rest[found.end() :]
    if (found := _OBSERVE.match(rest)) is not None:
        bounds["observe"], rest = True, rest[found.end() :]
    condition = _CONDITION.fullmatch(rest)
    if rest and condition is None:
        said = "from INSTANT, until INSTANT, rate 10/hour, policy NAME, observe and, at the very end, when CONDITION"
        raise RuleInvalid(f"permission {_shown(text)}: {rest!r:.80} can't be read; after the resource may follow {said}")
    return bounds | ({"when": condition[1]} if condition is not None else {})


def _judged(rule: Rule) -> Rule:
    """What two bounds say together."""
    if rule.since is not None and rule.until is not None and rule.since >= rule.until:
        raise RuleInvalid(f"permission {_shown(rule.text)} would never hold: its `from` is not before its `until`")
    if rule.rate is not None and (rule.effect == DENY or rule.verb == "connect" or rule.observe):
        unused = "what is denied is never used" if rule.effect == DENY else "what is only observed is never used"
        why = unused if rule.observe or rule.effect == DENY else "what an agent does with the network itself can't be counted"
        raise RuleInvalid(f"permission {_shown(rule.text)} has a rate, and {why}; leave it out")
    if rule.policy is not None and rule.effect != REQUIRE_APPROVAL:
        raise RuleInvalid(f"permission {_shown(rule.text)} names a policy, and only require_approval has one; leave it out")
    return rule


def instant_of(text: str) -> datetime | None:
    """An instant with its offset, or a day, which begins at midnight UTC."""
    try:
        at = datetime.fromisoformat(f"{text}T00:00:00+00:00" if _DAY.fullmatch(text) else text)
        return None if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def instant_said(at: datetime) -> str:
    return recorded(at) if at.microsecond else to_the_second(at)


def _rate_of(text: str) -> Rate | None:
    found = rate_of(text)
    if found is None or not 1 <= found[0] <= MOST_USES or not SHORTEST_MS <= found[1] <= LONGEST_MS:
        return None
    return Rate(*found)


def _policy_of(text: str) -> str | None:
    return text if NAME.fullmatch(text) else None


_INSTANT = "a day or an instant such as 2027-01-01 or 2027-01-01T08:00:00Z"
_READERS: Final[dict[str, tuple[str, Any, str]]] = {
    "from": ("since", instant_of, _INSTANT),
    "until": ("until", instant_of, _INSTANT),
    "rate": ("rate", _rate_of, f"uses per time, such as 10/hour or 60/1m: 1 to {MOST_USES:,} uses per 1s to 24h"),
    "policy": ("policy", _policy_of, "the name of a policy such as production"),
}


# --- in files ---------------------------------------------------------------------------------------------------------------------------


def read_permissions(fields: Fields) -> list[str]:
    """`permissions`: texts, or mappings such as {allow: write deploy:staging, when: …}; each as its canonical text."""
    value = fields.get("permissions")
    if value is None:
        return []
    if not isinstance(value, list):
        fields.wrong("permissions", f"must be a list ([a, b]), not {described(value)}")
        return []
    if len(value) > MAX_PERMISSIONS:
        fields.wrong("permissions", f"has {len(value)} lines; write at most {MAX_PERMISSIONS}, with a * at the end of what belongs together")
    found: list[str] = []
    for index, item in enumerate(value):
        raw, place = (*fields.raw, "permissions", index), (*fields.spec, "permissions", len(found))
        text = _as_text(fields, item, raw)
        rule = None if text is None else _rule_in(fields, text, raw)
        if rule is not None:
            fields.page.mark(raw, place)
            found.append(rule.canonical())
    return found


def _as_text(fields: Fields, item: Any, raw: tuple[Any, ...]) -> str | None:
    if isinstance(item, str) and item.strip():
        return item.strip()
    if not isinstance(item, dict):
        hint = "it is a text (quote it), or a mapping such as {allow: write deploy:staging, when: \"args.version != ''\"}"
        fields.page.problem(raw, f"an entry of 'permissions' can't be {described(item)}; {hint}")
        return None
    inner = Fields(fields.page, item, raw=raw, spec=(*fields.spec, "permissions", raw[-1]), what="this permission")
    effects = {effect: inner.text(effect) for effect in EFFECTS}
    bounds = {name: inner.text(name) for name in ("from", "until", "rate", "policy")}
    bounds |= {"observe": "" if inner.boolean("observe") else None, "when": inner.text("when")}
    inner.finish()
    when = bounds["when"]
    if when is not None and not expressions.same_pieces(when, _one_line(when)):
        hint = "write it without // comments in between and without line breaks inside a text, in at most"
        fields.page.problem((*raw, "when"), f"the condition means something else once its lines are joined; {hint} {MAX_CONDITION} characters")
        return None
    said = {effect: what for effect, what in effects.items() if what is not None}
    if len(said) != 1:
        fields.page.problem(raw, f"a permission says one of {', '.join(EFFECTS)}, as in {{allow: write deploy:staging}}; this one says {len(said)}")
        return None
    ((effect, what),) = said.items()
    if len(what.split()) != 2:
        fields.page.problem((*raw, effect), f"{what!r:.80} must be a verb and a resource, as in {effect}: read feed:metrics")
        return None
    return " ".join([effect, *what.split(), *(f"{name} {_one_line(value)}".strip() for name, value in bounds.items() if value is not None)])


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.strip().splitlines())


def _rule_in(fields: Fields, text: str, raw: tuple[Any, ...]) -> Rule | None:
    plain, _, condition = text.partition(" when ")
    if len(plain) > MAX_PERMISSION:
        fields.page.problem(raw, f"the permission {text[:80]!r} has {len(plain)} characters; write at most {MAX_PERMISSION}")
        return None
    if len(condition) > MAX_CONDITION:
        fields.page.problem(raw, f"the condition {condition[:80]!r} has {len(condition)} characters; write at most {MAX_CONDITION}")
        return None
    try:
        rule = parse_rule(text)
    except RuleInvalid as error:
        fields.page.problem(raw, error.message)
        return None
    for problem in condition_problems(rule):
        fields.page.problem(raw, f"the permission {text[:80]!r}: {problem}")
    return rule


def condition_problems(rule: Rule) -> Iterator[str]:
    """What is wrong with a rule's condition as far as its text shows."""
    if rule.when is None:
        return
    yield from expressions.problems(rule.when)
    gives = expressions.never_true_or_false(rule.when)
    if gives is not None:
        yield f"its condition gives {gives} and never true or false; compare it, as in: size({ARGS}.version) > 0"
    for root in sorted({reference[0] for reference in expressions.references(rule.when)} - {ARGS}):
        yield f"its condition names {root!r}, and there is only {ARGS!r}, what the call is given, as in: {ARGS}.version != ''"


def conditions_of(spec: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """The conditions of a normalised document's permissions, each with the place of its line."""
    for index, text in enumerate(spec.get("permissions") or ()):
        when = parse_rule(text).when
        if when is not None:
            yield index, when
