"""Recent runs as rows: each by what it reads as now, never by its raw columns.

Filters after the integrity check, so that a broken run is in no list of verified ones. Called by the command `runs`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from audit import clock
from audit.actors import Actor
from runs import services
from runs.models import Integrity, Outcome, Run, RunQuerySet, RunState
from runs.models.run import integrity_of

BROKEN: Final = str(Integrity.BROKEN)
WORDS: Final = (*(str(outcome) for outcome in Outcome), BROKEN, str(RunState.QUEUED), str(RunState.RUNNING))
PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Listed:
    id: str
    pipeline: str
    word: str
    label: str
    draft: bool
    created_at: datetime
    started_at: datetime | None
    seconds: float | None


def recent(*, actor: Actor, pipeline: str | None, word: str | None, limit: int) -> list[Listed]:
    """The newest runs, at most `limit`."""
    runs = services.runs_visible_to(actor).order_by("-created_at", "-id")
    if pipeline is not None:
        runs = runs.filter(pipeline__name=pipeline)
    now = clock.now()
    found = (listed for page in _pages(_narrowed(runs, word, now)) for listed in _listed(page, now) if word in (None, listed.word))
    return list(islice(found, limit))


def _narrowed(runs: RunQuerySet, word: str | None, now: datetime) -> RunQuerySet:
    """What the database can tell already."""
    if word in (RunState.QUEUED, RunState.RUNNING):
        return runs.filter(state=word)
    if word is None or word == BROKEN:
        return runs
    return runs.ended_as(Outcome(word), now)


def _pages(runs: RunQuerySet) -> Iterator[Sequence[Run]]:
    at = 0
    while page := list(runs[at : at + PAGE]):
        yield page
        at += PAGE


def _listed(page: Sequence[Run], now: datetime) -> Iterator[Listed]:
    found = integrity_of(page)
    for run in page:
        said = run.effective(now, found[run.id])
        word = BROKEN if said.integrity is Integrity.BROKEN else str(said.outcome or said.state)
        ended = run.finished_at or (min(now, run.deadline_at) if run.started_at else None)
        seconds = (ended - run.started_at).total_seconds() if ended is not None and run.started_at is not None else None
        yield Listed(str(run.id), run.pipeline.name, word, said.label, run.draft, run.created_at, run.started_at, seconds)


def as_record(listed: Listed) -> dict[str, Any]:
    return {
        "id": listed.id,
        "pipeline": listed.pipeline,
        "outcome": listed.word,
        "label": listed.label,
        "draft": listed.draft,
        "created_at": clock.to_text(listed.created_at),
        "started_at": None if listed.started_at is None else clock.to_text(listed.started_at),
        "seconds": None if listed.seconds is None else f"{listed.seconds:.3f}",
    }
