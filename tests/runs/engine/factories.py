"""Manifests, plans and runs for the engine's tests, each with defaults and only what a test cares about as arguments.

Knows the normalised forms; no database and no file.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from agents.contracts import VERDICT_SCHEMA
from runs.engine import planner
from runs.engine.states import RunState
from runs.engine.values import Plan, RunView

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
READ = {"source": "feed", "digest": "0" * 64, "at": "2026-03-01T12:00:00Z"}
STAMPED = {"type": "object", "required": ["as_of"], "properties": {"as_of": {"type": "string"}}}


def later(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def stamp(seconds: float = 0) -> dict[str, str]:
    """A value that says when its source was observed."""
    return {"as_of": later(seconds).isoformat()}


def agent(name: str, **spec: Any) -> dict[str, Any]:
    """A version as a release holds it: gives and takes anything, unless told otherwise."""
    defaults: dict[str, Any] = {
        "name": name,
        "team": f"{name}-team",
        "role": "gather",
        "run": {"python": f"{name}:run"},
        "input": {},
        "output": {},
        "freshness": None,
        "timeout_ms": 10_000,
        "mode": "read",
        "derived_from": None,
        "executable": {"kind": "function", "file_digest": name, "name": "run"},
    }
    return {"version": 1, "digest": name, "spec": {**defaults, **spec}}


def stamped(name: str, max_age_s: int = 60, **spec: Any) -> dict[str, Any]:
    """An agent whose result says how old it is."""
    return agent(name, **{"output": STAMPED, "freshness": {"field": "as_of", "max_age_ms": max_age_s * 1000}, **spec})


def judge(name: str = "judge", **spec: Any) -> dict[str, Any]:
    return agent(name, **{"role": "check", "output": VERDICT_SCHEMA, **spec})


def step(name: str, agent: str = "worker", **said: Any) -> dict[str, Any]:
    given = said.pop("given", {})
    return {"kind": "step", "id": name, "agent": agent, "with": given, "timeout_ms": None, **said}


def parallel(
    name: str, min_success: str | int = "all", *, on_failure: str = "stop", when: str | None = None, **branches: list[Any]
) -> dict[str, Any]:
    return {"kind": "parallel", "id": name, "branches": branches, "min_success": min_success, "on_failure": on_failure, "when": when}


def for_each(name: str, items: str, *do: dict[str, Any], item: str = "item", wide: int = 8, **said: Any) -> dict[str, Any]:
    return {"kind": "for_each", "id": name, "items": items, "as": item, "max_concurrency": wide, "do": list(do), "min_success": "all", **said}


def switch(name: str, *cases: tuple[str | None, list[Any]], **said: Any) -> dict[str, Any]:
    return {"kind": "switch", "id": name, "cases": [{"when": when, "do": do} for when, do in cases], **said}


def verify(name: str, agent: str = "judge", **said: Any) -> dict[str, Any]:
    return {"kind": "verify", "id": name, "agent": agent, "with": said.pop("given", {}), "timeout_ms": None, **said}


def manifest(*steps: dict[str, Any], agents: tuple[dict[str, Any], ...] = (), **spec: Any) -> dict[str, Any]:
    """A release over `worker`, `other` and `judge`, and whatever other agents are given (same name: replaced)."""
    known = {each["spec"]["name"]: each for each in (agent("worker"), agent("other"), judge(), *agents)}
    pipeline = {
        "name": "line",
        "team": "liners",
        "input": {},
        "criteria": {},
        "steps": list(steps) or [step("work")],
        "verify": {"agent": "judge", "with": {}, "timeout_ms": None},
        "limits": {"timeout_ms": 600_000, "cost_nano": None, "calls": None},
        "replayable": False,
        **spec,
    }
    return {"v": 1, "engine_abi": 1, "pipeline": {"name": "line", "version": 1, "digest": "p", "spec": pipeline}, "agents": known}


def plan(*steps: dict[str, Any], agents: tuple[dict[str, Any], ...] = (), **spec: Any) -> Plan:
    return planner.compiled(manifest(*steps, agents=agents, **spec), digest="d" * 64)


def run(plan: Plan, given: Mapping[str, Any] | None = None, **said: Any) -> RunView:
    """A queued run over the input `given`."""
    defaults = {"created_at": AT, "deadline_at": AT + timedelta(milliseconds=plan.timeout_ms), "state": RunState.QUEUED}
    return RunView(id="r1", input=given or {}, **{**defaults, **said})


def check(word: str, criterion: str = "right", **said: Any) -> dict[str, Any]:
    return {"criterion": criterion, "verdict": word, "why": "seen", "read": [READ], **said}


def verdict(*words: str, **said: Any) -> dict[str, Any]:
    return {"checks": [check(word) for word in words], **said}
