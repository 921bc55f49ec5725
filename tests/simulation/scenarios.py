"""What a seed plays: pipelines, inputs, what people and time do, and which faults strike. Every choice comes from the seed.

The nodes are those of the engine's own random pipelines (`tests/runs/engine/random_runs`): a kind that is added there is simulated here.
What people and time do are the methods of `world.World` named in STIMULI: one more is a line there and a method. Knows no rows.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Any

from audit import canonical
from runs.engine.values import instant_text
from tests.runs.engine import factories
from tests.runs.engine.random_runs import Pipelines

COST, BOUND = 1_000, 5_000
"""What a function's call costs, in nano-USD, and what a run's limit is a multiple of."""
GIVES = {"type": "object", "required": ["of"], "properties": {"of": {"type": "string"}}}
PRICE = dict.fromkeys(("input", "cache_read", "cache_write", "output"), 1_000_000) | {
    "provider": "scripted",
    "model": "m",
    "version": 1,
    "input_limit": None,
}
ALIAS = {"team": "lines", "provider": "scripted", "model": "m", "endpoint": "nowhere", "secret_ref": "", "price": PRICE}
WORKERS = ("worker", "other", "spare", "actor", "actor", "actor", "keyed", "thinker", "program", "echo")
SIGNALS = ("paid", "signed")
INSTANTS = tuple(instant_text(factories.later(seconds)) for seconds in (1, 6, 12))
WORDED = {"type": "object", "required": ["word"]}
"""What a signal brings where its wait asks for anything."""

STIMULI = {"cancel": 0.4, "reverify": 0.25, "sweep": 1.0, "ring": 1.0, "poke": 1.0, "leave": 0.5, "suspend": 0.15, "signal": 1.5, "settle": 1.5}
"""How many of each befall a run of a seed, on average."""
FAULTS: Mapping[str, tuple[str, ...]] = {
    "calm": (),
    "crashes": ("crash before", "crash after", "kill"),
    "stalls": ("pause", "stand still", "lapse"),
    "errors": ("ambiguous", "full", "locked"),
    "clocks": ("jump", "lapse"),
    "loop": ("crash after", "crash after", "kill"),
    "all": ("crash before", "crash after", "kill", "pause", "stand still", "ambiguous", "full", "locked", "jump", "lapse"),
}
AT_TIMES = ("kill", "pause", "jump", "lapse")
AT_COMMITS, AT_BEGINS = ("crash before", "crash after", "ambiguous", "full"), ("locked", "stand still")


def _agent(name: str, **spec: Any) -> dict[str, Any]:
    more = {"cost_nano": COST, "uses": [], "artifact": None, "memory_mb": 64, "output": GIVES, "timeout_ms": 5_000}
    return factories.agent(name, **{**more, **spec})


def _model(name: str) -> dict[str, Any]:
    run = {"model": {"alias": "mind", "max_tokens": 50, "stream": False}}
    return _agent(name, run=run, cost_nano=0, instructions="think", executable={"kind": "model", "instructions": "think"})


AGENTS = (
    *(_agent(name) for name in ("worker", "other", "spare")),
    _agent("actor", role="act", mode="at_most_once"),
    _agent("undoer", role="act", mode="at_most_once"),
    _agent("mender", role="act", mode={"idempotent": "=input.order"}),
    _agent("finder", output={"type": "object", "required": ["found"], "properties": {"found": {"type": "boolean"}}}),
    _agent("keyed", mode={"idempotent": "=input.order"}),
    _model("thinker"),
    _agent("program", run={"command": ["./program"]}, executable={"kind": "command", "argv": ["./program"]}),
    _agent("echo", run={"inline": "noop"}, output={}, cost_nano=0),
    factories.judge("judge", **{name: value for name, value in _agent("judge")["spec"].items() if name not in ("role", "output", "name", "team")}),
)
NAMES = tuple(each["spec"]["name"] for each in AGENTS)
ASKING = frozenset({"worker", "actor", "keyed", "thinker", "undoer"})
"""Agents whose calls need people's yes, in the seeds from APPROVALS on. Those have choices of their own, so that they move nobody else's."""
APPROVALS = 1_000_000
GATES = 2_000_000
"""From here on people are asked about results, and by the pipelines themselves, and about no call; limits are wide and calls seldom fail: else few
runs come so far."""
TOLD = {"type": "object", "properties": {"changes": {"type": "array"}}}
ASKS = "write deploy:here"
WITH_APPROVALS = tuple(each | {"spec": each["spec"] | {"uses": [ASKS]}} if each["spec"]["name"] in ASKING else each for each in AGENTS)
WITH_GATES = tuple(each | {"spec": each["spec"] | {"input": TOLD}} if each["spec"]["name"] in ("worker", "other") else each for each in AGENTS)
LINES, PARTS = ("line0", "line1"), ("part0", "part1")
"""Pipelines that somebody starts, and those that they run: `part0` may run `part1`, and a line both."""


class Lines(Pipelines):
    """Random pipelines over the agents above, smaller than the engine's own: each of their steps costs a transaction or three.

    `waits`, `acts`, `runs`: the chances that a node is a wait, an act, or a run of a pipeline `below`, of which there is a manifest each.
    Where acts are many, what comes after them fails often: they are undone.
    """

    def __init__(self, random: Random, *, fresh: bool, below: Mapping[str, dict[str, Any]] = MappingProxyType({}), seed: int = 0) -> None:
        super().__init__(random, fresh=fresh)
        self.asks, self.gates = APPROVALS <= seed < GATES, seed >= GATES
        self.agents = WITH_GATES if self.gates else WITH_APPROVALS if self.asks else AGENTS
        self.waits = random.choice([0.0, 0.0, 0.15, 0.4])
        self.acts = random.choice([0.0, 0.0, 0.0, 0.8])
        self.below = below
        self.runs = random.choice([0.1, 0.3, 0.6]) if below else 0.0

    def node(self, depth: int, seen: list[str]) -> dict[str, Any]:
        chance = self.random.random()
        if chance < max(self.waits, self.runs):
            self.used += 1
            named = f"n{self.used}"
            return self.child(named) if self.random.random() * (self.waits + self.runs) < self.runs else self.wait(named)
        return super().node(min(depth, 2), seen)

    def child(self, name: str) -> dict[str, Any]:
        pick = self.random
        said = {"on_failure": pick.choice(["stop", "degrade"]), "when": pick.choice([None, None, None, "true", "false"])}
        given = {"n": pick.randint(0, 10), "list": list(range(pick.randint(0, 2)))}
        timeout = pick.choice([None, None, 3_000, 12_000])
        return {"kind": "pipeline", "id": name, "pipeline": pick.choice(sorted(self.below)), "with": given, "timeout_ms": timeout, **said}

    def _beside(self) -> dict[str, Any]:
        """A run of another pipeline with something else beside it: the run above is at work while it waits."""
        pick, names = self.random, [f"n{self.used + number}" for number in (1, 2, 3)]
        self.used += len(names)
        other = self.child(names[2]) if pick.random() < 0.3 else self.step(names[2], [])
        return factories.parallel(names[0], pick.choice(["all", "any"]), on_failure="degrade", a=[self.child(names[1])], b=[other])

    def wait(self, name: str) -> dict[str, Any]:
        pick = self.random
        said: dict[str, Any] = dict.fromkeys(("for_ms", "until", "signal", "timeout_ms", "output"))
        kind = pick.choice(["for", "until", "signal", "signal", "signal"])
        if kind == "for":
            said["for_ms"] = pick.choice([1, 300, 2_000, 5_000])
        elif kind == "until":
            said["until"] = pick.choice([*INSTANTS, "=input.gone"])
        else:
            said |= {"signal": pick.choice(SIGNALS), "timeout_ms": pick.choice([500, 4_000, 9_000, 15_000]), "output": pick.choice([None, WORDED])}
        expiry = pick.choice(["fail", "continue"])
        return {"kind": "wait", "id": name, **said, "on_expiry": expiry, "on_failure": pick.choice(["stop", "degrade"]), "when": None}

    def _spreading(self, nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Some with a loop whose items are shared among child runs; its choices are its own, so that they move nobody else's."""
        pick = Random(f"spread {canonical.digest(nodes)}")
        if pick.random() > SPREADS:
            return nodes
        rest = [node for node in nodes if node["kind"] != "for_each"]
        body = _within_a_spread(next((node["do"] for node in nodes if node["kind"] == "for_each"), nodes))
        said = {"on_failure": pick.choice(["stop", "degrade"]), "when": None, "min_success": pick.choice(["all", "all", "any", 1])}
        loop = factories.for_each("s1", "=input.list", *body, wide=pick.randint(2, 4), item="one", spread=pick.choice([2, 3]), **said)
        return [*rest[:1], loop, *rest[1:]] if body else nodes

    def step(self, name: str, seen: list[str]) -> dict[str, Any]:
        pick = self.random
        made = super().step(name, seen)
        agent = "actor" if pick.random() < self.acts else pick.choice(WORKERS)
        agent = Random(f"told {name} {agent}").choice(["worker", "worker", "other", agent]) if self.gates else agent
        given = made["with"] | {"order": f"{name}-1"} | ({"calls": pick.choice([1, 1, 2])} if agent != "thinker" and pick.random() < 0.2 else {})
        retry = pick.choice([None, None, {"max": 2, "backoff_ms": 300}])
        retry = {"max": 2, "backoff_ms": 300} if self.asks else retry
        acts = self._act(name) if agent == "actor" else {}
        return made | {"agent": agent, "with": given, "retry": retry, "timeout_ms": pick.choice([None, None, None, 2_000])} | acts

    def _act(self, name: str) -> dict[str, Any]:
        """What undoes it, and who looks up whether it was done."""
        pick = self.random
        undo = {"agent": pick.choice(["undoer", "mender"]), "with": {"undo": f"=steps.{name}.of", "order": f"{name}-undo"}, "timeout_ms": None}
        return {"compensate": pick.choice([None, undo, undo]), "lookup": pick.choice([None, "finder"])}

    def manifest(self, name: str, depths: tuple[int, ...] = (0, 1, 1, 2)) -> dict[str, Any]:
        pick = self.random
        nodes = self.nodes(pick.choice(depths), [])
        if self.below and pick.random() < 0.5:
            nodes = [self._beside(), *nodes][:3]
        if pick.random() < self.acts:
            self.used += 1
            nodes.append(super().step(f"n{self.used}", []) | {"with": {"x": "=input.gone"}, "on_failure": "stop", "when": None})
        limits = {
            "timeout_ms": pick.choice([3_000, 8_000, 20_000, 20_000, 40_000]),
            "calls": pick.choice([None, None, 3, 10]),
            "cost_nano": pick.choice([None, None, BOUND, 20 * BOUND]),
            "max_lifetime_ms": pick.choice([None, None, 45_000]),
        }
        spec = {"name": name, "verify": {"agent": "judge", "with": {"claim": "=result"}, "timeout_ms": None}, "team": "lines"}
        if self.gates:
            nodes, limits = _gated(nodes), limits | {"timeout_ms": 40_000, "calls": None, "cost_nano": None, "max_lifetime_ms": None}
        nodes, spec = self._spreading(nodes), spec | {"limits": limits}
        abi = 4 if self.gates else 3 if any(node.get("spread") for node in nodes) else 2
        made = factories.manifest(*nodes, agents=self.agents, **spec) | {"aliases": {"mind": ALIAS}, "engine_abi": abi}
        made["pipeline"] = made["pipeline"] | {"version": 1}
        return made | ({"pipelines": {each: _pinned(manifest) for each, manifest in self.below.items()}} if self.below else {})


def _gated(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With gates behind some steps, and with people asked between some nodes; its choices are its own."""
    made: list[dict[str, Any]] = []
    for node in nodes:
        pick, parts = Random(f"gates {node['id']} {len(made)} {canonical.digest(node)}"), {}
        if "do" in node:
            parts["do"] = _gated(node["do"])
        if "branches" in node:
            parts["branches"] = {name: _gated(do) for name, do in node["branches"].items()}
        if "cases" in node:
            parts["cases"] = [case | {"do": _gated(case["do"])} for case in node["cases"]]
        if node["kind"] == "step" and pick.random() < 0.8:
            parts["approve_when"] = {"when": pick.choice(["true", "true", "input.n > 5"]), "policy": None, "rounds": pick.choice([0, 1, 2, 2])}
        made.append(node | parts)
        if node["kind"] == "step" and pick.random() < 0.15:
            subject = {"subject": {"n": "=input.n"}, "output": None, "policy": None, "timeout_ms": pick.choice([None, 4_000])}
            made.append({"kind": "approval", "id": f"{node['id']}_go", **subject, "on_failure": pick.choice(["stop", "degrade"]), "when": None})
    return made


SPREADS = 0.12
"""The chance that a pipeline has a loop that spreads."""


def _within_a_spread(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What of them may stand in a loop that spreads: nothing that gives a verdict on the whole, and nothing that is undone."""
    made = []
    for node in nodes:
        parts: dict[str, Any] = {"compensate": None} if "compensate" in node else {}
        if "do" in node:
            parts["do"] = _within_a_spread(node["do"])
        if "branches" in node:
            parts["branches"] = {name: _within_a_spread(do) for name, do in node["branches"].items()}
        if "cases" in node:
            parts["cases"] = [case | {"do": _within_a_spread(case["do"])} for case in node["cases"]]
        blocks = [parts.get("do", [node]), *parts.get("branches", {}).values(), *(case["do"] for case in parts.get("cases", ()))]
        if node["kind"] != "verify" and all(blocks):
            made.append(node | parts)
    return made


def _pinned(manifest: dict[str, Any]) -> dict[str, Any]:
    """What a release says of another one that it runs."""
    spec, below = manifest["pipeline"]["spec"], manifest.get("pipelines", {}).values()
    acts = any(node.get("agent") == "actor" for node in _nodes(spec["steps"])) or any(each["acts"] for each in below)
    height = 1 + max((each["height"] for each in below), default=0)
    return {
        "release": canonical.digest(manifest),
        "input": {"type": "object"},
        "limits": spec["limits"],
        "acts": acts,
        "height": height,
        "workers": [],
    }


@dataclass(frozen=True)
class Scenario:
    """One seed, laid out. `manifests`: those of LINES, as many as there are inputs, and of the PARTS that they run.

    `strikes`, `failing`, `slow`: the chances that a fault befalls a transaction, that a call fails, that it takes long.

    `happens` comes in the order of its seconds. A lease (`ttl`) may be shorter than a call, so that two workers can have the same one out.
    `latency`: the longest that a use of the database waits for its turn; `beat`: after which part of it a lease is prolonged.
    `committers`: how many threads of each process write, as many as its database has writers.
    `interrupts`: somebody comes in just where a process has decided and not yet written, and what undoes is poked.
    """

    seed: int
    manifests: Mapping[str, dict[str, Any]]
    inputs: tuple[dict[str, Any], ...]
    workers: int
    profile: str
    strikes: float
    failing: float
    slow: float
    ttl: float
    latency: float
    beat: float
    lasts: float
    committers: int
    interrupts: bool
    happens: tuple[tuple[float, str], ...] = field(default=())

    @property
    def asks(self) -> bool:
        """Whether people are asked for their yes to calls of ASKING."""
        return APPROVALS <= self.seed < GATES

    @property
    def faults(self) -> tuple[str, ...]:
        return FAULTS[self.profile]

    @property
    def has_children(self) -> bool:
        return "part0" in self.manifests

    @property
    def spreads(self) -> bool:
        """Whether a loop shares its items among child runs."""
        return any(node.get("spread") for each in self.manifests.values() for node in each["pipeline"]["spec"]["steps"])

    def node(self, pipeline: str, name: str) -> dict[str, Any]:
        """What a pipeline says of one of its nodes."""
        return next((each for each in _nodes(self.manifests[pipeline]["pipeline"]["spec"]["steps"]) if each["id"] == name), {})


def _nodes(listed: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in listed:
        yield node
        yield from _nodes([*node.get("do", ()), *(each for do in node.get("branches", {}).values() for each in do)])
        yield from _nodes(each for case in node.get("cases", ()) for each in case["do"])


def scenario(seed: int) -> Scenario:
    pick = Random(f"scenario {seed}")
    runs = pick.choice([1, 1, 2])
    profile = pick.choice(["calm", "crashes", "stalls", "errors", "clocks", "loop", "all", "all", "all"])
    lasts = 20.0
    return Scenario(
        seed=seed,
        manifests=_manifests(pick, runs, seed),
        inputs=tuple({"n": pick.randint(0, 10), "list": list(range(pick.randint(0, 3)))} for _ in range(runs)),
        workers=2 if profile in ("stalls", "clocks") else pick.choice([1, 2, 2, 3]),
        profile=profile,
        strikes=pick.choice([0.3, 0.9]) if profile == "loop" else pick.choice([0.05, 0.12, 0.25]),
        failing=pick.choice([0.02, 0.1, 0.3]) * (1 if seed < APPROVALS else 2 if seed < GATES else 0.2),
        slow=pick.choice([0.1, 0.4, 0.8]),
        ttl=1.5 if profile == "loop" else pick.choice([3.0, 3.0, 6.0]),
        beat=pick.choice([0.33, 0.6]),
        latency=pick.choice([0.05, 0.3, 1.2]),
        lasts=lasts,
        happens=tuple(sorted([*_happens(pick, runs, FAULTS[profile], lasts), *_stops(seed), *(_answers(seed, lasts) if seed >= APPROVALS else ())])),
        committers=pick.choice([1, 2]),
        interrupts=pick.random() < 0.4,
    )


STOPS, UNSTOPPED = 0.6, 350
"""The chance that something is stopped in the course of a seed, and how many seeds begin without: of those it is known which mutant each notices."""


def _stops(seed: int) -> list[tuple[float, str]]:
    """Their choices are their own, so that they move nobody else's."""
    pick = Random(f"stops {seed}")
    many = pick.choice([1, 2, 2]) if seed >= UNSTOPPED and pick.random() < STOPS else 0
    return [(round(pick.uniform(0.3, 5.0), 2), "stop") for _ in range(many)]


def _answers(seed: int, lasts: float) -> list[tuple[float, str]]:
    """People come often to what waits for them: else it would only expire."""
    pick = Random(f"approvals {seed}")
    return [(round(pick.uniform(0.5, lasts), 2), "approve") for _ in range(pick.choice([8, 30, 60]) if seed < GATES else 30)]


def _manifests(pick: Random, runs: int, seed: int) -> dict[str, dict[str, Any]]:
    """Half of the seeds have pipelines that run others."""
    made: dict[str, dict[str, Any]] = {}
    if pick.random() < 0.5:
        made["part1"] = Lines(pick, fresh=False, seed=seed).manifest("part1", (0,))
        below = {"part1": made["part1"]} if pick.random() < 0.6 else {}
        made["part0"] = Lines(pick, fresh=False, below=below, seed=seed).manifest("part0", (0, 0, 1))
    parts = dict(made)
    for name in LINES[:runs]:
        made[name] = Lines(pick, fresh=False, below=parts, seed=seed).manifest(name)
    return made


def _happens(pick: Random, runs: int, faults: tuple[str, ...], lasts: float) -> list[tuple[float, str]]:
    """Starts first; each is asked for twice now and then. What lies near the start matters most: runs are short, and some are cancelled too late."""
    found = [(round(pick.uniform(0, 2), 2), "start") for _ in range(runs)]
    starts = [at for at, _ in found]
    found += [(at + 0.5, "start") for at in starts if pick.random() < 0.2]
    found += [(round(at + pick.choice([3, 8]) + pick.uniform(0, 2), 2), "cancel") for at in starts if pick.random() < 0.2]
    average = {**STIMULI, **{fault: 2.0 for fault in faults if fault in AT_TIMES}}
    for name, times in average.items():
        many = sum(pick.random() < times / 2 for _ in range(2 * runs))
        found += [(round(pick.choice([pick.uniform(0, lasts), min(pick.expovariate(0.25), lasts)]), 2), name) for _ in range(many)]
    return found
