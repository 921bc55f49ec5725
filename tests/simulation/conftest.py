"""One simulation for a process: its schema takes longer to make than a hundred seeds to play."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulation.playing import Simulation, simulating

SEEDS = int(os.environ.get("ORCHESTRA_TEST_SEEDS", "500"))
ON_ANOTHER = os.environ.get("ORCHESTRA_TEST_DATABASE", "sqlite") != "sqlite"
"""The suite's database is another one. The simulation always plays in one of its own, so that a few seeds show that it does not matter."""


@pytest.fixture(scope="module")
def simulation(django_db_blocker: Any) -> Iterator[Simulation]:
    with django_db_blocker.unblock(), simulating() as made:
        yield made
