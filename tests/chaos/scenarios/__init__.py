"""Faults of what stands around a worker, each a function (folder, opened, seed) -> Result. Used by the long form."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.chaos.database import Opened
from tests.chaos.results import Result
from tests.chaos.scenarios.absence import nobody_at_work, queue_emptied
from tests.chaos.scenarios.disk import disk_full
from tests.chaos.scenarios.gone import postgresql_crashes, redis_gone
from tests.chaos.scenarios.hosts import hosts
from tests.chaos.scenarios.storm import storm

SCENARIOS: Final[Mapping[str, Callable[[Path, Opened, int], Result]]] = {
    "storm": storm,
    "postgresql crashes": postgresql_crashes,
    "redis gone": redis_gone,
    "nobody at work": nobody_at_work,
    "queue emptied": queue_emptied,
    "disk full": disk_full,
    "hosts": hosts,
}
