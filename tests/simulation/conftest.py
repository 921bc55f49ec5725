"""One simulation for a process: its schema takes longer to make than a hundred seeds to play."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulation.playing import Simulation, simulating

SEEDS = int(os.environ.get("ORCHESTRA_TEST_SEEDS", "500"))
# It plays in a database of its own, whatever the suite runs on: so it is left out where the suite runs on another.


@pytest.fixture(scope="module")
def simulation(django_db_blocker: Any) -> Iterator[Simulation]:
    with django_db_blocker.unblock(), simulating() as made:
        yield made
