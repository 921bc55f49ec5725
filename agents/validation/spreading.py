"""The rules of a for_each that spreads over child runs, and how many runs stand below a pipeline.

A child run of it works with the same release, gives to its parent alone, and ends before it: what can't be so is refused here. Used by checking.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agents.spec import Path
from agents.validation.findings import Findings
from agents.validation.independence import bodies
from agents.validation.nodes import DEEPEST, Node, placed_bodies

Pins = Mapping[str, Mapping[str, Any]]


def check_spreads(pipeline: Mapping[str, Any], findings: Findings) -> None:
    limits = [key for key, name in (("cost", "cost_nano"), ("calls", "calls")) if pipeline["limits"].get(name)]
    _check(pipeline["steps"], ("steps",), findings, limits, beside=None)


def _check(nodes: Sequence[Node], path: Path, findings: Findings, limits: Sequence[str], *, beside: str | None) -> None:
    """`beside`: the node around these whose parts are done at the same time."""
    for index, node in enumerate(nodes):
        place = (*path, index)
        if node.get("spread"):
            _check_spread(node, place, findings, limits, beside)
            continue  # what stands inside is looked at there
        around = f"the {node['kind']} {node['id']!r}" if node["kind"] in ("parallel", "for_each") else beside
        for where, body in placed_bodies(node, place):
            _check(body, where, findings, limits, beside=around)


def _check_spread(node: Node, path: Path, findings: Findings, limits: Sequence[str], beside: str | None) -> None:
    name, spread, place = node["id"], node["spread"], (*path, "spread")
    if node["max_concurrency"] < spread and not findings.unread.holds((*path, "max_concurrency")):
        said = f"{name!r} spreads over {spread} runs and max_concurrency lets {node['max_concurrency']} items be done at once in all of them"
        findings.add(place, f"{said}; write max_concurrency: {spread} or more, or a smaller spread")
    if beside is not None and limits:
        said = f"{name!r} spreads within {beside}, and until it ends its runs hold all that is left of limits.{limits[0]}"
        findings.add(place, f"{said}: what is done beside it would get nothing; put it before or after, or leave spread out")
    runs = 2 + height(node["do"], findings.pipelines)
    if runs > DEEPEST:
        findings.add(place, f"with the runs below it {name!r} makes {runs} runs one below the other and the limit is {DEEPEST}; leave spread out")
    _check_body(node["do"], (*path, "do"), name, findings)


def _check_body(nodes: Sequence[Node], path: Path, name: str, findings: Findings) -> None:
    for index, node in enumerate(nodes):
        place = (*path, index)
        if node["kind"] == "verify":
            said = f"its verdict is on the whole run, and {name!r} spreads its items over several"
            findings.add(place, f"{said}; verify after {name!r}, or leave spread out")
        if node.get("compensate"):
            said = f"a run undoes what it did itself, and {name!r} spreads its items over runs that have ended when a later step fails"
            findings.add((*place, "compensate"), f"{said}; leave compensate or spread out")
        if node.get("spread"):
            findings.add((*place, "spread"), f"{node['id']!r} stands in {name!r}, which spreads already; leave one of the two out")
        for where, body in placed_bodies(node, place):
            _check_body(body, where, name, findings)


def height(nodes: Sequence[Mapping[str, Any]], pins: Pins) -> int:
    """How many runs, at most, stand one below the other under a run of these nodes."""
    return max((_height(node, pins) for node in nodes), default=0)


def _height(node: Mapping[str, Any], pins: Pins) -> int:
    if node["kind"] == "pipeline":
        return int(pins[node["pipeline"]]["height"]) if node["pipeline"] in pins else 0
    below = max((height(body, pins) for body in bodies(node)), default=0)
    return below + 1 if node.get("spread") else below
