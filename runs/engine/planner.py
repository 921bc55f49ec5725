"""Compiles a release's manifest into a Plan, once, and refuses one that breaks the independence of the verifier.

Pure. The worker caches the result by release digest. Publishing has checked far more; this is the check at run time (R4).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from agents import contracts, expressions
from agents import spec as specs
from runs.engine.asides import Compensation, Lookup
from runs.engine.families import Child, PipelineNode, Spread, Worker
from runs.engine.patterns import fan, gates
from runs.engine.patterns.scope import STEPS
from runs.engine.places import steps_of, turns_of
from runs.engine.states import SUPPORTED_ABIS
from runs.engine.values import (
    Agent,
    Block,
    Criterion,
    ForEachNode,
    Node,
    ParallelNode,
    Plan,
    StepNode,
    SwitchNode,
    WaitNode,
)

VERIFY = "verify"


class PlanError(Exception):
    """A manifest that this engine can't or must not run."""


class IncompatiblePlan(PlanError):
    """A manifest made for another version of the engine's semantics."""


def compiled(manifest: Mapping[str, Any], *, digest: str) -> Plan:
    """The plan of a whole run: the pipeline's steps, then its final verify node."""
    abi = manifest.get("engine_abi")
    if abi not in SUPPORTED_ABIS:
        mine = ", ".join(map(str, sorted(SUPPORTED_ABIS)))
        raise IncompatiblePlan(f"this release needs an engine of ABI {abi}, and this one carries out {mine}: publish the pipeline again")
    spec = manifest["pipeline"]["spec"]
    aliases = manifest.get("aliases", {})
    agents = {name: _agent(name, frozen, aliases) for name, frozen in manifest["agents"].items()}
    pipelines = {name: _child(name, pinned) for name, pinned in manifest.get("pipelines", {}).items()}
    work = _Compiler(agents, pipelines, spec)
    nodes = [*work.nodes(spec["steps"]), work.final(spec["verify"])]
    plan = Plan(
        release=digest,
        pipeline=spec["name"],
        team=spec["team"],
        root=Block(tuple(nodes)),
        last=work.last,
        agents=agents,
        criteria=tuple(Criterion(name, **said) for name, said in spec["criteria"].items()),
        timeout_ms=spec["limits"]["timeout_ms"],
        replayable=bool(spec.get("replayable")),
        max_lifetime_ms=lifetime_ms(spec["limits"]),
        pipelines=pipelines,
        starts_runs=bool(pipelines) or work.spreads,
        version=manifest["pipeline"].get("version", 0),
    )
    _refuse_unknown(plan)
    _refuse_own_judges(plan)
    return plan


def verification_only(plan: Plan) -> Plan:
    """The plan of a `reverify` run: the final verify node alone, over values that are given."""
    return Plan(**{**{name: getattr(plan, name) for name in Plan.__slots__}, "root": Block(plan.root.nodes[-1:])})


def _agent(name: str, frozen: Mapping[str, Any], aliases: Mapping[str, Mapping[str, Any]]) -> Agent:
    spec = {**frozen["spec"], "executable": specs.executable(frozen["spec"], aliases)}
    alias = specs.alias_of(spec)
    if alias is not None and alias not in aliases:
        raise PlanError(f"agent '{name}' asks the model alias '{alias}', which is not in this release")
    return Agent(
        name=name,
        team=spec["team"],
        version=frozen["version"],
        digest=frozen["digest"],
        role=spec["role"],
        spec=spec,
        takes=contracts.compiled(spec["input"]),
        gives=contracts.compiled(spec["output"]),
        alias=None if alias is None else {"name": alias, **aliases[alias]},
    )


def _child(name: str, pinned: Mapping[str, Any]) -> Child:
    limits = pinned["limits"]
    workers = tuple(Worker(one["name"], one["executable"], frozenset(one["lineage"])) for one in pinned["workers"])
    return Child(
        name=name,
        release=pinned["release"],
        takes=contracts.compiled(pinned["input"]),
        timeout_ms=limits["timeout_ms"],
        lifetime_ms=lifetime_ms(limits),
        cost_limit=limits.get("cost_nano"),
        calls_limit=limits.get("calls"),
        acts=pinned["acts"],
        workers=workers,
    )


class _Compiler:
    """Turns the nodes of a spec into frozen ones, with what each of them reads."""

    def __init__(self, agents: dict[str, Agent], pipelines: Mapping[str, Child], pipeline: Mapping[str, Any]) -> None:
        self.agents, self.pipelines, self.team = agents, pipelines, pipeline["team"]
        self.last, self.timeout_ms = pipeline["steps"][-1]["id"], pipeline["limits"]["timeout_ms"]
        self.spreads = False

    def nodes(self, specs: Sequence[Mapping[str, Any]]) -> list[Node]:
        return [node for spec in specs for node in (self.node(spec), *self._gate(spec))]

    def _gate(self, spec: Mapping[str, Any]) -> Iterator[StepNode]:
        """What stands behind a step whose result people may have to look at."""
        said = spec.get("approve_when")
        if said is not None:
            self._ask(said["policy"])
            yield gates.gate_of(self._step(spec), self._maker(spec), said)

    def _maker(self, spec: Mapping[str, Any]) -> Agent:
        maker = self.agents.get(spec["agent"])
        if maker is None:
            raise PlanError(f"step '{spec['id']}' names agent '{spec['agent']}', which is not in this release")
        return maker

    def _ask(self, policy: str | None) -> None:
        people = gates.decider(policy or "", self.team)
        self.agents[people.name] = people

    def _approval(self, spec: Mapping[str, Any]) -> StepNode:
        self._ask(spec["policy"])
        return gates.node_of(spec, degrades=_degrades(spec), reads=self._reads(spec["subject"]))

    def block(self, specs: Sequence[Mapping[str, Any]]) -> Block:
        return Block(tuple(self.nodes(specs)))

    def node(self, spec: Mapping[str, Any]) -> Node:
        match spec["kind"]:
            case "step":
                return self._step(spec)
            case "verify":
                return self._judge(spec, spec["id"], final=False)
            case "parallel":
                return self._parallel(spec)
            case "for_each":
                return self._for_each(spec)
            case "wait":
                return self._wait(spec)
            case "approval" | "pipeline":
                return self._approval(spec) if spec["kind"] == "approval" else self._pipeline(spec)
            case "switch":
                cases = tuple((case["when"], self.block(case["do"])) for case in spec["cases"])
                return SwitchNode(spec["id"], cases, degrades=_degrades(spec), when=spec.get("when"))
            case other:
                raise IncompatiblePlan(f"this engine knows no node of kind '{other}'")

    def final(self, spec: Mapping[str, Any]) -> StepNode:
        return self._judge(spec, VERIFY, final=True)

    def _step(self, spec: Mapping[str, Any]) -> StepNode:
        retry = spec.get("retry") or {"max": 0, "backoff_ms": 0}
        return StepNode(
            id=spec["id"],
            agent=spec["agent"],
            arguments=spec["with"],
            timeout_ms=self._timeout(spec),
            progress_timeout_ms=spec.get("progress_timeout_ms"),
            retries=retry["max"],
            backoff_ms=retry["backoff_ms"],
            fallback=spec.get("fallback"),
            degrades=_degrades(spec),
            when=spec.get("when"),
            compensate=self._compensation(spec.get("compensate")),
            lookup=self._lookup(spec.get("lookup")),
            reads=self._reads(spec["with"]),
        )

    def _lookup(self, agent: str | None) -> Lookup | None:
        return None if agent is None else Lookup(agent, self._timeout({"id": "lookup", "agent": agent}))

    def _compensation(self, spec: Mapping[str, Any] | None) -> Compensation | None:
        return None if spec is None else Compensation(spec["agent"], spec["with"], self._timeout({"id": "compensate", **spec}))

    def _wait(self, spec: Mapping[str, Any]) -> WaitNode:
        return WaitNode(
            id=spec["id"],
            for_ms=spec["for_ms"],
            until=spec["until"],
            signal=spec["signal"],
            timeout_ms=spec["timeout_ms"] or 0,
            goes_on=spec["on_expiry"] == "continue",
            gives=None if spec["output"] is None else contracts.compiled(spec["output"]),
            degrades=_degrades(spec),
            when=spec.get("when"),
            reads=self._reads(spec["until"]),
        )

    def _pipeline(self, spec: Mapping[str, Any]) -> PipelineNode:
        child = self.pipelines.get(spec["pipeline"])
        if child is None:
            raise PlanError(f"node '{spec['id']}' names pipeline '{spec['pipeline']}', which is not in this release")
        return PipelineNode(
            id=spec["id"],
            pipeline=child.name,
            arguments=spec["with"],
            timeout_ms=spec["timeout_ms"] or child.timeout_ms,
            degrades=_degrades(spec),
            when=spec.get("when"),
            reads=self._reads(spec["with"]),
        )

    def _judge(self, spec: Mapping[str, Any], node_id: str, *, final: bool) -> StepNode:
        reads = self._reads(spec["with"]) | ({STEPS + self.last} if final else frozenset())
        return StepNode(
            id=node_id,
            agent=spec["agent"],
            arguments=spec["with"],
            timeout_ms=self._timeout(spec),
            judges=True,
            final=final,
            reads=reads,
        )

    def _parallel(self, spec: Mapping[str, Any]) -> ParallelNode:
        # By name: PostgreSQL keeps no order of an object's keys, and the first branch that failed leads with its owner.
        branches = tuple((name, self.block(do)) for name, do in sorted(spec["branches"].items()))
        need = fan.needed(spec["min_success"], len(branches))
        return ParallelNode(spec["id"], branches, need, degrades=_degrades(spec), when=spec.get("when"))

    def _for_each(self, spec: Mapping[str, Any]) -> ForEachNode:
        body = self.block(spec["do"])
        return ForEachNode(
            id=spec["id"],
            items=spec["items"],
            name=spec["as"],
            max_concurrency=spec["max_concurrency"],
            body=body,
            min_success=spec["min_success"],
            degrades=_degrades(spec),
            when=spec.get("when"),
            reads=self._reads(spec["items"]),
            spread=self._spread(spec, body),
        )

    def _spread(self, spec: Mapping[str, Any], body: Block) -> Spread | None:
        if not spec.get("spread"):
            return None
        self.spreads = True
        needs = self._reads(spec["do"]) | frozenset(_conditions(spec["do"], self.last))
        return Spread(spec["spread"], needs, self._acts(body), self.timeout_ms)

    def _acts(self, body: Block) -> bool:
        agents = (self.agents.get(node.agent) for node in steps_of(body))
        children = (self.pipelines[node.pipeline] for node in turns_of(body) if isinstance(node, PipelineNode))
        return any(agent is not None and agent.role == "act" for agent in agents) or any(child.acts for child in children)

    def _timeout(self, spec: Mapping[str, Any]) -> int:
        agent = self.agents.get(spec["agent"])
        timeout = spec.get("timeout_ms") or (agent.spec["timeout_ms"] if agent is not None else None)
        if timeout is None:
            raise PlanError(f"step '{spec.get('id', VERIFY)}' has no timeout")
        return int(timeout)

    def _reads(self, value: Any) -> frozenset[str]:
        """The steps and loop names that an input is made of."""
        return frozenset(_name(path, self.last) for path in expressions.value_references(value))


def _name(path: Sequence[str], last: str) -> str:
    if path[0] == "result":
        return STEPS + last
    return STEPS + path[1] if path[0] == "steps" and len(path) > 1 else path[0]


def _conditions(value: Any, last: str) -> Iterator[str]:
    """What the conditions of nodes name, at any depth: they are expressions without the sign of one."""
    if isinstance(value, list):
        for each in value:
            yield from _conditions(each, last)
    for key, inner in value.items() if isinstance(value, Mapping) else ():
        if key != "with":
            yield from _conditions(inner, last)
    when = value.get("when") if isinstance(value, Mapping) else None
    if isinstance(when, str):
        yield from (_name(path, last) for path in expressions.references(when))


def _degrades(spec: Mapping[str, Any]) -> bool:
    return spec.get("on_failure") == "degrade"


DEFAULT_LIFETIME_MS: Final = 90 * 86_400_000


def lifetime_ms(limits: Mapping[str, Any]) -> int:
    """How long a run may live, its waits included (`limits.max_lifetime`): at least its work time."""
    return max(int(limits.get("max_lifetime_ms") or DEFAULT_LIFETIME_MS), int(limits["timeout_ms"]))


def unrunnable(manifest: Mapping[str, Any], *, digest: str) -> Plan:
    """As much of a plan as it takes to end a run that this engine must not carry out, with its owner."""
    spec = manifest["pipeline"]["spec"]
    version = manifest["pipeline"].get("version", 0)
    return Plan(digest, spec["name"], spec["team"], Block(()), "", {}, (), spec["limits"]["timeout_ms"], False, version=version)


# --- what publishing refuses, refused again --------------------------------------------------------------------------


def _refuse_unknown(plan: Plan) -> None:
    """A step by an agent that the release doesn't hold, or in the place of the final verify node, could never be carried out."""
    for node in steps_of(plan.root):
        for name in _named(node):
            if name not in plan.agents:
                raise PlanError(f"step '{node.id}' names agent '{name}', which is not in this release")
    if any(node.id == VERIFY for node in plan.root.nodes[:-1]):
        raise PlanError(f"a step has the id '{VERIFY}', which is the place of the final verification: give it another id")


def _named(node: StepNode) -> list[str]:
    """The agents that may take this step's turn, undo it, or say whether it was done."""
    undo = None if node.compensate is None else node.compensate.agent
    look = None if node.lookup is None else node.lookup.agent
    return [name for name in (node.agent, node.fallback, undo, look) if name]


def _refuse_own_judges(plan: Plan) -> None:
    """R4 at run time."""
    nodes = list(steps_of(plan.root))
    workers = {name for node in nodes if not node.judges for name in _named(node)}
    for judge in {node.agent for node in nodes if node.judges}:
        partner = _kin(plan, judge, workers) or _kin_below(plan, judge)
        if partner is not None:
            raise PlanError(f"'{judge}' verifies and is, or is a copy of, '{partner}', which had a part in the work (R4)")


def _kin(plan: Plan, judge: str, workers: Iterable[str]) -> str | None:
    mine = plan.agents[judge].spec
    for name in sorted(workers):
        theirs = plan.agents[name].spec
        same_code = mine["executable"] == theirs["executable"]
        if name == judge or same_code or _lineage(plan, name) & _lineage(plan, judge):
            return name
    return None


def _kin_below(plan: Plan, judge: str) -> str | None:
    """The same for whoever worked in a run that this one starts."""
    mine, line = plan.agents[judge].spec["executable"], _lineage(plan, judge)
    workers = (worker for child in plan.pipelines.values() for worker in child.workers)
    return next((one.name for one in workers if one.executable == mine or one.lineage & line), None)


def _lineage(plan: Plan, name: str) -> set[str]:
    """An agent and all it was derived from; two copies of one original share it."""
    seen: set[str] = set()
    at: str | None = name
    while at is not None and at not in seen:
        seen.add(at)
        parent = plan.agents.get(at)
        at = parent.spec.get("derived_from") if parent is not None else None
    return seen
