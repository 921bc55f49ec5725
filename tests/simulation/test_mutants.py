"""The invariants notice every way in which the code is broken on purpose. `make simulate MUTANTS=1` looks for each anew."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain, count, islice

import pytest

from runs.engine import machine
from tests.simulation.mutants import MUTANTS, NOTICED_BY
from tests.simulation.mutating import Edit, Mutant, OutOfDate, mutated
from tests.simulation.playing import Played, Simulation
from tests.simulation.scenarios import APPROVALS, GATES, scenario

FURTHER = 60
"""So many other seeds of its kind are asked where the code has changed since, and the recorded one notices nothing any more."""
Plays = Callable[[int], Played]


@pytest.fixture(scope="module")
def unharmed(simulation: Simulation) -> Plays:
    """What a seed says of the code as it is: each is asked once."""
    return cache(simulation.play)


@pytest.mark.parametrize("mutant", [pytest.param(each, id=each.name) for each in MUTANTS])
def test_a_mutant_is_noticed(simulation: Simulation, unharmed: Plays, mutant: Mutant) -> None:
    seeds = chain([NOTICED_BY[mutant.name]], _like(NOTICED_BY[mutant.name]))
    with mutated(mutant):
        noticed = next((seed for seed in seeds if simulation.play(seed).invariant), None)
    assert noticed is not None, (
        f"neither seed {NOTICED_BY[mutant.name]} nor {FURTHER} others notice it any more; `make simulate MUTANTS=1` says which one does"
    )
    assert not unharmed(noticed).invariant, unharmed(noticed).said


def _like(seed: int) -> Iterator[int]:
    """Seeds with the same faults, and with child runs where this one has some."""
    kind = (scenario(seed).profile, scenario(seed).has_children)
    others = (scenario(other) for other in count(max((first for first in (APPROVALS, GATES) if seed >= first), default=0)))
    return islice((each.seed for each in others if (each.profile, each.has_children) == kind), FURTHER)


def test_there_are_many_mutants_of_different_kinds() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 70
    assert NOTICED_BY.keys() == {mutant.name for mutant in MUTANTS}


def test_a_mutant_is_taken_back() -> None:
    before = machine._is_over.__code__
    with mutated(next(mutant for mutant in MUTANTS if mutant.name == "forget a cancel")):
        assert machine._is_over.__code__ is not before
    assert machine._is_over.__code__ is before


def test_an_edit_that_no_longer_fits_its_code_says_so() -> None:
    with pytest.raises(OutOfDate, match="stands 0 times"), mutated(Mutant("old", (Edit("runs.engine.machine", "no such code", ""),))):
        pass
