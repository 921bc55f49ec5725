"""What an agent may do: rules "allow VERB RESOURCE" and "require_approval VERB RESOURCE", denied by default.

Pure over its arguments: the caller passes the agent's live permissions. Called by the boundary before each call and by
the registry when files are applied. Conditions and deny rules join here when something enforces them.
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
EFFECTS = (ALLOW, REQUIRE_APPROVAL)
_VERB = re.compile(r"[a-z][a-z-]{0,62}")


class RuleInvalid(Invalid):
    """A permission reads: allow (or require_approval) VERB RESOURCE, such as "allow read feed:*"."""

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
    """`rule` is the text of the rule that decided, None where none speaks of it (and so it is refused).

    `needs_approval`: it is not allowed by itself, and would be with a person's yes.
    """

    allowed: bool
    rule: str | None
    needs_approval: bool = False


@lru_cache(maxsize=4096)
def parse_rule(text: str) -> Rule:
    """The rule that a text says; RuleInvalid tells what is wrong with it."""
    words = text.split() if len(text) <= MAX_RULE else []
    if len(words) != 3:
        raise RuleInvalid(f'permission {text!r:.200} has not three words; it reads: allow VERB RESOURCE, such as "allow read feed:*"')
    effect, verb, resource = words
    if effect not in EFFECTS:
        known = " and ".join(EFFECTS)
        raise RuleInvalid(f"permission {text!r} starts with {effect!r}; this version knows {known} (all else is refused anyway)")
    if not _VERB.fullmatch(verb):
        raise RuleInvalid(f"permission {text!r}: {verb!r} is no verb; write a lower-case word such as read, write or call")
    if "*" in resource[:-1]:
        raise RuleInvalid(f"permission {text!r}: a * may stand only at the very end of the resource")
    prefix = resource.endswith("*")
    return Rule(text=text, effect=effect, verb=verb, resource=resource.removesuffix("*") if prefix else resource, prefix=prefix)


def decide(permissions: Sequence[str], verb: str, resource: str) -> Decision:
    """Whether these permissions allow VERB on RESOURCE, and which of them says so. What requires an approval wins over what allows.

    A rule that does not parse allows nothing, and one that was not to allow forbids everything: an error in a policy is a refusal.
    """
    allowing: str | None = None
    for text in permissions:
        try:
            rule = parse_rule(text)
        except RuleInvalid:
            if text.split()[:1] != [ALLOW]:
                return Decision(allowed=False, rule=text)
            continue
        if not rule.covers(verb, resource):
            continue
        if rule.effect == REQUIRE_APPROVAL:
            return Decision(allowed=False, rule=text, needs_approval=True)
        allowing = allowing or text
    return Decision(allowed=allowing is not None, rule=allowing)
