"""One simulation for a process: its schema takes longer to make than a hundred seeds to play."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.reached import ON_ANOTHER
from tests.simulation.playing import Simulation, simulating

__all__ = ["ON_ANOTHER", "SEEDS"]
SEEDS = int(os.environ.get("ORCHESTRA_TEST_SEEDS", "500"))
# Where the suite's database is another one the simulation plays in one of its own all the same, so that a few seeds show that it does not matter.


@pytest.fixture(scope="module")
def simulation(django_db_blocker: Any) -> Iterator[Simulation]:
    with django_db_blocker.unblock(), simulating() as made:
        yield made
