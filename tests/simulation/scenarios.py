"""What a seed plays: pipelines, inputs, what people and time do, and which faults strike. Every choice comes from the seed.

The nodes are those of the engine's own random pipelines (`tests/runs/engine/random_runs`): a kind that is added there is simulated here.
What people and time do are the methods of `world.World` named in STIMULI: one more is a line there and a method. Knows no rows.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

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

STIMULI = {"cancel": 0.25, "reverify": 0.25, "sweep": 1.0, "ring": 1.0, "poke": 1.0, "leave": 0.3, "suspend": 0.15, "signal": 1.5, "settle": 1.5}
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


class Lines(Pipelines):
    """Random pipelines over the agents above, smaller than the engine's own: each of their steps costs a transaction or three.

    `waits`: the chance that a node is a wait.
    """

    def __init__(self, random: Random, *, fresh: bool) -> None:
        super().__init__(random, fresh=fresh)
        self.waits = random.choice([0.0, 0.0, 0.15, 0.4])

    def node(self, depth: int, seen: list[str]) -> dict[str, Any]:
        if self.random.random() < self.waits:
            self.used += 1
            return self.wait(f"n{self.used}")
        return super().node(min(depth, 2), seen)

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

    def step(self, name: str, seen: list[str]) -> dict[str, Any]:
        pick = self.random
        made = super().step(name, seen)
        agent = pick.choice(WORKERS)
        given = made["with"] | {"order": f"{name}-1"} | ({"calls": pick.choice([1, 1, 2])} if agent != "thinker" and pick.random() < 0.2 else {})
        retry = pick.choice([None, None, {"max": 2, "backoff_ms": 300}])
        acts = self._act(name) if agent == "actor" else {}
        return made | {"agent": agent, "with": given, "retry": retry, "timeout_ms": pick.choice([None, None, None, 2_000])} | acts

    def _act(self, name: str) -> dict[str, Any]:
        """What undoes it, and who looks up whether it was done."""
        pick = self.random
        undo = {"agent": pick.choice(["undoer", "mender"]), "with": {"undo": f"=steps.{name}.of", "order": f"{name}-undo"}, "timeout_ms": None}
        return {"compensate": pick.choice([None, undo, undo]), "lookup": pick.choice([None, "finder"])}

    def manifest(self) -> dict[str, Any]:
        pick = self.random
        nodes = self.nodes(pick.choice([0, 1, 1, 2]), [])
        limits = {
            "timeout_ms": pick.choice([8_000, 20_000, 40_000]),
            "calls": pick.choice([None, None, 3, 10]),
            "cost_nano": pick.choice([None, None, BOUND, 20 * BOUND]),
            "max_lifetime_ms": pick.choice([None, None, 45_000]),
        }
        spec = {"verify": {"agent": "judge", "with": {"claim": "=result"}, "timeout_ms": None}, "limits": limits, "team": "lines"}
        return factories.manifest(*nodes, agents=AGENTS, **spec) | {"aliases": {"mind": ALIAS}, "engine_abi": 2}


@dataclass(frozen=True)
class Scenario:
    """One seed, laid out. `strikes`, `failing`, `slow`: the chances that a fault befalls a transaction, that a call fails, that it takes long.

    `happens` comes in the order of its seconds. A lease (`ttl`) may be shorter than a call, so that two workers can have the same one out.
    `latency`: the longest that a use of the database waits for its turn; `beat`: after which part of it a lease is prolonged.
    `committers`: how many threads of each process write, as many as its database has writers.
    """

    seed: int
    manifests: tuple[dict[str, Any], ...]
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
    happens: tuple[tuple[float, str], ...] = field(default=())

    @property
    def faults(self) -> tuple[str, ...]:
        return FAULTS[self.profile]

    def undoes(self, line: int, node: str) -> bool:
        """Whether a pipeline's node says what undoes it."""
        return any(each.get("compensate") is not None for each in _nodes(self.manifests[line]["pipeline"]["spec"]["steps"]) if each["id"] == node)


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
        manifests=tuple(Lines(pick, fresh=False).manifest() for _ in range(runs)),
        inputs=tuple({"n": pick.randint(0, 10), "list": list(range(pick.randint(0, 3)))} for _ in range(runs)),
        workers=2 if profile in ("stalls", "clocks") else pick.choice([1, 2, 2, 3]),
        profile=profile,
        strikes=pick.choice([0.3, 0.9]) if profile == "loop" else pick.choice([0.05, 0.12, 0.25]),
        failing=pick.choice([0.02, 0.1, 0.3]),
        slow=pick.choice([0.1, 0.4, 0.8]),
        ttl=2.0 if profile == "loop" else pick.choice([3.0, 3.0, 6.0]),
        beat=pick.choice([0.33, 0.6]),
        latency=pick.choice([0.05, 0.3, 1.2]),
        lasts=lasts,
        happens=tuple(sorted(_happens(pick, runs, FAULTS[profile], lasts))),
        committers=pick.choice([1, 2]),
    )


def _happens(pick: Random, runs: int, faults: tuple[str, ...], lasts: float) -> list[tuple[float, str]]:
    """Starts first; each is asked for twice now and then. What lies near the start matters most: runs are short."""
    found = [(round(pick.uniform(0, 2), 2), "start") for _ in range(runs)]
    found += [(each + 0.5, "start") for each, _ in found if pick.random() < 0.2]
    average = {**STIMULI, **{fault: 2.0 for fault in faults if fault in AT_TIMES}}
    for name, times in average.items():
        many = sum(pick.random() < times / 2 for _ in range(2 * runs))
        found += [(round(pick.choice([pick.uniform(0, lasts), min(pick.expovariate(0.25), lasts)]), 2), name) for _ in range(many)]
    return found
