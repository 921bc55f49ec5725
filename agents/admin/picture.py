"""A pipeline as a picture: boxes inside boxes, in the order in which the work goes. Pure: a pipeline's spec in, boxes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.wording import lasting


@dataclass(frozen=True, slots=True)
class Box:
    """A step, a verifier, or a composite with lanes: (what the lane is called, its boxes)."""

    kind: str
    name: str
    agent: str | None = None
    notes: Sequence[str] = ()
    lanes: Sequence[tuple[str, Sequence[Box]]] = ()


def picture(spec: Mapping[str, Any]) -> Sequence[Box]:
    """The boxes of a whole pipeline, its final verifier last."""
    verify = spec.get("verify")
    last = [] if verify is None else [Box("verify", "verify", verify["agent"], ["judges the result, independently"])]
    return [*_boxes(spec["steps"]), *last]


def _boxes(nodes: Sequence[Mapping[str, Any]]) -> list[Box]:
    return [_box(node) for node in nodes]


def _box(node: Mapping[str, Any]) -> Box:
    kind, name = str(node["kind"]), str(node.get("id") or node["kind"])
    match kind:
        case "parallel":
            return Box(kind, name, None, _notes(node), [(branch, _boxes(inner)) for branch, inner in node["branches"].items()])
        case "for_each":
            lane = f"for each {node['as']} of {node['items'].removeprefix('=')}, {node['max_concurrency']} at once"
            lane += f", shared among {node['spread']} runs" if node.get("spread") else ""
            return Box(kind, name, None, _notes(node), [(lane, _boxes(node["do"]))])
        case "switch":
            lanes = [(_case(case), _boxes(case["do"])) for case in node["cases"]]
            return Box(kind, name, None, _notes(node), lanes)
        case _:
            return Box(kind, name, node.get("agent"), _notes(node))


def _case(case: Mapping[str, Any]) -> str:
    return f"when {case['when']}" if case.get("when") else "otherwise"


def _notes(node: Mapping[str, Any]) -> list[str]:
    """What deviates from the plain way, in words."""
    retry = node.get("retry")
    least = node.get("min_success")
    said = [
        f"only when {node['when']}" if node.get("when") else "",
        f"up to {retry['max']} retr{'y' if retry['max'] == 1 else 'ies'}" if retry else "",
        f"else by {node['fallback']}" if node.get("fallback") else "",
        "goes on without it if it fails" if node.get("on_failure") == "degrade" else "",
        f"undone by {node['compensate']['agent']} if a later step fails" if node.get("compensate") else "",
        f"looked up by {node['lookup']} where nobody knows what became of it" if node.get("lookup") else "",
        _lasting(node) if node["kind"] == "wait" else "",
        _asked(node["policy"]) if node["kind"] == "approval" else "",
        f"when {gate['when']}: {_asked(gate['policy'])}" if (gate := node.get("approve_when")) else "",
        f"a run of the pipeline {node['pipeline']}" if node["kind"] == "pipeline" else "",
        "one that succeeds is enough" if least == "any" else f"at least {least} must succeed" if isinstance(least, int) else "",
    ]
    return [one for one in said if one]


def _asked(policy: str | None) -> str:
    """Who has to say yes."""
    return f"people say yes, under {f'policy {policy!r}' if policy else 'the default policy'}"


def _lasting(node: Mapping[str, Any]) -> str:
    """What a wait waits for."""
    if node["signal"]:
        silence = "goes on without it" if node["on_expiry"] == "continue" else "fails"
        return f"for the signal '{node['signal']}', {lasting(node['timeout_ms'] / 1000)} at most, then it {silence}"
    return f"for {lasting(node['for_ms'] / 1000)}" if node["for_ms"] else f"until {node['until'].removeprefix('=')}"
