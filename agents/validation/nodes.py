"""The rules of each node, and what every node leaves in scope for the ones after it.

Must not know the pipeline as a whole. Used by checking.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents import contracts, expressions
from agents.spec import Path
from agents.validation.findings import Findings, Spec
from agents.validation.handing import check_with
from agents.validation.independence import bodies, check_apart, check_verifier
from agents.validation.permissions import check_uses
from agents.validation.scopes import Scope, check_condition, check_expression
from agents.validation.shapes import Missing, Shape, any_of, list_of, misfit, object_of, part

RESERVED = frozenset({"input", "steps", "run", "result", "output", "args"})
FINAL_VERIFY = "verify"  # the step of a run that the pipeline's own verify becomes
CEL_WORDS = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace"}
    | {"null", "package", "return", "true", "var", "void", "while"}
)
MAX_KEY = 190  # a step's key names it in the ledger (`step:KEY`, of a compensation `step:undo:KEY`), where a name has at most 200 characters
MAX_KEY_LOOKED_UP = 179  # a look-up stands there as `step:look:ATTEMPT:KEY`, with an attempt of up to ten digits
MAX_KEY_SPREAD = 177  # a share of a loop stands there as `step:KEY/FIRST-LAST`, with numbers of up to eight digits each
MAX_KEY_LOOKED_AT = 178  # what people are asked of a step's result stands beside it as `KEY.approval`, after the tenth round as `KEY.11.approval`
MAX_RETRIES = 10
DEEPEST = 8  # runs one below the other: a run, its child and so on; the rows of runs hold no more
MAX_BACKOFF_MS = 3_600_000

NO_WORK = frozenset({"verify", "wait", "approval"})
"""Nodes whose result is nobody's work: verifying it alone verifies nothing."""

_BESIDE_THE_RESULT = frozenset("timeout_ms progress_timeout_ms retry with compensate lookup on_failure when approve_when".split())
"""What a node says and its result's shape does not depend on."""

Node = Mapping[str, Any]


_FOUND = {"type": "object", "properties": {"found": {"type": "boolean"}}, "required": ["found"]}
_WAITED = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"], "additionalProperties": False}


@dataclass
class Walk:
    """One pass over a pipeline's nodes."""

    findings: Findings
    working: set[str]
    checked: set[str] = field(default_factory=set)

    # Ids -------------------------------------------------------------------------------------------------------------------------

    def check_ids(self, nodes: Sequence[Node]) -> frozenset[str]:
        """All ids; one id twice is refused, except in different cases of one switch."""
        return self._ids(nodes, frozenset(), ("steps",), "")

    def _ids(self, nodes: Sequence[Node], taken: frozenset[str], path: Path, around: str) -> frozenset[str]:
        for index, node in enumerate(nodes):
            place = (*path, index)
            name = node["id"] or ""
            key = f"{around}{name}"
            limit, why = _longest_key(node)
            if len(key) > limit:
                message = f"with the names around it, {name!r} has {len(key)} characters ({key[:60]}…) and the limit is {limit}{why}; shorten some"
                self.findings.add((*place, "id"), message)
            if name in RESERVED | CEL_WORDS:
                self.findings.add((*place, "id"), f"the id {name!r} is a reserved word; choose another")
            if name == FINAL_VERIFY:
                message = f"the id {name!r} is that of the pipeline's own verify, the last step of every run; choose another"
                self.findings.add((*place, "id"), message)
            if name and name in taken:
                self.findings.add((*place, "id"), f"the id {name!r} is here twice; ids are unique in a pipeline")
            taken |= {name}
            before = taken
            for where, body in placed_bodies(node, place):
                seen = before if node["kind"] == "switch" else taken
                taken |= self._ids(body, seen, where, f"{key}/{_part(node, where)}/")
        return taken

    # Sequences and nodes ---------------------------------------------------------------------------------------------------------

    def sequence(self, nodes: Sequence[Node], scope: Scope, path: Path) -> tuple[Shape | None, Scope]:
        """Checks nodes in order; returns the last one's result and the scope behind it."""
        result: Shape | None = None
        for index, node in enumerate(nodes):
            place = (*path, index)
            if node.get("when") is not None:
                check_condition(node["when"], scope, self.findings, (*place, "when"))
            result = self._node(node, scope, place)
            if self.findings.unread.touches(place, apart_from=_BESIDE_THE_RESULT):
                result = None
            scope = scope.after(node["id"], result, verdict=node["kind"] in NO_WORK)
        return None if self.findings.unread.holds(path) else result, scope

    def _node(self, node: Node, scope: Scope, path: Path) -> Shape | None:
        if node["kind"] == "step":
            return self._step(node, scope, path)
        if node["kind"] == "parallel":
            return self._parallel(node, scope, path)
        if node["kind"] == "for_each":
            return self._for_each(node, scope, path)
        if node["kind"] == "switch":
            return self._switch(node, scope, path)
        if node["kind"] == "wait":
            return self._wait(node, scope, path)
        if node["kind"] == "approval":
            return self._approval(node, scope, path)
        if node["kind"] == "pipeline":
            return self._pipeline(node, scope, path)
        self.check_verification(node, scope, path)
        return Shape(contracts.VERDICT_SCHEMA, promised=True)

    def _step(self, node: Node, scope: Scope, path: Path) -> Shape | None:
        agent = self.findings.agent(node["agent"], (*path, "agent"))
        fallback = self.findings.agent(node["fallback"], (*path, "fallback")) if node["fallback"] else None
        if agent is None:
            check_with(node["with"], None, f"agent {node['agent']!r}", scope, self.findings, (*path, "with"))
        for name, spec in ((node["agent"], agent), (node["fallback"], fallback)):
            if spec is not None:
                self._agent_in_step(node, name, spec, scope, path)
        self._check_retry(node, agent, path)
        self._check_fallback(node, agent, path)
        result = any_of([_output(spec) if spec is not None else None for spec in ([agent, fallback] if node["fallback"] else [agent])])
        self._check_compensation(node, agent, result, scope, path)
        self._check_lookup(node, agent, path)
        if node.get("approve_when") is not None:
            looked_at = scope.inside("output", result, from_work=True)
            check_condition(node["approve_when"]["when"] or "true", looked_at, self.findings, (*path, "approve_when"))
        return result

    def _check_compensation(self, node: Node, agent: Spec | None, result: Shape | None, scope: Scope, path: Path) -> None:
        """What undoes a step may name what it may, and the step's own result."""
        undo, path = node.get("compensate"), (*path, "compensate")
        if undo is None:
            return
        if agent is not None and agent["role"] != "act":
            said = f"agent {node['agent']!r} has the role {agent['role']} and changes nothing that could be undone"
            self.findings.add(path, f"{said}; leave compensate out, or let an agent of role act do it")
        spec = self.findings.agent(undo["agent"], (*path, "agent"))
        wanted = None
        if spec is not None:
            self.check_agent(undo["agent"], spec, (*path, "agent"))
            check_timeout(undo, undo["agent"], spec, self.findings, path)
            wanted = spec["input"]
        check_with(undo["with"], wanted, f"agent {undo['agent']!r}", scope.after(node["id"], result, verdict=False), self.findings, (*path, "with"))

    def _check_lookup(self, node: Node, agent: Spec | None, path: Path) -> None:
        """Who says what became of a call: it reads, takes the call's key and its input, and says whether it was found."""
        name, path = node.get("lookup"), (*path, "lookup")
        spec = self.findings.agent(name, path) if name else None
        if name and agent is not None and agent["mode"] != "at_most_once":
            message = f"agent {node['agent']!r} is simply asked again, so there is nothing to look up; leave lookup out"
            self.findings.add(path, message)
        if spec is None:
            return
        self.check_agent(str(name), spec, path)
        check_timeout({"timeout_ms": None}, str(name), spec, self.findings, path)
        if spec["mode"] != "read":
            self.findings.add(path, f"agent {name!r} looks up and must only read; give it mode: read")
        needed = set((spec["input"] or {}).get("required", [])) - {"key", "input"}
        if needed:
            self.findings.add(path, f"agent {name!r} requires {', '.join(sorted(needed))}; a look-up is given key and input")
        if misfit(_FOUND, _output(spec)):
            self.findings.add(path, f"agent {name!r} must say whether it found the call: its output needs found (boolean), and result where it did")

    def _wait(self, node: Node, scope: Scope, path: Path) -> Shape | None:
        if node["signal"] is None:
            self._check_until(node["until"], scope, (*path, "until"))
            return Shape(_WAITED, promised=True)
        if node["output"] is None:
            return None
        faults = contracts.schema_faults(node["output"])
        for place, problem in faults:
            self.findings.add((*path, "output", *place), f"the contract of signal {node['signal']!r} can't be used: {problem}")
        if faults:
            return None
        given = Shape(node["output"], promised=True)
        return any_of([given, Shape({"type": "null"}, promised=True)]) if node["on_expiry"] == "continue" else given

    def _approval(self, node: Node, scope: Scope, path: Path) -> Shape | None:
        """What people say yes to is what the node gives; where they may change it, as its contract says."""
        wanted = node["output"]
        faults = contracts.schema_faults(wanted) if wanted is not None else []
        for place, problem in faults:
            self.findings.add((*path, "output", *place), f"the contract of approval {node['id']!r} can't be used: {problem}")
        usable = wanted if not faults else None
        given = check_with(node["subject"], usable, f"approval {node['id']!r}", scope, self.findings, (*path, "subject"))
        return given if usable is None else Shape(usable, promised=True)

    def _pipeline(self, node: Node, scope: Scope, path: Path) -> Shape | None:
        child = self.findings.pipeline(node["pipeline"], (*path, "pipeline"))
        who = f"pipeline {node['pipeline']!r}"
        check_with(node["with"], None if child is None else child["input"], who, scope, self.findings, (*path, "with"))
        if child is not None and child["height"] >= DEEPEST:
            said = f"{who} starts runs of its own, {child['height']} deep with itself, and at most {DEEPEST} runs stand one below the other"
            self.findings.add((*path, "pipeline"), f"{said}; put some of its steps here")
        return None if child is None or child["output"] is None else Shape(child["output"], promised=True)

    def _check_until(self, until: str | None, scope: Scope, path: Path) -> None:
        if until is None:
            return
        if until.startswith("=") and not until.startswith("=="):
            check_expression(until[1:], scope, self.findings, path)
            return
        try:
            contracts.observed_at({"at": until}, "at")
        except ValueError as error:
            self.findings.add(path, f"a wait lasts until an instant: {error}")

    def _agent_in_step(self, node: Node, name: str, spec: Spec, scope: Scope, path: Path) -> None:
        self.check_agent(name, spec, (*path, "agent"))
        check_timeout(node, name, spec, self.findings, path)
        if node["progress_timeout_ms"] is not None and spec["run"].keys() & {"inline", "tool"}:
            self.findings.add(
                (*path, "progress_timeout_ms"),
                f"agent {name!r} runs what Orchestra ships and has no channel to report progress on; leave progress_timeout out",
            )
        if node["progress_timeout_ms"] is not None and not spec["run"].get("model", {"stream": True})["stream"]:
            self.findings.add(
                (*path, "progress_timeout_ms"),
                f"agent {name!r} asks a model that answers in one piece; write `stream: true` in its run, or leave progress_timeout out",
            )
        check_with(node["with"], spec["input"], f"agent {name!r}", scope, self.findings, (*path, "with"))

    def check_agent(self, name: str, spec: Spec, path: Path) -> None:
        """What must be true of an agent wherever it is used; said once."""
        if name in self.checked:
            return
        self.checked.add(name)
        check_contracts(name, spec, self.findings, path)
        check_uses(name, spec, self.findings, path)

    def _check_retry(self, node: Node, agent: Spec | None, path: Path) -> None:
        retry = node["retry"]
        if retry is None:
            return
        if not 1 <= retry["max"] <= MAX_RETRIES or not 0 <= retry["backoff_ms"] <= MAX_BACKOFF_MS:
            self.findings.add((*path, "retry"), f"retry must be 1 to {MAX_RETRIES} times with a backoff of at most an hour")
        if agent is not None and agent["mode"] == "at_most_once":
            self.findings.add(
                (*path, "retry"),
                f"agent {node['agent']!r} acts at most once, so step {node['id']!r} can never be retried safely: a second try could act "
                "twice; leave retry out, or give the agent mode: {idempotent: =input.key}",
            )

    def _check_fallback(self, node: Node, agent: Spec | None, path: Path) -> None:
        if not node["fallback"]:
            return
        if node.get("approve_when") is not None:
            self.findings.add(
                (*path, "fallback"),
                f"people look at what {node['agent']!r} gives in step {node['id']!r}, and a fallback's result would be taken for its own; leave "
                "fallback out, or make it a step of its own with an approve_when",
            )
        if node["fallback"] == node["agent"]:
            self.findings.add((*path, "fallback"), f"the fallback of step {node['id']!r} is the same agent; name another, or write retry")
        if agent is not None and agent["mode"] != "read":
            self.findings.add(
                (*path, "fallback"),
                f"agent {node['agent']!r} is not of mode: read, so step {node['id']!r} can never fall back safely: it may have acted before it "
                "failed, and the fallback would act a second time, under a key of its own; leave fallback out",
            )

    # Composites ------------------------------------------------------------------------------------------------------------------

    def _parallel(self, node: Node, scope: Scope, path: Path) -> Shape | None:
        results = {name: self.sequence(body, scope, (*path, "branches", name))[0] for name, body in node["branches"].items()}
        wanted = node["min_success"]
        unread = self.findings.unread.holds((*path, "branches"))
        if not node["branches"] and not unread:
            self.findings.add(path, f"the parallel {node['id']!r} has no branches")
        if isinstance(wanted, int) and not unread and not 1 <= wanted <= len(node["branches"]):
            message = f"min_success of {node['id']!r} is {wanted} and it has {len(node['branches'])} branches; it could never succeed"
            self.findings.add((*path, "min_success"), message)
        return object_of(results)

    def _for_each(self, node: Node, scope: Scope, path: Path) -> Shape | None:
        source = (node["items"] or "=").removeprefix("=")
        items = check_expression(source, scope, self.findings, (*path, "items"))
        if items is not None and misfit({"type": "array"}, items):
            self.findings.add((*path, "items"), f"for_each needs a list and {source.strip()!r} isn't always one")
        name = node["as"]
        if name in RESERVED | CEL_WORDS:
            self.findings.add((*path, "as"), f"the loop name {name!r} is a reserved word; choose another")
        if name in scope.items:
            self.findings.add((*path, "as"), f"the loop name {name!r} is in use around this loop; choose another")
        inside = scope.inside(name, _item(items), from_work=scope.names_work(source) or self.findings.unread.holds((*path, "items")))
        result, _ = self.sequence(node["do"], inside, (*path, "do"))
        return list_of(result)

    def _switch(self, node: Node, scope: Scope, path: Path) -> Shape | None:
        results = []
        for index, case in enumerate(node["cases"]):
            place = (*path, "cases", index)
            if case["when"] is not None:
                check_condition(case["when"], scope, self.findings, (*place, "when"))
            elif index < len(node["cases"]) - 1 and not self.findings.unread.holds((*place, "when")):
                self.findings.add(place, "the default case must be the last one; nothing after it would ever be taken")
            results.append(self.sequence(case["do"], scope, (*place, "do"))[0])
        return any_of(results)

    # Verification ----------------------------------------------------------------------------------------------------------------

    def check_verification(self, verify: Node, scope: Scope, path: Path) -> None:
        """The rules of a verify, at the end of the pipeline or as a node."""
        given, name = verify["with"], verify["agent"]
        agent = self.findings.agent(name, (*path, "agent"))
        wanted = None
        if agent is not None:
            self.check_agent(name, agent, (*path, "agent"))
            check_timeout(verify, name, agent, self.findings, path)
            check_verifier(name, agent, self.working, self.findings, (*path, "agent"))
            wanted = _without_criteria(agent["input"])
        elif name in self.working:
            check_apart(name, self.working, self.findings, (*path, "agent"))
        check_with(given, wanted, f"the verifier {name!r}", scope, self.findings, (*path, "with"))
        sources = [source for _, source in expressions.expressions_in(given)]
        if not any(scope.names_work(source) or expressions.compile_problems(source) for source in sources):
            example = "=result" if scope.result is not None else "=steps.write"
            self.findings.add((*path, "with"), f"this verifies nothing: its `with` names no result of the work; add claim: {example}")


def placed_bodies(node: Node, path: Path) -> list[tuple[Path, list[dict[str, Any]]]]:
    """The sequences inside a composite node, each with its place."""
    if node["kind"] == "parallel":
        return [((*path, "branches", name), body) for name, body in node["branches"].items()]
    if node["kind"] == "switch":
        return [((*path, "cases", index, "do"), body) for index, body in enumerate(bodies(node))]
    return [((*path, "do"), body) for body in bodies(node)]


def _longest_key(node: Node) -> tuple[int, str]:
    """What a node's key may have, and why it is less than that of others: the turns that stand beside it are named by it too."""
    if node.get("lookup"):
        return MAX_KEY_LOOKED_UP, " where it has a lookup"
    if node.get("approve_when"):
        return MAX_KEY_LOOKED_AT, " where it has an approve_when"
    return (MAX_KEY_SPREAD, " where it spreads") if node.get("spread") else (MAX_KEY, "")


def _part(node: Node, body: Path) -> str:
    """How a step's key names this body of a composite; of a loop's items, one with as many digits as there can be items."""
    if node["kind"] == "parallel":
        return str(body[-1])
    return str(body[-2]) if node["kind"] == "switch" else "0" * 8


def check_contracts(name: str, spec: Spec, findings: Findings, path: Path) -> None:
    """Both contracts are there and can be used."""
    for side in ("input", "output"):
        if spec[side] is None:
            hints = "give its function type hints, or " if "python" in spec["run"] else ""
            findings.add(path, f"agent {name!r} has no {side} contract; {hints}write {side}: in the agent")
            continue
        for problem in contracts.schema_problems(spec[side]):
            findings.add(path, f"the {side} contract of agent {name!r} can't be used: {problem}")


def check_timeout(node: Node, name: str, spec: Spec, findings: Findings, path: Path) -> None:
    """Every turn has a bound: the step's own, or its agent's."""
    if not node["timeout_ms"] and not spec["timeout_ms"] and not findings.unread.holds((*path, "timeout_ms")):
        findings.add(path, f"this turn of agent {name!r} has no timeout; write timeout: 30s here or in the agent")


def _output(spec: Spec) -> Shape | None:
    return Shape(spec["output"], promised=True) if spec["output"] is not None else None


def _item(items: Shape | None) -> Shape | None:
    try:
        return part(items, 0)
    except Missing:
        return None


def _without_criteria(schema: Any) -> Any:
    """The engine gives the criteria to a verifier that asks for them; `with` need not."""
    if not isinstance(schema, Mapping) or "criteria" not in schema.get("required", []):
        return schema
    return {**schema, "required": [name for name in schema["required"] if name != "criteria"]}
