"""What a permission means, in words. Pure; shown on the page of an agent and in the inventory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.grants import ALLOW, DENY, REQUIRE_APPROVAL, RuleInvalid, parse_rule

_KINDS: Final = {
    "feed": "the feed", "file": "the file", "network": "the network address", "tool": "the tool", "model": "the model", "agent": "the agent",
}  # fmt: skip
_MANY: Final = {
    "feed": "feeds", "file": "files", "network": "network addresses", "tool": "tools", "model": "models", "agent": "agents",
}  # fmt: skip


_MAY: Final = {ALLOW: ("may", ""), REQUIRE_APPROVAL: ("may", ", only with a person's yes"), DENY: ("may never", ", whatever allows it")}
FORBIDS: Final = "has a line that can't be read: it forbids everything until it is mended"


@dataclass(frozen=True, slots=True)
class Permission:
    text: str
    said: str
    wide: bool
    """Whether it covers everything of its kind: worth a second look."""


def in_words(permissions: Sequence[Any]) -> Sequence[Permission]:
    return [_said(str(text)) for text in permissions]


def _said(text: str) -> Permission:
    try:
        rule = parse_rule(text)
    except RuleInvalid:
        nothing = text.split()[:1] == [ALLOW]
        return Permission(text, "has a line that can't be read: it allows nothing" if nothing else FORBIDS, wide=not nothing)
    kind, colon, name = rule.resource.partition(":")
    may, only = _MAY[rule.effect]
    many = _MANY.get(kind, f"things of kind {kind}")
    if not rule.prefix:
        what, wide = f"{_KINDS.get(kind, kind)} {name}".strip(), False
    elif not colon:
        what, wide = "anything" if not kind else f"anything that begins with {kind}", True
    else:
        what, wide = f"all {many}" if not name else f"{many} that begin with {name}", not name
    return Permission(text, f"{may} {rule.verb} {what}{only}", wide=wide and rule.effect != DENY)
