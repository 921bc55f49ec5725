"""Where the turns of a plan stand: which node a step's key belongs to, all of them below a block, and what a share of a loop has of them.

Pure. Used by the planner and by whoever reads rows; knows no run.
"""

from collections.abc import Iterator
from dataclasses import replace

from runs.engine import looking, undoing
from runs.engine.families import ShareNode
from runs.engine.patterns import gates, spreading
from runs.engine.values import Block, ForEachNode, Node, ParallelNode, Plan, StepNode, SwitchNode, Turn


def node_at(block: Block, key: str) -> Turn | None:
    """The step, wait or compensation at a place of a run; None for a key that this plan has no place for."""
    if undoing.is_undo(key):
        acted = node_at(block, key.removeprefix(undoing.UNDO))
        return undoing.node_of(acted) if isinstance(acted, StepNode) and acted.compensate is not None else None
    looked_at = looking.looked_at(key)
    if looked_at is not None:
        acted = node_at(block, looked_at)
        return looking.node_of(acted) if isinstance(acted, StepNode) and acted.lookup is not None else None
    head, inside, rest = key.partition("/")
    node = next((node for node in block.nodes if node.id == head), None) or gates.node_at(block, head)
    if isinstance(node, Turn):
        return node if not inside else None
    part, _, inner = rest.partition("/")
    if isinstance(node, ForEachNode) and not inner:
        return spreading.node_at(node, part)
    below = _part(node, part) if node is not None else None
    return node_at(below, inner) if below is not None and inner else None


def _part(node: Node, part: str) -> Block | None:
    match node:
        case ParallelNode(branches=branches):
            return dict(branches).get(part)
        case ForEachNode(body=body):
            return body if part.isdecimal() else None
        case SwitchNode(cases=cases):
            return cases[int(part)][1] if part.isdecimal() and int(part) < len(cases) else None
    return None


def share_of(plan: Plan, key: str) -> Plan | None:
    """The plan of a run that does some items of a loop, by the key of the step that it is; None where this plan spreads nothing there."""
    node = node_at(plan.root, key)
    if not isinstance(node, ShareNode):
        return None
    return replace(plan, root=Block((replace(node.loop, spread=None, degrades=False, when=None),)), last=node.loop.id)


def steps_of(block: Block) -> Iterator[StepNode]:
    """Every step and verify node below a block."""
    yield from (node for node in turns_of(block) if isinstance(node, StepNode))


def turns_of(block: Block) -> Iterator[Turn]:
    """Whatever gets a row of its own in a run."""
    for node in block.nodes:
        match node:
            case ParallelNode(branches=branches):
                for _, inner in branches:
                    yield from turns_of(inner)
            case ForEachNode(body=body):
                yield from turns_of(body)
            case SwitchNode(cases=cases):
                for _, inner in cases:
                    yield from turns_of(inner)
            case _:
                yield node
