"""What runs read as, for many at once: effective state and integrity in a few statements, never the raw columns.

Used by the lists here and by the site's pages that show runs beside agents and pipelines.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from runs.models import Effective, Integrity, Run
from runs.models.run import integrity_of


@dataclass(frozen=True, slots=True)
class Listed:
    """A run with what it reads as; `word` is what filters and colours go by, `label` what a person reads."""

    run: Run
    word: str
    label: str
    cause: str
    owner: str

    @property
    def more(self) -> str:
        """What the label says beyond the word: `as of …`."""
        return self.label.removeprefix(self.word).strip().replace("T", " ").replace("Z", "") if self.label != self.word else ""

    @property
    def seconds(self) -> float | None:
        began, ended = self.run.started_at, self.run.finished_at
        return None if began is None or ended is None else (ended - began).total_seconds()


def listed(runs: Iterable[Run], now: datetime) -> Sequence[Listed]:
    """In the order given; three statements however many there are."""
    rows = list(runs)
    found = integrity_of(rows)
    return [_listed(run, run.effective(now, found[run.id])) for run in rows]


def _listed(run: Run, effective: Effective) -> Listed:
    cause = "deadline" if effective.overdue else run.failure_cause  # no worker has written that yet, nor whose it is
    return Listed(run, word_of(effective), effective.label, cause, run.failure_owner)


def word_of(effective: Effective) -> str:
    """Broken before the outcome, the state while there is none."""
    if effective.integrity is Integrity.BROKEN:
        return "broken"
    return str(effective.outcome or effective.state)
