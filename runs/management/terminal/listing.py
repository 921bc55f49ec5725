"""Recent runs as rows of a list. What a run reads as, and which runs are wanted, is runs.services.listing's; called by the command `runs`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from audit import clock
from audit.actors import Actor
from runs import services
from runs.models import Run, RunState
from runs.services import OUTCOMES, Wanted

WORDS: Final = (*OUTCOMES, str(RunState.QUEUED), str(RunState.RUNNING), str(RunState.WAITING))
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
    cause: str
    owner: str
    team: str


def recent(*, actor: Actor, pipeline: str | None, word: str | None, limit: int, cause: str | None = None, children: bool = False) -> list[Listed]:
    """The newest runs, at most `limit`."""
    now = clock.now()
    said = {"outcome": word} if word in OUTCOMES else {"state": word}
    wanted = Wanted(pipeline=pipeline, cause=cause, children=children, **said)
    found = (_row(listed, now) for page in _pages(wanted, actor, now) for listed in services.read_as(page, wanted, now=now))
    return list(islice((row for row in found if word in (None, row.word)), limit))


def _pages(wanted: Wanted, actor: Actor, now: datetime) -> Iterator[Sequence[Run]]:
    page: Sequence[Run] = ()
    while page := services.newest_runs(wanted, actor=actor, now=now, most=PAGE, before=page[-1] if page else None):
        yield page


def _row(listed: services.Listed, now: datetime) -> Listed:
    run = listed.run
    ended = run.finished_at or (min(now, run.deadline_at) if run.started_at else None)
    seconds = (ended - run.started_at).total_seconds() if ended is not None and run.started_at is not None else None
    word = listed.outcome or str(listed.effective.state)
    failed = (listed.cause, listed.owner, listed.team)
    return Listed(str(run.id), run.pipeline.name, word, listed.effective.label, run.draft, run.created_at, run.started_at, seconds, *failed)


def as_record(listed: Listed) -> dict[str, Any]:
    return {
        "id": listed.id,
        "pipeline": listed.pipeline,
        "outcome": listed.word,
        "label": listed.label,
        "failure_cause": listed.cause or None,
        "failure_owner": listed.owner or None,
        "failure_team": listed.team or None,
        "draft": listed.draft,
        "created_at": clock.to_text(listed.created_at),
        "started_at": None if listed.started_at is None else clock.to_text(listed.started_at),
        "seconds": None if listed.seconds is None else f"{listed.seconds:.3f}",
    }
