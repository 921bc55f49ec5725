"""What an agent may do: rules "allow", "require_approval" or "deny", each VERB RESOURCE; what none names is denied.

Pure over its arguments: the caller passes the agent's live permissions. Called by the boundary before each call, by the registry
when files are applied, and by whoever asks beforehand. Conditions join here when something enforces them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from audit.errors import Invalid

MAX_RULE = 1_000
ALLOW = "allow"
REQUIRE_APPROVAL = "require_approval"
DENY = "deny"
EFFECTS = (ALLOW, REQUIRE_APPROVAL, DENY)
"""In the order in which one gives way to the next."""
VERB = re.compile(r"[a-z][a-z-]{0,62}")


class RuleInvalid(Invalid):
    """A permission reads: allow (or require_approval, or deny) VERB RESOURCE, such as "allow read feed:*"."""

    code = "permission-invalid"


@dataclass(frozen=True, slots=True)
class Rule:
    """One permission. `resource` is exact, or a prefix where `prefix` is set (the text ends with `*`)."""

    text: str
    effect: str
    verb: str
    resource: str
    prefix: bool

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


@dataclass(frozen=True, slots=True)
class Decision:
    """`effect` is one of EFFECTS; `rule` is the text of the rule that decided, None where none speaks of it (and so it is denied)."""

    effect: str
    rule: str | None = None
    is_readable: bool = True
    """Whether that rule could be read: one that can't, and isn't there to allow, denies everything."""

    @property
    def allowed(self) -> bool:
        return self.effect == ALLOW

    @property
    def needs_approval(self) -> bool:
        """It is not allowed by itself, and would be with a person's yes."""
        return self.effect == REQUIRE_APPROVAL


@lru_cache(maxsize=4096)
def parse_rule(text: str) -> Rule:
    """The rule that a text says; RuleInvalid tells what is wrong with it."""
    words = text.split() if len(text) <= MAX_RULE else []
    if len(words) != 3:
        raise RuleInvalid(f'permission {text!r:.200} has not three words; it reads: allow VERB RESOURCE, such as "allow read feed:*"')
    effect, verb, resource = words
    if effect not in EFFECTS:
        raise RuleInvalid(f"permission {text!r} starts with {effect!r}; it begins with one of {', '.join(EFFECTS)}")
    if not VERB.fullmatch(verb):
        raise RuleInvalid(f"permission {text!r}: {verb!r} is no verb; write a lower-case word such as read, write or call")
    if "*" in resource[:-1]:
        raise RuleInvalid(f"permission {text!r}: a * may stand only at the very end of the resource")
    prefix = resource.endswith("*")
    return Rule(text=text, effect=effect, verb=verb, resource=resource.removesuffix("*") if prefix else resource, prefix=prefix)


def decide(permissions: Sequence[str], verb: str, resource: str) -> Decision:
    """Whether these permissions allow VERB on RESOURCE, and which of them says so: deny wins, then require_approval, then allow.

    A rule that does not parse allows nothing, and one that was not to allow forbids everything: an error in a policy is a refusal.
    """
    found: dict[str, str] = {}
    for text in permissions:
        try:
            rule = parse_rule(text)
        except RuleInvalid:
            if text.split()[:1] != [ALLOW]:
                return Decision(DENY, text, is_readable=False)
            continue
        if rule.covers(verb, resource):
            found.setdefault(rule.effect, text)
    effect = next((effect for effect in reversed(EFFECTS) if effect in found), DENY)
    return Decision(effect, found.get(effect))


def explained(decision: Decision, verb: str, resource: str) -> tuple[str, str]:
    """Why it is decided so, and what would change that: two clauses for people. A change holds once it is applied with --publish."""
    rule = f'the permission "{decision.rule}"'
    if decision.rule is None:
        return "no permission allows it", f'Add "{ALLOW} {verb} {resource}"'
    if not decision.is_readable:
        return f"{rule} can't be read and may forbid it", "Mend it"
    if decision.effect == DENY:
        return f"{rule} wins over whatever allows it", "Take it out, or narrow it"
    if decision.needs_approval:
        return (
            f"{rule} asks for a person's yes, and nobody can give one in this version",
            f'Leave it out, or change it to "{ALLOW} {verb} {resource}"',
        )
    return f"{rule} allows it", f'Take it out, or add "{DENY} {verb} {resource}"'
