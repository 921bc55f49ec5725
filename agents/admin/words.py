"""What a permission means, in words. Pure; shown on the page of an agent and in the inventory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.grants import RuleInvalid, parse_rule

_KINDS: Final = {
    "feed": "the feed", "file": "the file", "network": "the network address", "tool": "the tool", "model": "the model", "agent": "the agent",
}  # fmt: skip
_MANY: Final = {
    "feed": "feeds", "file": "files", "network": "network addresses", "tool": "tools", "model": "models", "agent": "agents",
}  # fmt: skip


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
        return Permission(text, "can't be read, so it allows nothing", wide=False)
    kind, colon, name = rule.resource.partition(":")
    many = _MANY.get(kind, f"things of kind {kind}")
    if not rule.prefix:
        return Permission(text, f"may {rule.verb} {_KINDS.get(kind, kind)} {name}".strip(), wide=False)
    if not colon:
        return Permission(text, f"may {rule.verb} anything" if not kind else f"may {rule.verb} anything that begins with {kind}", wide=True)
    return Permission(text, f"may {rule.verb} all {many}" if not name else f"may {rule.verb} {many} that begin with {name}", wide=not name)
