"""What a permission means, in words. Pure; shown on the page of an agent and in the inventory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.grants import ALLOW, DENY, REQUIRE_APPROVAL, Rule, RuleInvalid, parse_rule
from agents.spec.permissions import instant_said
from audit.wording import lasting

_KINDS: Final = {
    "feed": "the feed", "file": "the file", "network": "the network address", "tool": "the tool", "model": "the model", "agent": "the agent",
    "repo": "the repository", "deploy": "the deployment", "table": "the table", "pipeline": "the pipeline", "ticket": "the ticket",
}  # fmt: skip
_MANY: Final = {
    "feed": "feeds", "file": "files", "network": "network addresses", "tool": "tools", "model": "models", "agent": "agents",
    "repo": "repositories", "deploy": "deployments", "table": "tables", "pipeline": "pipelines", "ticket": "tickets",
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
    return Permission(text, f"{may} {rule.verb} {what}{only}{_bounds(rule)}", wide=wide and rule.effect != DENY)


def _bounds(rule: Rule) -> str:
    """In the order in which they are judged."""
    said = {"from": rule.since and instant_said(rule.since), "until": rule.until and instant_said(rule.until), "only when": rule.when}
    bounds = [f"{name} {value}" for name, value in said.items() if value]
    often = [f"at most {rule.rate.uses:,} times in {lasting(rule.rate.window_ms / 1000)}"] if rule.rate is not None else []
    return "".join(f", {each}" for each in [*often, *bounds, *(["only observed: recorded and not enforced"] if rule.observe else [])])
