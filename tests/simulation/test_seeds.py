"""Whatever befalls engines, processes, clocks and transactions, the invariants hold. `make simulate` plays many more seeds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.conftest import SEEDS
from tests.simulation.playing import Simulation
from tests.simulation.scenarios import FAULTS, scenario

ROOT = Path(__file__).resolve().parent.parent.parent
GROUPS = 10


@pytest.mark.parametrize("group", range(GROUPS))
def test_every_invariant_holds_whatever_befalls(simulation: Simulation, group: int) -> None:
    for seed in range(group, SEEDS, GROUPS):
        played = simulation.play(seed)
        assert not played.invariant, played.said


@pytest.mark.parametrize("seed", [198, 215])
def test_a_run_that_was_parked_by_a_commit_without_an_answer_stays_parked(simulation: Simulation, seed: int) -> None:
    played = simulation.play(seed)
    assert not played.invariant, played.said


def test_the_seeds_bring_every_profile_of_faults() -> None:
    assert {scenario(seed).profile for seed in range(100)} == set(FAULTS)


def test_a_seed_is_played_the_same_way_again(simulation: Simulation) -> None:
    for seed in range(8):
        assert simulation.play(seed) == simulation.play(seed)


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
