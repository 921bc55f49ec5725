"""Random pipelines, random fates of their steps, and a second opinion on which nodes must exist.

A fate depends on seed, place and attempt alone, so that a run with crashes can be held against one without.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from runs.engine import machine
from runs.engine.asides import Asking
from runs.engine.outcomes import Failed, Result, Returned
from runs.engine.states import Cause, StepState
from runs.engine.values import Block, ForEachNode, Node, ParallelNode, Plan, StepNode, SwitchNode, Turn, WaitNode

from . import factories
from .factories import agent, for_each, parallel, plan, stamped, step, switch, verify
from .memory import Play

CAUSES = (Cause.EXCEPTION, Cause.CRASHED, Cause.UPSTREAM, Cause.MISSING, Cause.DENIED, Cause.STALE)
AGENTS = (agent("actor", role="act", mode="at_most_once"), stamped("reader", 25), agent("spare"))


class Pipelines:
    """Makes nested nodes; every choice comes from one Random."""

    def __init__(self, random: Random, *, fresh: bool) -> None:
        self.random, self.fresh, self.used = random, fresh, 0

    def plan(self) -> Plan:
        nodes = self.nodes(3, [])
        verifies = {"agent": "judge", "with": {"claim": "=result"}, "timeout_ms": 12_000}
        return plan(*nodes, agents=AGENTS, verify=verifies, limits={"timeout_ms": self.random.choice([20_000, 600_000])})

    def nodes(self, depth: int, seen: list[str]) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        for _ in range(self.random.randint(1, 3)):
            made.append(self.node(depth, [*seen, *(node["id"] for node in made)]))
        return made

    def node(self, depth: int, seen: list[str]) -> dict[str, Any]:
        kinds = ["step", "step", "verify"] + (["parallel", "for_each", "switch"] * 2 if depth else [])
        self.used += 1
        name, kind = f"n{self.used}", self.random.choice(kinds)
        if kind == "step":
            return self.step(name, seen)
        if kind == "verify":
            return verify(name, timeout_ms=10_000)
        said = {"on_failure": self.random.choice(["stop", "degrade"]), "when": self.random.choice([None, None, None, "true", "false"])}
        most = self.random.choice(["all", "all", "any", 1, 2])
        if kind == "parallel":
            branches = {branch: self.nodes(depth - 1, seen) for branch in "abc"[: self.random.randint(1, 3)]}
            return parallel(name, most, **said, **branches)
        if kind == "switch":
            cases = [(f"input.n > {self.random.randint(0, 9)}", self.nodes(depth - 1, seen)) for _ in range(self.random.randint(1, 2))]
            return switch(name, *cases, **said)
        items = self.random.choice(["=input.list"] * 5 + ["=input.gone"])
        return for_each(name, items, *self.nodes(depth - 1, seen), wide=self.random.randint(1, 3), item=f"i{self.used}", **said, min_success=most)

    def step(self, name: str, seen: list[str]) -> dict[str, Any]:
        pick = self.random
        given = {"x": f"=steps.{pick.choice(seen)}"} if seen and pick.random() < 0.6 else {}
        if pick.random() < 0.06:
            given = {"x": "=input.gone"}
        agents = ["worker", "worker", "other", "actor", "reader" if self.fresh else "spare"]
        return step(
            name,
            pick.choice(agents),
            given=given,
            retry=pick.choice([None, None, {"max": 2, "backoff_ms": 700}]),
            fallback=pick.choice([None, None, "spare"]),
            on_failure=pick.choice(["stop", "degrade"]),
            when=pick.choice([None, None, None, "true", "false"]),
        )


class Fates:
    """What becomes of an attempt, and how long that takes."""

    def __init__(self, seed: int, *, kindly: bool, longest: float) -> None:
        self.seed, self.failing, self.longest = seed, 0.08 if kindly else 0.35, longest

    def of(self, play: Play, key: str, attempt: int) -> tuple[float, Result]:
        random = Random(f"{self.seed}:{key}:{attempt}")
        step = play.step(key)
        lasts = min(random.choice([0.0, 0.001, 0.5, 2.0, 9.999, 10.0, 11.0] if random.random() < 0.5 else [0.2]), self.longest)
        if step.node.judges:
            word = "pass" if random.random() > self.failing / 2 else random.choice(["fail", "inconclusive"])
            return lasts, Returned(key, attempt, factories.verdict(word))
        if random.random() < self.failing:
            safe = random.random() < 0.8
            return lasts, Failed(key, attempt, random.choice(CAUSES), "it broke", retry_safe=safe, chance=random.random())
        if step.agent == "reader":
            seen = (play.now - factories.AT).total_seconds() + lasts - random.choice([0, 5, 20, 24, 26])
            return lasts, Returned(key, attempt, factories.stamp(seen))
        return lasts, Returned(key, attempt, random.choice([None, 0, "text", {"of": key}, [key, attempt]]))


class Journey:
    """Drives a run to its end by its fates; `crash` is the chance that the process dies before an event.

    `longest`: no call takes more seconds. A step has ten, and as many once more after a crash.
    """

    def __init__(self, seed: int, *, fresh: bool = False, kindly: bool = False, crash: float = 0.0, stop: float = 0.0, longest: float = 99.0) -> None:
        self.random, self.crash, self.stop = Random(f"{seed}:{crash}"), crash, stop
        shape = Random(seed)
        compiled = Pipelines(shape, fresh=fresh).plan()
        given = {"n": shape.randint(0, 10), "list": list(range(shape.randint(0, 5)))}
        self.fates, self.due = Fates(seed, kindly=kindly, longest=longest), {}
        self.due: dict[tuple[str, int], tuple[datetime, Result]] = {}
        self.play = Play(compiled, given)

    def moments(self) -> Iterator[Play]:
        """After every move, until the run has finished."""
        yield self.play
        for _ in range(2_000):
            if self.play.outcome is not None:
                return
            self._one()
            yield self.play
        raise AssertionError("the run does not end")

    def to_its_end(self) -> Play:
        for _ in self.moments():
            pass
        return self.play

    def _one(self) -> None:
        play = self.play
        if self.random.random() < self.crash:
            play.crashes()
            return
        if self.random.random() < self.stop:
            play.is_cancelled()
            return
        ready = [(*self._due(key, attempt), key) for key, attempt in play.performing.items()]
        at, outcome, key = min(ready, key=lambda each: (each[0], each[2]), default=(datetime.max.replace(tzinfo=play.now.tzinfo), None, ""))
        wake = machine.wake_at(play.snapshot)
        play.now = max(play.now, min(at, wake))
        if outcome is None or wake <= at:
            play.take(machine.decide(play.snapshot, play.now))
        else:
            play.performing.pop(key)
            play.take(machine.absorb(play.snapshot, outcome, play.now))

    def _due(self, key: str, attempt: int) -> tuple[datetime, Result]:
        """A call that is sent again after a crash answers when it would have."""
        if (key, attempt) not in self.due:
            lasts, outcome = self.fates.of(self.play, key, attempt)
            self.due[key, attempt] = (self.play.now + timedelta(seconds=lasts), outcome)
        return self.due[key, attempt]


DONE, OPEN, FAILED, ABSENT = "done", "open", "failed", "absent"


class Model:
    """A second reading of the rows: which nodes must exist, and whether a part has failed. Shares nothing with the engine's walk."""

    def __init__(self, play: Play, *, lives_on_ms: float | None = None) -> None:
        self.lives_on_ms = lives_on_ms
        self.rows, self.given = {key: row.step.state for key, row in play.rows.steps.items()}, play.rows.run.input
        self.failures = 0
        self.status = self.block(play.rows.plan.root, "")

    def block(self, block: Block, prefix: str) -> str:
        for node in block.nodes:
            status = self.node(node, prefix)
            self.failures += status == FAILED
            if status in (OPEN, ABSENT) or (status == FAILED and not node.degrades):
                return status
        return DONE

    def node(self, node: Node, prefix: str) -> str:
        key = prefix + node.id
        if isinstance(node, WaitNode) and self.can_t_be(node, key):
            return FAILED
        if isinstance(node, Turn):
            if isinstance(node, StepNode) and node.asking is not None and node.asking.of:
                return self.gate(node.asking, prefix)
            states = {StepState.RETURNED: DONE, StepState.SKIPPED: DONE, StepState.FAILED: FAILED}
            return states.get(self.rows[key], OPEN) if key in self.rows else ABSENT
        if node.when == "false":
            return DONE
        match node:
            case ParallelNode(branches=branches, need=need):
                return self.fan([self.block(block, f"{key}/{name}/") for name, block in branches], need, len(branches))
            case ForEachNode():
                return self.loop(node, key)
            case SwitchNode(cases=cases):
                taken = next((at for at, (when, _) in enumerate(cases) if self.given["n"] > int(str(when).split()[-1])), None)
                return DONE if taken is None else self.block(cases[taken][1], f"{key}/{taken}/")
        raise AssertionError(node)

    def can_t_be(self, node: WaitNode, key: str) -> bool:
        """A wait that has no row: without an instant, as a for_each without items, or one that would outlive the run."""
        if node.until == "=input.gone":
            return True
        return key not in self.rows and node.for_ms is not None and self.lives_on_ms is not None and node.for_ms > self.lives_on_ms

    def gate(self, asking: Asking, prefix: str) -> str:
        """People look at what was returned, if its condition holds; what they sent back is made in another round, and that has a gate of its own."""
        if self.rows.get(prefix + asking.of) != StepState.RETURNED:
            return DONE
        if asking.when == "input.n > 5" and self.given["n"] <= 5:
            return DONE
        states = {StepState.RETURNED: DONE, StepState.FAILED: FAILED}
        for number in range(1, asking.rounds + 2):
            name = asking.of if number == 1 else f"{asking.of}.{number}"
            made, asked = self.rows.get(prefix + name), self.rows.get(f"{prefix}{name}.approval")
            if number > 1 and made != StepState.RETURNED:
                return states.get(made, OPEN)
            if asked is None:
                return ABSENT
            if f"{prefix}{asking.of}.{number + 1}" not in self.rows:
                return states.get(asked, OPEN)
        return FAILED

    def loop(self, node: ForEachNode, key: str) -> str:
        if node.items == "=input.gone":
            return FAILED
        count = len(self.given["list"])
        if node.spread is not None:
            return self.spread(key, count)
        need = {"all": count, "any": min(1, count)}.get(str(node.min_success))
        parts = [self.block(node.body, f"{key}/{number}/") for number in range(count)]
        return self.fan(parts, min(int(node.min_success), count) if need is None else need, node.max_concurrency)

    def spread(self, key: str, count: int) -> str:
        """Items that other runs do: each has one. What they gave stands in those runs' rows, so whether it is enough is not said here."""
        if not count:
            return DONE
        shares = [name.removeprefix(f"{key}/").partition("-") for name in self.rows if name.startswith(f"{key}/")]
        done_by = sorted(item for first, _, last in shares for item in range(int(first), int(last) + 1))
        return OPEN if done_by == list(range(count)) else ABSENT

    def fan(self, parts: list[str], need: int, window: int) -> str:
        failed, done = parts.count(FAILED), parts.count(DONE)
        if len(parts) - failed < need:
            return FAILED
        started = min(len(parts), window + failed + done)
        if ABSENT in parts[:started]:
            return ABSENT
        return OPEN if failed + done < len(parts) else DONE
