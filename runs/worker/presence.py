"""An engine's own row: that it is there, what it has in hand, what it has counted. How others see it; nothing depends on it.

Synchronous: called in a committer thread. Knows no run.
"""

import os
import socket
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from audit import clock
from runs.models import Engine

BATCHES = (1, 2, 4, 8, 16, 32, 64)
"""Upper bounds of the sizes that are told apart; a committer groups no more than the last."""


def announce(engine: UUID, *, serves_all: bool) -> None:
    """There already where a chore has called this engine."""
    now = clock.now()
    row = {"host": socket.gethostname()[:200], "pid": os.getpid(), "serves_all": serves_all, "started_at": now, "beat_at": now}
    Engine.objects.update_or_create(id=engine, defaults=row)


def beat(engine: UUID, *, driving: int, swept_at: datetime | None, counts: Mapping[str, Any]) -> None:
    Engine.objects.filter(id=engine).update(beat_at=clock.now(), driving=driving, swept_at=swept_at, counts=counts)


def leave(engine: UUID) -> None:
    Engine.objects.filter(id=engine).update(stopped_at=clock.now(), driving=0)


def counts(runs: int, batches: Counter[int]) -> dict[str, Any]:
    """Runs taken; commits by how many transitions each held, with the sum: a histogram for whoever asks."""
    bounds = zip((0, *BATCHES[:-1]), BATCHES, strict=True)
    sizes = {str(most): sum(number for size, number in batches.items() if least < size <= most) for least, most in bounds}
    return {"runs": runs, "transitions": sum(size * number for size, number in batches.items()), "batches": sizes}
