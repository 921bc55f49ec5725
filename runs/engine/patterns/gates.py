"""People's turns in a plan: a node that asks them, the gate behind a step whose result they look at first, and the rounds in which it is made anew.

A gate stands behind its step in the same sequence, and what it gives goes under the step's own id. Where people send a result back, another
round of both is put into the sequence: by what the gate's row says, so that whoever reads the rows comes to the same plan. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from agents import contracts
from runs.engine.asides import POLICY, RESULT, Asking, Maker
from runs.engine.states import StepState
from runs.engine.values import Agent, Block, BlockFrame, Failure, Node, Step, StepNode

CHANGES: Final = "changes"
"""What an agent whose input may hold it is told in a later round: what it gave, and what people said of that."""
ASKED_WITHIN_MS: Final = 60_000
"""To be asked takes no longer: a question is put at once, and the wait for its answer has its own time."""
_SUFFIX: Final = ".approval"


def decider(policy: str, team: str) -> Agent:
    """Whose turn it is where people are asked: nobody's agent. It takes what it is given, runs in this process, and touches nothing."""
    anything = contracts.compiled({})
    name = f"{POLICY}{policy}"
    spec = {"run": {"inline": POLICY}, "executable": {"kind": "people", "name": name}, "mode": "read", "uses": [], "cost_nano": 0, "input": {}}
    return Agent(name, team, 0, "", "decide", spec, takes=anything, gives=anything)


def node_of(spec: Mapping[str, Any], *, degrades: bool, reads: frozenset[str]) -> StepNode:
    """An `approval:` node."""
    takes = None if spec["output"] is None else contracts.compiled(spec["output"])
    policy = spec["policy"] or ""
    return StepNode(
        id=spec["id"],
        agent=f"{POLICY}{policy}",
        arguments=spec["subject"],
        timeout_ms=ASKED_WITHIN_MS,
        degrades=degrades,
        when=spec.get("when"),
        asking=Asking(policy, takes=takes, most_ms=spec["timeout_ms"]),
        reads=reads,
    )


def gate_of(step: StepNode, maker: Agent, said: Mapping[str, Any]) -> StepNode:
    """What `approve_when` puts behind a step."""
    policy = said["policy"] or ""
    asking = Asking(
        policy,
        of=step.id,
        maker=Maker(maker.name, maker.version, maker.digest, maker.team, *maker.through),
        takes=maker.gives,
        when=said["when"],
        rounds=said["rounds"] if _takes_changes(maker) else 0,
    )
    return StepNode(
        id=step.id + _SUFFIX,
        agent=f"{POLICY}{policy}",
        arguments={RESULT: f"=steps.{step.id}"},
        timeout_ms=ASKED_WITHIN_MS,
        degrades=step.degrades,
        asking=asking,
        names=step.id,
        reads=frozenset({f"steps.{step.id}"}),
    )


def _takes_changes(maker: Agent) -> bool:
    """Only what reads is simply done again, and only who can be told what for does it differently."""
    return maker.spec["mode"] == "read" and CHANGES in (maker.spec["input"].get("properties") or {})


def is_gate(node: Node) -> bool:
    return isinstance(node, StepNode) and node.asking is not None and bool(node.asking.of)


def whose(step: Step) -> str:
    """The agent whose work a step's turn is about: of a gate whoever made what people look at."""
    asking = step.node.asking if isinstance(step.node, StepNode) else None
    return step.agent if asking is None or not asking.of else asking.maker.name


def condition(frame: BlockFrame, asking: Asking, steps: Mapping[str, Step]) -> str | bool:
    """What decides whether people look at the result before a gate: they do once they sent it back, and don't where there is none."""
    made = steps.get(frame.prefix + (asking.of if asking.round == 1 else f"{asking.of}.{asking.round}"))
    if made is None or made.state is not StepState.RETURNED:
        return False
    return True if asking.round > 1 or asking.when is None else asking.when


def wrong_with(node: StepNode, arguments: Mapping[str, Any]) -> Sequence[str]:
    """How what people are to say yes to breaks what it has to be."""
    asking = node.asking
    return () if asking is None or asking.takes is None else asking.takes.violations(asking.subject_in(arguments))


# --- rounds --------------------------------------------------------------------------------------------------------


def is_sent_back(step: Step, failed: Failure) -> bool:
    return is_gate(step.node) and CHANGES in failed.details


def with_next_round(frame: BlockFrame) -> BlockFrame:
    """The sequence goes on with another round of the step before its gate, and with its gate."""
    place, nodes = frame.position, frame.block.nodes
    gate = nodes[place]
    assert isinstance(gate, StepNode)
    assert gate.asking is not None
    made = next(node for node in nodes if node.id == gate.asking.of)
    assert isinstance(made, StepNode)
    return replace(frame, block=Block((*nodes[: place + 1], *_round(made, gate, gate.asking.round + 1), *nodes[place + 1 :])), position=place + 1)


def _round(made: StepNode, gate: StepNode, number: int) -> tuple[StepNode, StepNode]:
    assert gate.asking is not None
    name = f"{made.id}.{number}"
    again = replace(made, id=name, names=made.id, when=None)
    return again, replace(gate, id=name + _SUFFIX, asking=replace(gate.asking, round=number))


def node_at(block: Block, name: str) -> StepNode | None:
    """A later round's node by its id: that of a step and its gate says all of it."""
    made, _, rest = name.partition(".")
    number = rest.removesuffix(_SUFFIX)
    step, gate = (next((node for node in block.nodes if node.id == each), None) for each in (made, made + _SUFFIX))
    if not isinstance(step, StepNode) or not isinstance(gate, StepNode) or gate.asking is None or not number.isdecimal():
        return None
    if number != str(int(number)) or not 1 < int(number) <= gate.asking.rounds + 1 or rest not in (number, number + _SUFFIX):
        return None
    return _round(step, gate, int(number))[rest != number]


def told(frame: BlockFrame, node: StepNode, steps: Mapping[str, Step]) -> list[dict[str, Any]]:
    """What people said of the rounds before this one, the last of them with what it gave."""
    gates = [f"{node.names}{_SUFFIX}", *(f"{node.names}.{number}{_SUFFIX}" for number in range(2, _number(node)))]
    failed = [steps[frame.prefix + gate].failure for gate in gates if frame.prefix + gate in steps]
    said = [dict(each.details[CHANGES]) for each in failed if each is not None and CHANGES in each.details]
    return [*said[:-1], said[-1] | {RESULT: frame.held[node.names].value}] if said else []


def _number(node: StepNode) -> int:
    return int(node.id.removeprefix(node.names + "."))


def is_later_round(node: StepNode) -> bool:
    return bool(node.names) and node.asking is None
