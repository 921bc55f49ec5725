"""One thing to tell, as values: what is said, who may hear it, and under what an entry about it stands. Knows no row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

Told = Mapping[str, Any]


class NotYet(Exception):
    """It reads as if it had not happened: a run that is to be cancelled has not ended. A later look tells."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell: a title, a sentence, what else is known of it, the path of its page, and the same as data.

    `people` says by name who may hear it now, and is found out only when it is asked; `teams` whose webhooks may.
    """

    event: str
    title: str
    sentence: str
    lines: tuple[tuple[str, str], ...]
    path: str
    advice: str
    data: Told
    teams: frozenset[str]
    people: Callable[[], frozenset[str]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Under what an entry about a message stands."""

    subject: str
    team: str | None = None
    agent: str | None = None
    run: UUID | None = None
