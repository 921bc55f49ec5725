"""Reads the documents of teams, agents and models into their normal form.

Must not judge what publishing judges (contracts, who verifies). Used by `read`.
"""

import re
from typing import Any

from agents.expressions import template_problems, template_references
from agents.expressions.paths import bare_path
from agents.spec.fields import NAME, Fields
from agents.spec.model_agents import fill_in_model, read_model, read_model_run
from agents.spec.notices import read_notices
from agents.spec.pace import read_pace
from agents.spec.permissions import read_permissions
from agents.spec.verdict import VERDICT_SCHEMA
from agents.spec.vocabulary import KIND, VERB

ROLES = ("gather", "decide", "act", "check")
INLINE = ("noop", "same")
TOOLS = ("fetch",)
DEFAULT_MEMORY_MB = 512
MAX_WORDS = 64

_FUNCTION = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_USE = re.compile(r"[a-z][a-z-]* \S.*")
_LATER_RUN = {
    "a2a": "use python: module:function for now",
}
_FETCH_INPUT: dict[str, Any] = {
    "type": "object",
    "required": ["url"],
    "properties": {"url": {"type": "string"}, "headers": {"type": "object", "additionalProperties": {"type": "string"}}},
    "additionalProperties": False,
}
_FETCH_OUTPUT: dict[str, Any] = {
    "type": "object",
    "required": ["status", "url", "headers", "body", "digest", "fetched_at"],
    "properties": {
        "status": {"type": "integer"},
        "url": {"type": "string"},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "body": {"type": "string"},
        "digest": {"type": "string"},
        "fetched_at": {"type": "string"},
    },
}
_SAME_INPUT: dict[str, Any] = {
    "type": "object",
    "required": ["left", "right"],
    "properties": {"left": True, "right": True},
    "additionalProperties": True,
}


def read_team(fields: Fields) -> dict[str, Any]:
    """{"name", "accountable"}, and of `verbs`, `resources`, `permissions`, `observe`, `notices`, `publishing` and `resuming` those that are said.

    Who belongs to it is not said in files.
    """
    spec: dict[str, Any] = {"name": fields.name("name", required="name: my-team"), "accountable": fields.text_or_empty("accountable")}
    said: dict[str, Any] = {"verbs": _words(fields, "verbs", VERB), "resources": _words(fields, "resources", KIND)}
    said["permissions"] = read_permissions(fields) if fields.has("permissions") else None
    if fields.has("observe"):
        said["observe"] = fields.boolean("observe")
    said["notices"] = read_notices(fields)
    said |= {key: _policy(fields, key) for key in ("publishing", "resuming")}
    return spec | {key: value for key, value in said.items() if value is not None}


def _policy(fields: Fields, key: str) -> str | None:
    """By which policy people decide; empty: nobody has to, any more. None where nothing is said."""
    said = fields.text_or_empty(key)
    if said and not NAME.fullmatch(said):
        fields.wrong(key, f"is {said[:80]!r}, which is no name of a policy")
    return said


def _words(fields: Fields, key: str, shape: "re.Pattern[str]") -> list[str] | None:
    """None where nothing is said: what the team has stays as it is."""
    if fields.get(key) is None:
        return None
    words = fields.texts(key)
    for index, word in enumerate(words):
        if not shape.fullmatch(word):
            fields.page.problem((*fields.raw, key, index), f"{word[:80]!r} is no word; write small letters and hyphens, a letter first, at most 63")
    if len(words) > MAX_WORDS:
        fields.wrong(key, f"has {len(words)} words; write at most {MAX_WORDS}")
    return sorted(set(words))


def read_agent(fields: Fields) -> dict[str, Any]:
    """The normal form of an agent; contracts stay None where a function's type hints will say them."""
    role = fields.choice("role", ROLES, required="role: gather, decide, act or check")
    spec: dict[str, Any] = {
        "name": fields.name("name", required="name: my-agent"),
        "team": fields.name("team", required="team: the team that owns it"),
        "accountable": fields.text_or_empty("accountable"),
        "role": role,
        "purpose": fields.text("purpose", required="purpose: one sentence that says what it is for"),
        "run": _run(fields, role),
        "input": fields.mapping("input"),
        "output": fields.mapping("output"),
        "freshness": _freshness(fields),
        "timeout_ms": fields.duration("timeout"),
        "memory_mb": fields.memory("memory", default=DEFAULT_MEMORY_MB),
        "mode": _mode(fields, role),
        "uses": _uses(fields),
        "permissions": read_permissions(fields),
        "cost_nano": fields.money("cost", default=0),
        "derived_from": fields.name("derived_from"),
        "risk_tier": fields.text("risk_tier"),
        "data_classes": fields.texts("data_classes"),
        "review_by": fields.day("review_by"),
        "artifact": None,
        "executable": None,
    }
    spec |= read_pace(fields, spec["run"])  # only what is said: agents without them keep their digests
    _fill_in(spec)
    if "model" in (spec["run"] or {}):
        fill_in_model(fields, spec)
    return spec


def _run(fields: Fields, role: str | None) -> dict[str, Any] | None:
    if not fields.has("run"):
        fields.get("run", required="run: {python: module:function}")
        return None
    run = fields.inner("run")
    if run.has("model"):
        return read_model_run(fields, run, role)
    said = {
        "python": run.text("python"),
        "inline": run.choice("inline", INLINE),
        "command": _command(run),
        "tool": run.choice("tool", TOOLS),
    }
    run.finish(_LATER_RUN)
    named = [key for key, value in said.items() if value is not None]
    if len(named) > 1:
        fields.wrong("run", f"names {' and '.join(named)}; keep one")
    elif not named and run.readable and not (run.value.keys() | run.meant) & {*_LATER_RUN, *said}:
        fields.wrong("run", "says nothing to run; write {python: module:function}")
    return _the_one(fields, run, named[0], said[named[0]], role) if len(named) == 1 else None


def _the_one(fields: Fields, run: Fields, key: str, value: Any, role: str | None) -> dict[str, Any] | None:
    if key == "python" and not _FUNCTION.fullmatch(value):
        run.wrong("python", f"is {value[:80]!r}; write module:function, as in feed:read")
        return None
    if key == "inline":
        return _inline(fields, value, role)
    return _tool(fields, value, role) if key == "tool" else {key: value}


def _command(run: Fields) -> list[str] | None:
    """The words of a command, each as it is: there is no shell. None where it is absent or wrong."""
    if run.get("command") is None:
        return None
    if isinstance(run.value["command"], str):
        run.wrong("command", "is one text and there is no shell that would split it; write its words as a list, as in [python, scan.py]")
        return None
    words = run.texts("command")
    if isinstance(run.value["command"], list) and not 1 <= len(run.value["command"]) <= MAX_WORDS:
        run.wrong("command", f"has {len(run.value['command'])} words; write 1 to {MAX_WORDS}")
    return words if words and len(words) == len(run.value["command"]) else None


def _inline(fields: Fields, inline: str, role: str | None) -> dict[str, Any]:
    if inline == "noop" and role == "check":
        fields.wrong("run", "is noop, which judges nothing, and the role is check; use inline: same or a function")
    if inline == "same" and role not in {"check", None}:
        fields.wrong("run", f"is same, which is a check, and the role is {role}; write role: check")
    return {"inline": inline}


def _tool(fields: Fields, tool: str, role: str | None) -> dict[str, Any]:
    if role not in {"gather", None}:
        fields.wrong("run", f"is {tool}, which reads a network source, and the role is {role}; write role: gather")
    return {"tool": tool}


def _fill_in(spec: dict[str, Any]) -> None:
    """Contracts that need no type hints: those of what Orchestra ships, and the verdict of every check."""
    inline = (spec["run"] or {}).get("inline")
    if inline is not None:
        spec["executable"] = {"kind": "inline", "name": inline}
    if (spec["run"] or {}).get("tool") is not None:
        spec["executable"] = {"kind": "tool", "name": spec["run"]["tool"]}
        spec["input"], spec["output"] = spec["input"] or _FETCH_INPUT, spec["output"] or _FETCH_OUTPUT
    if inline == "same" and spec["input"] is None:
        spec["input"] = _SAME_INPUT
    if inline == "noop":  # what goes in comes out
        said = spec["input"] or spec["output"] or {"type": "object"}
        spec["input"], spec["output"] = spec["input"] or said, spec["output"] or said
    if spec["role"] == "check" and spec["output"] is None:
        spec["output"] = VERDICT_SCHEMA


def _freshness(fields: Fields) -> dict[str, Any] | None:
    if fields.get("freshness") is None:
        return None
    inner = fields.inner("freshness")
    name = inner.text("field", required="field: as_of")
    age = inner.duration("max_age")
    inner.finish()
    if inner.readable and not inner.says("max_age"):
        fields.wrong("freshness", "has no max_age; write {field: as_of, max_age: 15m}")
    return None if name is None or age is None else {"field": name, "max_age_ms": age}


def _mode(fields: Fields, role: str | None) -> Any:
    value = fields.get("mode")
    if value is None:
        return "at_most_once" if role == "act" else "read"
    if value in ("read", "at_most_once"):
        return value
    if isinstance(value, dict) and set(value) == {"idempotent"}:
        path = value["idempotent"]
        segments = bare_path(path[1:]) if isinstance(path, str) and path.startswith("=") else None
        if segments is not None and segments[0] == "input" and len(segments) > 1:
            return {"idempotent": path}
        fields.wrong("mode", "names no business key; write {idempotent: =input.order_id}")
        return "at_most_once"
    fields.wrong("mode", "must be read, at_most_once or {idempotent: =input.path}")
    return "at_most_once"


def _uses(fields: Fields) -> list[str]:
    uses = fields.texts("uses")
    for index, use in enumerate(uses):
        place = (*fields.raw, "uses", index)
        if not _USE.fullmatch(use):
            fields.page.problem(place, f"the use {use[:80]!r} must be a verb and a resource, as in: read feed:{{input.feed}}")
        for problem in template_problems(use):
            fields.page.problem(place, problem)
        for reference in template_references(use):
            if reference[0] != "input":
                fields.page.problem(place, f"the use {use[:80]!r} may name only {{input.…}}, what the agent is given")
    return uses


__all__ = ["INLINE", "NAME", "ROLES", "read_agent", "read_model", "read_team"]
