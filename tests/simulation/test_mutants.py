"""The invariants notice every way in which the code is broken on purpose. `make simulate MUTANTS=1` looks for each anew."""

import pytest

from runs.engine import machine
from tests.simulation.mutants import MUTANTS, NOTICED_BY, Edit, Mutant, OutOfDate, mutated
from tests.simulation.playing import Simulation


@pytest.mark.parametrize("mutant", [pytest.param(each, id=each.name) for each in MUTANTS if each.name in NOTICED_BY])
def test_a_mutant_is_noticed(simulation: Simulation, mutant: Mutant) -> None:
    seed = NOTICED_BY[mutant.name]
    with mutated(mutant):
        played = simulation.play(seed)
    assert played.invariant, f"seed {seed} doesn't notice it any more; `make simulate MUTANTS=1` says which one does"
    unharmed = simulation.play(seed)
    assert not unharmed.invariant, unharmed.said


def test_there_are_many_mutants_of_different_kinds() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert NOTICED_BY.keys() <= {mutant.name for mutant in MUTANTS}
    assert len(NOTICED_BY) >= 30


def test_a_mutant_is_taken_back() -> None:
    before = machine._is_over.__code__
    with mutated(next(mutant for mutant in MUTANTS if mutant.name == "forget a cancel")):
        assert machine._is_over.__code__ is not before
    assert machine._is_over.__code__ is before


def test_an_edit_that_no_longer_fits_its_code_says_so() -> None:
    with pytest.raises(OutOfDate, match="stands 0 times"), mutated(Mutant("old", (Edit("runs.engine.machine", "no such code", ""),))):
        pass
