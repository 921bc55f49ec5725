"""What a permission means, in words. Pure; shown on the page of an agent and in the inventory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.grants import ALLOW, DENY, REQUIRE_APPROVAL, Rule, RuleInvalid, parse_rule
from agents.spec.permissions import instant_said

_KINDS: Final = {
    "feed": "the feed", "file": "the file", "network": "the network address", "tool": "the tool", "model": "the model", "agent": "the agent",
    "mail": "the mail address",
    "repo": "the repository", "deploy": "the deployment", "table": "the table", "pipeline": "the pipeline", "ticket": "the ticket",
}  # fmt: skip
_MANY: Final = {
    "feed": "feeds", "file": "files", "network": "network addresses", "tool": "tools", "model": "models", "agent": "agents",
    "mail": "mail addresses",
    "repo": "repositories", "deploy": "deployments", "table": "tables", "pipeline": "pipelines", "ticket": "tickets",
}  # fmt: skip


_UNITS: Final = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"))
_MAY: Final = {ALLOW: ("may", ""), REQUIRE_APPROVAL: ("may", ", only with a person's yes"), DENY: ("may never", ", whatever allows it")}
FORBIDS: Final = "has a line that can't be read: it forbids everything until it is mended"


@dataclass(frozen=True, slots=True)
class Permission:
    """`does` and `bounds` are what is said of it, apart: a clause and further ones."""

    text: str
    does: str
    bounds: Sequence[str]
    wide: bool
    """Whether it covers everything of its kind: worth a second look."""

    @property
    def said(self) -> str:
        """All of it in one clause."""
        return ", ".join([self.does, *self.bounds])


def in_words(permissions: Sequence[Any]) -> Sequence[Permission]:
    return [_said(str(text)) for text in permissions]


def _said(text: str) -> Permission:
    try:
        rule = parse_rule(text)
    except RuleInvalid:
        nothing = text.split()[:1] == [ALLOW]
        return Permission(text, "has a line that can't be read: it allows nothing" if nothing else FORBIDS, (), wide=not nothing)
    kind, colon, name = rule.resource.partition(":")
    may, only = _MAY[rule.effect]
    many = _MANY.get(kind, f"things of kind {kind}")
    if not rule.prefix:
        what, wide = f"{_KINDS.get(kind, kind)} {name}".strip(), False
    elif not colon:
        what, wide = "anything" if not kind else f"anything that begins with {kind}", True
    else:
        what, wide = f"all {many}" if not name else f"{many} that begin with {name}", not name
    return Permission(text, f"{may} {rule.verb} {what}{only}", _bounds(rule), wide=wide and rule.effect != DENY)


def _bounds(rule: Rule) -> Sequence[str]:
    """In the order in which they are judged."""
    said = {"from": rule.since and instant_said(rule.since), "until": rule.until and instant_said(rule.until), "only when": rule.when}
    bounds = [f"{name} {value}" for name, value in said.items() if value]
    often = [f"at most {rule.rate.uses:,} in {span(rule.rate.window_ms)}"] if rule.rate is not None else []
    return [*often, *bounds, *(["only observed: recorded and not enforced"] if rule.observe else [])]


def span(ms: int) -> str:
    """`a minute`, `10 minutes`, `1,500 ms`."""
    size, unit = next(((size, unit) for size, unit in _UNITS if ms % size == 0), (1, "ms"))
    number = ms // size
    if unit == "ms":
        return f"{number:,} ms"
    return f"{'an' if unit == 'hour' else 'a'} {unit}" if number == 1 else f"{number:,} {unit}s"
