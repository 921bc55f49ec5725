"""What an agent runs and within which bounds, in words, for its page. Pure: a version's spec and live permissions in, rows out.

Must not judge: the boundary and the engine do. Its texts are somebody's, so the template makes them visible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from agents.admin.words import span
from agents.grants import ALLOW, is_about_connecting, readable
from audit.wording import lasting, money

MOST_INSTRUCTIONS: Final = 20_000
"""Characters of a model's instructions that a page shows."""
MOST_CONDITIONS: Final = 3
"""Conditions that a page shows in one sentence."""
_INLINE: Final = {"noop": "nothing: what goes in comes out", "same": "a check that comes with Orchestra: left and right must be the same"}
_MODES: Final = {
    "read": "reads: it changes nothing, so it may be made again",
    "at_most_once": "at most once: a call whose fate nobody knows is never sent again by itself",
}


@dataclass(frozen=True, slots=True)
class Running:
    """`words` are what runs, each as it is; `bounds` are (name, value) pairs. `alias` and `instructions` only where a model is asked."""

    kind: str
    words: Sequence[str]
    bounds: Sequence[tuple[str, str]]
    input: Any
    output: Any
    alias: str | None = None
    instructions: str = ""
    longer_by: int = 0


def running(spec: Mapping[str, Any], permissions: Sequence[Any], *, now: datetime) -> Running:
    kind, words = _what(spec.get("run") or {})
    said = str(spec.get("instructions") or "") if kind == "model" else ""
    alias = words[0] if kind == "model" else None
    shown, more = said[:MOST_INSTRUCTIONS], max(len(said) - MOST_INSTRUCTIONS, 0)
    return Running(kind, words, _bounds(spec, kind, permissions, now), spec.get("input"), spec.get("output"), alias, shown, more)


def _what(run: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    if "model" in run:
        return "model", [run["model"]["alias"]]
    if "command" in run:
        return "command", list(run["command"])
    if "inline" in run:
        return "inline check", [_INLINE.get(run["inline"], str(run["inline"]))]
    return ("function", [run["python"]]) if "python" in run else ("tool", [str(run.get("tool", "?"))])


def _bounds(spec: Mapping[str, Any], kind: str, permissions: Sequence[Any], now: datetime) -> Sequence[tuple[str, str]]:
    child, tokens = kind in ("function", "command"), ((spec.get("run") or {}).get("model") or {}).get("max_tokens")
    age = spec.get("freshness")
    said = {
        "Timeout": "its step's or its pipeline's" if spec.get("timeout_ms") is None else lasting(spec["timeout_ms"] / 1000),
        "Mode": _mode(spec.get("mode")),
        "Memory": f"{spec['memory_mb']:,} MiB" if child else "",
        "Network": _network(permissions, now) if child else _OTHERWISE.get(kind, ""),
        "Rate": _rate(spec.get("rate")),
        "Breaker": _breaker(spec.get("breaker")),
        "Reply": f"at most {tokens:,} tokens" if tokens else "",
        "Cost": f"at most {money(spec['cost_nano'])} a call" if spec.get("cost_nano") else "",
        "Freshness": f"{age['field']} of the output, {lasting(age['max_age_ms'] / 1000)} old at most" if age else "",
        "Touches": ", ".join(spec.get("uses") or ()),
        "Derived from": str(spec.get("derived_from") or ""),
    }
    return [(name, value) for name, value in said.items() if value]


_OTHERWISE: Final = {
    "model": "none of its own: the worker asks the provider of the alias",
    "tool": "none of its own: the worker reads what the permissions name",
    "inline check": "none: it runs no code of anybody's",
}


def _mode(mode: Any) -> str:
    if isinstance(mode, Mapping):
        return f"idempotent: the same {str(mode.get('idempotent')).removeprefix('=')} is the same act, so it may be made again"
    return _MODES.get(str(mode), str(mode))


def _network(permissions: Sequence[Any], now: datetime) -> str:
    """As the boundary reads them: one line that doesn't allow keeps the whole network away while it holds."""
    if any(readable(text) is None and text.split()[:1] != [ALLOW] for text in map(str, permissions)):
        return "none of its own"
    rules = [rule for rule in map(readable, map(str, permissions)) if rule is not None and is_about_connecting(rule)]
    holding = [rule for rule in rules if not rule.observe and rule.out_of_time(now) is None]
    allowing, others = ([rule for rule in holding if (rule.effect == ALLOW) is is_allow] for is_allow in (True, False))
    if not allowing or any(rule.when is None for rule in others):
        return "none of its own"
    bounded = ", within its bounds" if all(rule.is_bounded for rule in allowing) else ""
    unless = " or ".join(dict.fromkeys(str(rule.when) for rule in others[:MOST_CONDITIONS])) + (" or …" if others[MOST_CONDITIONS:] else "")
    return f"all of it, by a permission to connect{bounded}{f', unless {unless}' if unless else ''}"


def _rate(rate: Any) -> str:
    return "" if not rate else f"{rate['calls']:,} calls in {span(rate['window_ms'])}"


def _breaker(breaker: Any) -> str:
    return "" if not breaker else f"after {breaker['failures']} failures in a row it rests for {lasting(breaker['rest_ms'] / 1000)}"
