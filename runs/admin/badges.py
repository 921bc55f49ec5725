"""What runs read as, for many at once: effective state and integrity in a few statements, never the raw columns.

Used by the lists here and by the site's pages that show runs beside agents and pipelines.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from audit import reports
from runs import services
from runs.models import Effective, Integrity, Run, Step
from runs.models.run import HELD_AGAINST_THE_LEDGER, integrity_of

LISTED: Final = (*HELD_AGAINST_THE_LEDGER, "created_at", "deadline_at", "wake_at")
"""The columns of a run that `listed` reads, for whoever asks for many."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A run with what it reads as; `word` is what filters and colours go by, `label` what a person reads.

    `why` says of a rejected one which criterion fails and what it blames, where that was asked for (`with_reasons`); the label of a waiting one
    what it waits for, where that is more than a time and was asked for (`with_waits`).
    """

    run: Run
    reads: Effective
    cause: str
    owner: str
    why: str = ""

    @property
    def word(self) -> str:
        return word_of(self.reads)

    @property
    def label(self) -> str:
        return self.reads.label

    @property
    def more(self) -> str:
        """What the label says beyond the word: `as of …`, or what is waited for."""
        if self.label == self.word:
            return ""
        return self.reads.awaits or self.label.removeprefix(self.word).strip().replace("T", " ").replace("Z", " UTC")

    @property
    def seconds(self) -> float | None:
        began, ended = self.run.started_at, self.run.finished_at
        return None if began is None or ended is None else (ended - began).total_seconds()


def listed(runs: Iterable[Run], now: datetime) -> Sequence[Listed]:
    """In the order given; three statements however many there are, and a fourth where some have waited in vain."""
    rows = list(runs)
    found = integrity_of(rows)
    said = [(run, run.effective(now, found[run.id])) for run in rows]
    causes = services.causes(said)
    return [Listed(run, reads, causes[run.id], run.failure_owner if causes[run.id] else "") for run, reads in said]


def with_reasons(rows: Sequence[Listed]) -> Sequence[Listed]:
    """The same, the rejected ones with the reason; two statements more where there are any. Their verdicts are read: for one page, not for all."""
    rejected = [one.run.id for one in rows if one.word == "rejected"]
    if not rejected:
        return rows
    judged = Step.objects.filter(run__in=rejected, judges=True, result_entry__isnull=False)
    places: dict[UUID, Any] = dict(judged.values_list("run_id", "result_entry"))  # the last one of each run, as its page says
    verdicts = reports.openings_of(places.values())
    said = {run: _reason(verdicts[entry].get("result")) for run, entry in places.items()}
    return [replace(one, why=said.get(one.run.id, "")) for one in rows]


def with_waits(rows: Sequence[Listed]) -> Sequence[Listed]:
    """The same, those that wait for more than a time with what for; one statement more where there are any that wait."""
    read = services.with_waits([(one.run, one.reads) for one in rows])
    return [one if reads is one.reads else replace(one, reads=reads) for one, (_, reads) in zip(rows, read, strict=True)]


def _reason(verdict: Any) -> str:
    """`numbers-match, blames write (and 2 more)`; empty where the verdict was erased."""
    failed = [check for check in (verdict or {}).get("checks", ()) if check["verdict"] == "fail"]
    if not failed:
        return ""
    blames = f", blames {failed[0]['blames']}" if failed[0].get("blames") else ""
    return f"{failed[0]['criterion']}{blames}" + (f" (and {len(failed) - 1} more)" if len(failed) > 1 else "")


def word_of(effective: Effective) -> str:
    """Broken before the outcome, the state while there is none."""
    if effective.integrity is Integrity.BROKEN:
        return "broken"
    return str(effective.outcome or effective.state)
