"""Whatever befalls engines, processes, clocks and transactions, the invariants hold. `make simulate` plays many more seeds."""

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from audit import canonical
from runs.engine.asides import POLICY
from tests.simulation.conftest import SEEDS
from tests.simulation.invariants import Watch
from tests.simulation.playing import Simulation
from tests.simulation.scenarios import APPROVALS, FAULTS, GATES, scenario

ROOT = Path(__file__).resolve().parent.parent.parent
GROUPS = 10
ASKING = 40  # seeds; the fourteenth is the first whose question is withdrawn
GATED = 16  # seeds whose pipelines ask people on the way


@pytest.mark.parametrize("group", range(GROUPS))
def test_every_invariant_holds_whatever_befalls(simulation: Simulation, group: int) -> None:
    for seed in range(group, SEEDS, GROUPS):
        played = simulation.play(seed)
        assert not played.invariant, played.said


def test_what_needs_peoples_yes_is_sent_only_with_it_whatever_befalls(simulation: Simulation) -> None:
    """And they say yes and no, and nothing at all, often enough for that to be told."""
    said: Counter[str] = Counter()
    for seed in range(APPROVALS, APPROVALS + ASKING):
        played = simulation.play(seed)
        assert not played.invariant, played.said
        assert simulation.world is not None
        watch = simulation.world.watch
        said.update(wait["state"] for wait in watch.waits.values() if wait["kind"] == "approval")
        said["sent"] += sum(call["approval_id"] is not None for call in watch.calls.values())
    assert all(said[each] for each in ("answered", "expired", "cancelled", "sent")), said


def test_what_people_are_asked_on_the_way_goes_on_only_with_their_yes(simulation: Simulation) -> None:
    """And they send results back, often enough for that to be told."""
    said: Counter[str] = Counter()
    for seed in range(GATES, GATES + GATED):
        played = simulation.play(seed)
        assert not played.invariant, played.said
        assert simulation.world is not None
        said.update(step["state"] for step in simulation.world.watch.steps.values() if step["agent"].startswith(POLICY))
        said["again"] += sum(key.endswith(".2") for _, key in simulation.world.watch.steps)
    assert all(said[each] for each in ("returned", "failed", "cancelled", "again")), said


# Decided past the deadline, and written when the clock had gone back before it; a child's end that gave its parent part of a millisecond.
# A call that was confirmed before it was sent once more; acts that failed as what they asked for was refused; a clock that goes back behind an end.
# What a worker was still writing of a run that it drove no more, as time was let pass; that a call never went out, said after another had sent it.
# What a commit without an answer had opened, in nobody's hands once something else was written; a function that answered what its own call met.
RACES = (315_490, 316_029)  # between a cancel and the end of a wait
ONCE_BROKE = (102_561, 106_316, 203_256, 204_356, 209_124, 212_173, 212_436, 214_944, 215_953, 228_465, 237_514, 239_317, 313_122, 314_648, *RACES)


@pytest.mark.parametrize("seed", ONCE_BROKE)
def test_what_once_broke_one_holds(simulation: Simulation, seed: int) -> None:
    played = simulation.play(seed)
    assert not played.invariant, played.said


def test_the_seeds_bring_every_profile_of_faults_with_and_without_child_runs() -> None:
    assert {(scenario(seed).profile, scenario(seed).has_children) for seed in range(150)} == {(each, has) for each in FAULTS for has in (True, False)}


def test_some_seeds_share_the_items_of_a_loop_among_child_runs_with_every_kind_of_fault() -> None:
    assert {scenario(seed).profile for seed in range(300) if scenario(seed).spreads} == set(FAULTS)


def test_a_seed_is_played_the_same_way_again(simulation: Simulation) -> None:
    for seed in range(8):
        assert simulation.play(seed) == simulation.play(seed)


def test_a_look_up_says_what_its_last_attempt_has_found() -> None:
    """Its first may have found something else, and nobody has used that."""
    found = [{"found": True, "result": {"of": "first"}}, {"found": True, "result": {"of": "second"}}]
    asked = [SimpleNamespace(run=UUID(int=1), step="look:1:n1", attempt=attempt) for attempt in (1, 2)]
    sent = [SimpleNamespace(request=request, answer=SimpleNamespace(value=value)) for request, value in zip(asked, found, strict=True)]
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE runs_step (run_id, key, state, attempt, result_digest)")
    connection.execute("INSERT INTO runs_step VALUES (?, 'look:1:n1', 'returned', 2, ?)", (UUID(int=1).hex, canonical.digest(found[1])))
    world: Any = SimpleNamespace(database=SimpleNamespace(connection=connection), outside=SimpleNamespace(sent=sent))
    step = {"run_id": UUID(int=1).hex, "key": "n1", "attempt": 1}
    assert Watch(world)._looked_up(step) == canonical.digest({"of": "second"})


def trace_of(seed: int, **changed: str) -> str:
    program = [sys.executable, "-m", "tests.simulation", "--first", str(seed), "--seeds", "4", "--traces"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORCHESTRA_", "PYTEST_"))}
    done = subprocess.run(program, cwd=ROOT, env=environment | changed, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.rpartition("\n{")[0]


def test_another_process_plays_a_seed_the_same_way_whatever_its_environment() -> None:
    """The database and the Redis that are named aren't there: nobody asks them."""
    first = trace_of(0, PYTHONHASHSEED="1")
    assert "run.finished" in first
    assert {scenario(seed).committers for seed in range(4)} == {1, 2}
    nowhere = {"ORCHESTRA_DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing", "ORCHESTRA_REDIS_URL": "redis://127.0.0.1:1/0"}
    assert first == trace_of(0, PYTHONHASHSEED="2", ORCHESTRA_TEST_DATABASE="postgresql", ORCHESTRA_TEST_QUEUE="redis", **nowhere)


def test_a_seed_without_faults_loses_nothing_and_sends_nothing_again(simulation: Simulation) -> None:
    calm = [seed for seed in range(60) if scenario(seed).profile == "calm"]
    assert calm
    for seed in calm:
        played = simulation.play(seed)
        assert not played.invariant, played.said
        assert simulation.world is not None
        assert not [outcome for outcome in played.outcomes if outcome.endswith(("lost", "tampered", "diverged"))]
