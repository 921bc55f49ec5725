"""The invariants notice every way in which the code is broken on purpose. `make simulate MUTANTS=1` looks for each anew."""

import pytest

from runs.engine import machine
from tests.simulation.mutants import MUTANTS, Edit, Mutant, OutOfDate, mutated
from tests.simulation.playing import Simulation


@pytest.mark.parametrize("mutant", [pytest.param(each, id=each.name) for each in MUTANTS])
def test_a_mutant_is_noticed(simulation: Simulation, mutant: Mutant) -> None:
    with mutated(mutant):
        played = simulation.play(mutant.seed)
    assert played.invariant, f"seed {mutant.seed} doesn't notice it any more; `make simulate MUTANTS=1` says which one does"
    unharmed = simulation.play(mutant.seed)
    assert not unharmed.invariant, unharmed.said


def test_there_are_many_mutants_of_different_kinds() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20


def test_a_mutant_is_taken_back() -> None:
    before = machine.decide.__code__
    with mutated(next(mutant for mutant in MUTANTS if mutant.name == "forget a cancel")):
        assert machine.decide.__code__ is not before
    assert machine.decide.__code__ is before


def test_an_edit_that_no_longer_fits_its_code_says_so() -> None:
    with pytest.raises(OutOfDate, match="stands 0 times"), mutated(Mutant("old", (Edit("runs.engine.machine", "no such code", ""),))):
        pass
