"""One writer's turn: who writes, when, and the entries that go into the ledger with the rows.

Every use-case of the registry opens a transaction, makes a Turn in it and ends with `close`. Knows no rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from agents.errors import NotGranted
from agents.spec import Problem
from audit import clock, ledger
from audit.actors import Actor
from audit.canonical import NotCanonical, canonical_bytes
from audit.errors import Invalid
from audit.visible import visible

from .changes import FieldChange, MadeRelease
from .verbs import VERSION_REFUSED

MAX_RECORDED = 50
MAX_REASON = 1_000


@dataclass(slots=True)
class Turn:
    """Collects the entries of one transaction; `now` was read once, after its first statement."""

    actor: Actor
    now: datetime
    drafts: list[ledger.Draft] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    """The teams of which something else is in force by it."""
    put_in_force: set[str] = field(default_factory=set)
    """The policies of which another version is."""
    released: list[MadeRelease] = field(default_factory=list)
    """What pipelines run from then on, also those that are not shown to whoever writes."""
    judged: bool = False
    """Whether somebody has looked who decides that."""

    @property
    def by(self) -> str:
        """Whose it is, as `kind:id`."""
        return f"{self.actor.kind}:{self.actor.id}"

    def take(self, tried: Turn) -> None:
        """What was tried apart has come to stay."""
        self.drafts += tried.drafts
        self.touched |= tried.touched
        self.put_in_force |= tried.put_in_force

    def note(
        self, verb: ledger.Verb, subject: str, *, team: str | None, agent: str | None = None,
        facts: Mapping[str, Any] | None = None, openings: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Add an entry about `subject`."""
        self.drafts.append(
            ledger.Draft(verb.name, self.actor, subject, team=team, agent=agent, facts=dict(facts or {}), openings=dict(openings or {}))
        )

    def note_changes(self, verb: ledger.Verb, subject: str, *, team: str | None, agent: str | None, fields: Iterable[FieldChange]) -> None:
        """Add an entry about fields that moved: their names are facts, their values an opening."""
        moved = {change.path: {"old": change.old, "new": change.new} for change in fields}
        self.note(verb, subject, team=team, agent=agent, facts={"fields": list(moved)}, openings={"changes": moved})

    def close(self) -> None:
        """Write the entries, in the transaction of the rows; none, if nothing changed. Nothing is in force by it that nobody has judged."""
        assert self.judged or not (self.touched or self.put_in_force), "who decides this was not asked"
        if self.drafts:
            ledger.record(self.drafts, now=self.now)
            self.drafts.clear()


def require_credential(actor: Actor, now: datetime | None) -> None:
    """What they ask with is open, and stays so until the transaction ends. NotGranted.

    Before a row of teams, agents or pipelines is locked: whoever takes something from a person, or starts a run with a key of theirs, holds
    the person's row first.
    """
    if actor.by is not None:
        actor.by.require_open(now or clock.now())


def require_member(actor: Actor, team: str, what: str) -> None:
    """NotGranted unless the actor may change what the team owns."""
    require(actor.may_change(team), actor, team, what)


def require(may: bool, actor: Actor, team: str, what: str) -> None:
    """NotGranted unless `may`; says what the actor lacks."""
    if not may:
        raise NotGranted(f"{what} belongs to team '{team}', and {actor.lacks(team)}; ask one of its people to do it", team=team)


def reason_given(text: str, needs: str, because: str) -> str:
    """A reason fit for the ledger: some text, not too much of it. Invalid says what needs one, and why."""
    said = text.strip()
    try:
        canonical_bytes(said)
    except NotCanonical:
        raise Invalid("the reason holds characters that are no text; write it in UTF-8") from None
    if not said or len(said) > MAX_REASON or "\0" in said:
        raise Invalid(f"{needs} of 1 to {MAX_REASON:,} characters: {because}")
    return said


def require_administrator(actor: Actor, why: str) -> None:
    """NotGranted unless it is somebody who administers the installation, or its own shell."""
    if not actor.administers:
        raise NotGranted(f"{why}: ask an administrator, or type the command in the installation's own shell")


def record_refusal(
    actor: Actor, subject: str, *, now: datetime | None, problems: Iterable[Problem | str], facts: Mapping[str, Any],
    verb: ledger.Verb = VERSION_REFUSED,
) -> None:  # fmt: skip
    """A refusal's entry, in a transaction of its own: the refused one has been rolled back."""
    texts = [visible(problem, 500) for problem in problems]
    with transaction.atomic(durable=True):
        ledger.record(
            [
                ledger.Draft(
                    verb.name,
                    actor,
                    subject,
                    facts={**facts, "problems": len(texts)},
                    openings={"problems": texts[:MAX_RECORDED]},
                )
            ],
            now=now or clock.now(),
        )
