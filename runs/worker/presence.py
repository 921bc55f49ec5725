"""A process's own row: that it is there, what it has in hand, what it has counted. How others see it; nothing depends on it.

Synchronous: called in a committer thread, or by the supervisor's clerk for the queue's cluster. Knows no run.
"""

import os
import socket
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from audit import clock
from runs.engine.states import SUPPORTED_ABIS
from runs.models import Engine, Kind

BATCHES = (1, 2, 4, 8, 16, 32, 64)
"""Upper bounds of the sizes that are told apart; a committer groups no more than the last."""


def announce(process: UUID, *, kind: Kind = Kind.ENGINE, serves_all: bool = True, pid: int | None = None) -> None:
    """It is there, as of now. Its row may be there already: a chore that calls an engine makes it first."""
    now = clock.now()
    row = {"kind": kind, "host": socket.gethostname()[:200], "pid": pid or os.getpid(), "serves_all": serves_all, "beat_at": now}
    row |= {"abis": sorted(SUPPORTED_ABIS)}
    Engine.objects.update_or_create(id=process, defaults=row, create_defaults={**row, "started_at": now})


def beat(engine: UUID, *, driving: int, swept_at: datetime | None, counts: Mapping[str, Any]) -> None:
    Engine.objects.filter(id=engine).update(beat_at=clock.now(), driving=driving, swept_at=swept_at, counts=counts)


def leave(process: UUID) -> None:
    Engine.objects.filter(id=process, stopped_at__isnull=True).update(stopped_at=clock.now(), driving=0)


def counts(runs: int, batches: Counter[int]) -> dict[str, Any]:
    """Runs taken; commits by how many transitions each held, with the sum: a histogram for whoever asks."""
    bounds = zip((0, *BATCHES[:-1]), BATCHES, strict=True)
    sizes = {str(most): sum(number for size, number in batches.items() if least < size <= most) for least, most in bounds}
    return {"runs": runs, "transitions": sum(size * number for size, number in batches.items()), "batches": sizes}
