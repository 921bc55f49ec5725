"""Normalised specs to put pipelines together from, and what validation says of them."""

import copy
from typing import Any

from agents import validation
from agents.contracts import VERDICT_SCHEMA

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}


def open_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def agent(name: str, *, takes: Any = None, gives: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "team": "platform",
        "accountable": None,
        "role": "gather",
        "purpose": "p",
        "run": {"python": f"{name}:run"},
        "input": takes if takes is not None else {"type": "object"},
        "output": gives if gives is not None else {"type": "object"},
        "freshness": None,
        "timeout_ms": 1000,
        "memory_mb": 512,
        "mode": "read",
        "uses": [],
        "permissions": [],
        "cost_nano": 0,
        "derived_from": None,
        "risk_tier": None,
        "data_classes": [],
        "review_by": None,
        "artifact": None,
        "executable": {"kind": "function", "file_digest": name, "name": "run"},
        **more,
    }


def step(name: str, does: str, **more: Any) -> dict[str, Any]:
    given = more.pop("with_", {})
    blank = dict.fromkeys(("timeout_ms", "progress_timeout_ms", "retry", "fallback", "when"))
    return {"kind": "step", "id": name, "agent": does, "with": given, **blank, "on_failure": "stop", **more}


def parallel(name: str, branches: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"kind": "parallel", "id": name, "branches": branches, "min_success": "all", "on_failure": "stop", "when": None, **more}


def for_each(name: str, items: str, item: str, do: list[Any]) -> dict[str, Any]:
    common = {"max_concurrency": 8, "min_success": "all", "on_failure": "stop", "when": None}
    return {"kind": "for_each", "id": name, "items": items, "as": item, "do": do, **common}


def switch(name: str, *cases: tuple[str | None, list[Any]]) -> dict[str, Any]:
    return {"kind": "switch", "id": name, "cases": [{"when": when, "do": do} for when, do in cases], "on_failure": "stop", "when": None}


READER = agent("reader", takes=open_object(feed=TEXT), gives=open_object(series={"type": "array", "items": open_object(name=TEXT)}, count=NUMBER))
WRITER = agent("writer", takes=open_object(count=NUMBER), gives=open_object(text=TEXT))
AUDITOR = agent("auditor", takes=open_object(claim=True), gives=VERDICT_SCHEMA, role="check")
NAMER = agent("namer", takes=open_object(name=TEXT), gives=open_object(name=TEXT))
AGENTS = {spec["name"]: spec for spec in (READER, WRITER, AUDITOR, NAMER)}
READ = step("read", "reader", with_={"feed": "=input.feed"})
WRITE = step("write", "writer", with_={"count": "=steps.read.count"})


def pipeline(*nodes: Any, **more: Any) -> dict[str, Any]:
    return {
        "name": "p",
        "team": "platform",
        "accountable": None,
        "purpose": "",
        "input": open_object(feed=TEXT),
        "criteria": {},
        "steps": list(nodes) or [READ, WRITE],
        "verify": {"agent": "auditor", "with": {"claim": "=result"}, "timeout_ms": None},
        "limits": {"timeout_ms": 1000, "cost_nano": None, "calls": None},
        "replayable": False,
        **more,
    }


def refused(spec: dict[str, Any], **agents: dict[str, Any]) -> list[tuple[Any, str]]:
    found = validation.check(copy.deepcopy(spec), {**AGENTS, **agents}, line_of=len)
    return [(refusal.path, refusal.message) for refusal in found]


def only(spec: dict[str, Any], path: tuple[Any, ...], words: str, **agents: dict[str, Any]) -> None:
    found = refused(spec, **agents)
    assert [at for at, _ in found] == [path], found
    assert words in found[0][1], found
