"""A loop that spreads: which items each of its child runs does, what that run is told, and what the loop makes of its end.

Pure. The walk opens them, `waiting` ends them, the store hands a child run what is read here; knows nothing of rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

from agents import contracts
from runs.engine.commands import Fact
from runs.engine.families import Child, Share, ShareNode, Start
from runs.engine.limits import start_of
from runs.engine.patterns.fan import needed
from runs.engine.patterns.scope import STEPS, named
from runs.engine.states import Verb
from runs.engine.values import BestBefore, BlockFrame, Failure, ForEachNode, Held, Plan, RunView, Step, instant_text

_ANYTHING: Final = contracts.compiled({})


@dataclass(frozen=True, slots=True)
class Told:
    """A child run to be: its node, its input, and its part of all items that no run has been started for yet."""

    node: ShareNode
    given: Mapping[str, Any]
    part: Fraction


def shares(count: int, runs: int) -> list[range]:
    """The items in a row, in as many parts as there are runs, of which the first ones have one more where it doesn't come out even."""
    runs = min(runs, count)
    bounds = [count * at // runs for at in range(runs + 1)] if runs else []
    return [range(first, after) for first, after in pairwise(bounds)]


def told(loop: ForEachNode, items: Sequence[Any], source: Held, chain: Sequence[BlockFrame], run: RunView) -> list[Told]:
    """Each child run of a loop with what it is given: its items, and of the names around what the body uses, each as old as it is."""
    assert loop.spread is not None
    around = _around(loop.spread.needs, chain, run)
    count, lacking = len(items), len(items) - needed(loop.min_success, len(items))
    parts = shares(count, loop.spread.runs)
    found = []
    for at, part in enumerate(parts):
        given = {
            "first": part.start,
            "of": count,
            "need": max(len(part) - lacking, 0),
            "at_once": max(loop.max_concurrency * (at + 1) // len(parts) - loop.max_concurrency * at // len(parts), 1),
            "items": [items[item] for item in part],
            "source": _record(replace(source, value=None)),
            **around,
        }
        found.append(Told(node_of(loop, part), given, Fraction(len(part), count - part.start)))
    return found


def _around(needs: Iterable[str], chain: Sequence[BlockFrame], run: RunView) -> dict[str, Any]:
    held = {name: found for name in sorted(needs) if (found := named(chain, name)) is not None}
    steps = {name.removeprefix(STEPS): _record(value) for name, value in held.items() if name.startswith(STEPS)}
    names = {name: _record(value) for name, value in held.items() if not name.startswith(STEPS)}
    return {"input": dict(run.input) if "input" in needs else {}, "steps": steps, "names": names}


def _record(held: Held) -> dict[str, Any]:
    fresh = held.best_before
    said = {"value": held.value, "as_of": instant_text(held.as_of)}
    return said if fresh is None else said | {"best_before": instant_text(fresh.at), "best_before_step": fresh.step}


def read(given: Mapping[str, Any]) -> tuple[Mapping[str, Any], dict[str, Held], Share]:
    """The same on the other side: the input and the results of steps that the loop's body sees, and the run's share of the items."""
    share = Share(
        first=given["first"],
        need=given["need"],
        at_once=given["at_once"],
        items=tuple(given["items"]),
        source=_held(given["source"]),
        names={name: _held(record) for name, record in given["names"].items()},
    )
    return given["input"], {name: _held(record) for name, record in given["steps"].items()}, share


def _held(record: Mapping[str, Any]) -> Held:
    as_of = contracts.observed_at(record, "as_of") if record["as_of"] else None
    until = contracts.observed_at(record, "best_before") if record.get("best_before") else None
    return Held(record["value"], as_of, None if until is None else BestBefore(until, record["best_before_step"]))


def node_of(loop: ForEachNode, part: range) -> ShareNode:
    assert loop.spread is not None
    return ShareNode(f"{part.start}-{part.stop - 1}", loop, loop.spread.timeout_ms)


def part_of(step: Step) -> range:
    """Which items a step does."""
    first, _, last = step.node.id.partition("-")
    return range(int(first), int(last) + 1)


def node_at(loop: ForEachNode, name: str) -> ShareNode | None:
    """The node of a step's key; None where its name is no part of a loop."""
    first, _, last = name.partition("-")
    if loop.spread is None or not (first.isdecimal() and last.isdecimal()):
        return None
    return node_of(loop, range(int(first), int(last) + 1))


def start(step: Step, one: Told, run: RunView, plan: Plan) -> Start:
    """The same release once more. What is left of a limit is shared by the number of items."""
    itself = Child(plan.pipeline, plan.release, _ANYTHING, plan.timeout_ms, plan.max_lifetime_ms or plan.timeout_ms)
    return start_of(itself, step.node.timeout_ms, run, step.started_at, part=one.part)


def started_fact(step: Step, plan: Plan, of: int) -> Fact:
    part = part_of(step)
    facts = {
        "step": step.key,
        "attempt": step.attempt,
        "deadline_at": instant_text(step.deadline_at),
        "pipeline": plan.pipeline,
        "release": plan.release,
        "items": [part.start, part.stop - 1],
        "of": of,
    }
    return Fact(Verb.STEP_STARTED, f"step:{step.key}", None, facts)


# --- what the loop makes of an end -----------------------------------------------------------------------------------


def loop_of(step: Step) -> str:
    """The key of the loop that a share's step belongs to."""
    return step.key.rpartition("/")[0]


def ended(step: Step, held: Held) -> tuple[list[Held | None], list[tuple[int, Failure]], list[Failure]]:
    """Of a share that has been done: what its items gave, in order and each as old as the oldest behind them; those that failed, by their
    numbers; and what the others go without."""
    first, failed = part_of(step).start, set(held.value["failed"])
    values = [None if first + at in failed else replace(held, value=value) for at, value in enumerate(held.value["values"])]
    failures, lacking = {}, []
    for part in () if step.lacks is None else step.lacks.branches:
        number = _number(step, part)
        if number in failed:
            failures[number] = part
        else:
            lacking.append(part)
    return values, sorted(failures.items()), lacking


def lost(step: Step, failed: Failure) -> tuple[list[Held | None], list[tuple[int, Failure]]]:
    """A child run that came to nothing: none of its items gave anything."""
    part = part_of(step)
    return [None] * len(part), [(number, failed) for number in part]


def _number(step: Step, part: Failure) -> int:
    return int((part.step or "").removeprefix(f"{loop_of(step)}/").partition("/")[0])


def placed(step: Step, part: Failure, run: str) -> Failure:
    """A failure of the child run, at the place in this run that it would have had without it."""
    around = loop_of(step).rpartition("/")[0]
    where = f"{around}/{part.step}" if around and part.step else part.step
    return replace(part, step=where, details={**part.details, "run": run}, branches=tuple(placed(step, branch, run) for branch in part.branches))
