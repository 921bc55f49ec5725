"""Walks a pipeline once, in order, and collects every reason not to publish it.

Must not know rows, files or which versions are current: the caller hands the specs over. Used by the registry.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from agents import contracts
from agents.spec import Path, Unread
from agents.validation.findings import Findings, Refusal
from agents.validation.independence import bodies, performers
from agents.validation.nodes import NO_WORK, Walk
from agents.validation.scopes import Scope, check_condition
from agents.validation.shapes import Shape
from agents.validation.spreading import check_spreads

MAX_NODES = 500
_NONE: Mapping[str, Mapping[str, Any]] = {}
_NO_REASONS: Mapping[str, str] = {}
_ALL_READ = Unread()
MAX_NESTING = 8


def check(
    pipeline: Mapping[str, Any],
    agents: Mapping[str, Mapping[str, Any]],
    *,
    line_of: Callable[[Path], int],
    pipelines: Mapping[str, Mapping[str, Any]] = _NONE,
    unusable: Mapping[str, str] = _NO_REASONS,
    others: Collection[str] = (),
    now: datetime | None = None,
    uncompiled: Collection[str] = (),
    unread: Unread = _ALL_READ,
    doubtful: Collection[str] = (),
) -> list[Refusal]:
    """Everything that publishing refuses, in the order of the pipeline's lines.

    `agents` maps names to normalised specs and may hold more than the pipeline uses (ancestors for derived_from).
    `line_of` maps a path in the pipeline to its line. `pipelines` are what would be pinned of those that it runs, `unusable` why others can't be.
    `others`: names of further agents, one of which may have been meant. `now`: a permission that has ended by then allows nothing.
    Nothing is made of what somebody has said already: `uncompiled` expressions, `unread` parts, and agents and pipelines that are `doubtful`.
    """
    bound = pipeline.get("permissions") if not unread.touches(("permissions",)) else None
    told: dict[str, Any] = {"uncompiled": uncompiled, "unread": unread, "doubtful": doubtful}
    findings = Findings(agents, line_of, pipelines=pipelines, unusable=unusable, others=others, now=now, bound=bound, **told)
    if _too_large(pipeline["steps"], findings):
        return list(findings.refusals)
    _check_input(pipeline["input"], findings)
    if not pipeline["steps"]:
        findings.add(("steps",), "the pipeline has no steps; write at least one")
    walk, result, scope = _walked(pipeline, findings)
    check_spreads(pipeline, findings)
    judged_last = {"result"} if pipeline["steps"] and not unread.holds(("steps",)) and pipeline["steps"][-1]["kind"] in NO_WORK else set()
    end = Scope(scope.input, scope.steps, verdicts=scope.verdicts | judged_last, result=(result,), everywhere=scope.everywhere)
    _check_verify(pipeline["verify"], walk, end)
    for name, criterion in pipeline["criteria"].items():
        if "expression" in criterion:
            check_condition(criterion["expression"], end, findings, ("criteria", name))
    return sorted(findings.refusals, key=lambda refusal: refusal.line)


def _walked(pipeline: Mapping[str, Any], findings: Findings) -> tuple[Walk, Shape | None, Scope]:
    """All nodes once: the walk, what the last of them gives, and the scope behind it."""
    walk = Walk(findings, performers(pipeline["steps"]))
    scope = Scope(_input_shape(pipeline["input"]), everywhere=walk.check_ids(pipeline["steps"]))
    return walk, *walk.sequence(pipeline["steps"], scope, ("steps",))


def result_schema(pipeline: Mapping[str, Any], agents: Mapping[str, Mapping[str, Any]], *, pipelines: Mapping[str, Mapping[str, Any]] = _NONE) -> Any:
    """What the last node of a pipeline promises to give, as a schema; None where that isn't known. Judges nothing."""
    if _too_large(pipeline["steps"], Findings(agents, lambda _: 1)):
        return None
    _, result, _ = _walked(pipeline, Findings(agents, lambda _: 1, pipelines=pipelines))
    return result.schema if result is not None and result.promised else None


def _too_large(nodes: Sequence[Mapping[str, Any]], findings: Findings) -> bool:
    """Size first, without recursion: what passes may be walked."""
    level, depth, count = nodes, 1, 0
    while level:
        count += len(level)
        if depth > MAX_NESTING:
            findings.add(("steps",), f"nodes are nested deeper than {MAX_NESTING}; split the pipeline")
            return True
        level = [inner for node in level for body in bodies(node) for inner in body]
        depth += 1
    if count > MAX_NODES:
        findings.add(("steps",), f"the pipeline has {count} nodes and the limit is {MAX_NODES}; split it, or use for_each")
    return count > MAX_NODES


def _check_input(schema: Any, findings: Findings) -> None:
    if schema is None:
        findings.add(("input",), "the pipeline has no input contract; write input: {type: object, properties: {…}}")
        return
    faults = contracts.schema_faults(schema)
    for place, problem in faults:
        findings.add(("input", *place), f"the input contract can't be used: {problem}")
    if not faults and contracts.disjoint(schema, {"type": "object"}):
        findings.add(("input",), "a run's input is an object and this contract takes none; make it {type: object, …}")


def _input_shape(schema: Any) -> Shape | None:
    return Shape(schema, promised=False) if isinstance(schema, Mapping) and not contracts.schema_problems(schema) else None


def _check_verify(verify: Mapping[str, Any] | None, walk: Walk, scope: Scope) -> None:
    findings = walk.findings
    if findings.unread.holds(("verify",)):
        return
    if verify is None or not (verify["agent"] or findings.unread.holds(("verify", "agent"))):
        findings.add((), "the pipeline has no verify; write verify: {agent: …, with: {claim: =result}} (verification can't be left out)")
        return
    walk.check_verification(verify, scope, ("verify",))
