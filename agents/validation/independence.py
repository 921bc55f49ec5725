"""R4: whoever had a part in the work, or a copy of it, does not verify it.

It catches the copy, not the conspirator: two different programs may still agree to lie. Used by checking.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from agents.contracts import VERDICT_SCHEMA
from agents.spec import Path
from agents.validation.findings import Findings, Spec
from agents.validation.shapes import Shape, misfit


def performers(nodes: Iterable[Mapping[str, Any]]) -> set[str]:
    """Every agent that has a part in the work: in steps at any depth, as a fallback or to undo one, but not in verify nodes."""
    found: set[str] = set()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if node["kind"] == "step":
            undo = (node.get("compensate") or {}).get("agent")
            found |= {name for name in (node["agent"], node["fallback"], undo, node.get("lookup")) if name}
        pending += [inner for body in bodies(node) for inner in body]
    return found


def bodies(node: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """The sequences inside a composite node."""
    if node["kind"] == "parallel":
        return list(node["branches"].values())
    if node["kind"] == "for_each":
        return [node["do"]]
    return [case["do"] for case in node["cases"]] if node["kind"] == "switch" else []


def check_verifier(name: str, spec: Spec, working: Iterable[str], findings: Findings, path: Path) -> None:
    """Refuses a verifier that isn't a check, or that isn't independent of the work."""
    if spec["role"] != "check":
        findings.add(path, f"the verifier {name!r} has the role {spec['role']}; only an agent of role check verifies")
    elif misfit(VERDICT_SCHEMA, _output(spec)):
        findings.add(path, f"the output of the verifier {name!r} is not a verdict: leave its `output` out, or let it list checks")
    check_apart(name, working, findings, path)


def check_apart(name: str, working: Iterable[str], findings: Findings, path: Path) -> None:
    """Refuses a verifier that has a part in the work; its copies too, where it is known what it is."""
    workers = sorted(working) if name in findings.agents else [name]
    reasons = [_relation(name, performer, findings.agents) for performer in workers]
    reasons += [_relation_below(name, worker, child, findings.agents) for child, worker in _workers(findings) if name in findings.agents]
    for reason in filter(None, reasons):
        findings.add(path, f"{reason}; the builder is never the verifier: let an agent verify that has no part in the work")


def _workers(findings: Findings) -> list[tuple[str, Mapping[str, Any]]]:
    """Whoever works in a pipeline that this one runs, at any depth."""
    return [(child, worker) for child, pinned in sorted(findings.pipelines.items()) for worker in pinned["workers"]]


def _relation_below(verifier: str, worker: Mapping[str, Any], child: str, agents: Mapping[str, Spec]) -> str | None:
    where = f"which works in the pipeline {child!r}"
    if verifier == worker["name"]:
        return f"{verifier!r} would verify what comes of its own work: it works in the pipeline {child!r}"
    if _executable(agents[verifier]) == worker["executable"]:
        return f"the verifier {verifier!r} runs the same code as {worker['name']!r}, {where}"
    shared = lineage(verifier, agents) & set(worker["lineage"])
    return f"the verifier {verifier!r} and {worker['name']!r}, {where}, are both {_family(shared, verifier, worker['name'])}" if shared else None


def _output(spec: Spec) -> Shape | None:
    return Shape(spec["output"], promised=True) if spec["output"] is not None else None


def _relation(verifier: str, performer: str, agents: Mapping[str, Spec]) -> str | None:
    if verifier == performer:
        return f"{verifier!r} has a part in the work and would verify it"
    if performer not in agents:
        return None
    if _executable(agents[verifier]) == _executable(agents[performer]):
        return f"the verifier {verifier!r} runs the same code as {performer!r}, which has a part in the work"
    shared = lineage(verifier, agents) & lineage(performer, agents)
    if shared:
        return f"the verifier {verifier!r} and {performer!r}, which has a part in the work, are both {_family(shared, verifier, performer)}"
    return None


def _family(shared: set[str], verifier: str, performer: str) -> str:
    ancestor = next((name for name in (verifier, performer) if name in shared), min(shared))
    return f"of the lineage of {ancestor!r} (derived_from)"


def _executable(spec: Spec) -> Any:
    """What makes two agents the same program. Before a child has looked at the code, its written name stands in."""
    return spec["executable"] or spec["run"]


def lineage(name: str, agents: Mapping[str, Spec]) -> set[str]:
    """An agent and all that it was derived from, as far as `agents` says."""
    line: set[str] = set()
    current: str | None = name
    while current and current not in line:
        line.add(current)
        current = agents[current].get("derived_from") if current in agents else None
    return line
