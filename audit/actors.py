"""Who acts, as a value: a person or the system, how they were authenticated, what they may see.

Doors build one and pass it down; nothing here reads a request, a session or a table.
Used by every use-case and by every `visible_to(actor)`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

SEE_EVERYTHING = "see-everything"
CHANGE_EVERYTHING = "change-everything"
MANAGE_PEOPLE = "manage-people"


class Credential(Protocol):
    """What a person asks with, so that a deed can look at it once more in its own transaction."""

    def require_open(self, now: datetime) -> None:
        """NotGranted where it has ended since the request came; until the transaction ends nobody else can end it."""


@dataclass(frozen=True, slots=True)
class Actor:
    """`kind` is person or system; `auth` says how we know: shell, session, token, worker or test.

    `teams` are those that a person belongs to, and may act for; `reads` those that are only shown to them.
    """

    kind: str
    id: str
    auth: str
    teams: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    on_behalf_of: str | None = None
    by: Credential | None = field(default=None, compare=False, repr=False)
    """None for the system; of a person whatever let the request in."""

    @classmethod
    def system(cls, auth: str = "shell") -> Actor:
        """The installation itself: a worker, a sweep, or a shell without a person's credential."""
        return cls(kind="system", id="system", auth=auth)

    @classmethod
    def nobody(cls) -> Actor:
        """Whoever has shown no credential: sees nothing, may do nothing."""
        return cls(kind="person", id="nobody", auth="none")

    @property
    def sees_everything(self) -> bool:
        return self.kind == "system" or SEE_EVERYTHING in self.permissions

    @property
    def sees(self) -> frozenset[str]:
        """The teams whose things this actor may look at, unless it sees everything anyway."""
        return self.teams | self.reads

    def may_change(self, team: str) -> bool:
        """The system, a team's own people, and whoever administers the installation; to see everything is not to change everything."""
        return self.administers or team in self.teams

    @property
    def administers(self) -> bool:
        """The system, and whoever administers the installation."""
        return self.kind == "system" or CHANGE_EVERYTHING in self.permissions

    @property
    def may_manage_people(self) -> bool:
        return self.kind == "system" or MANAGE_PEOPLE in self.permissions

    def as_record(self) -> dict[str, str]:
        """The part of an actor that stands in a ledger entry."""
        return {"kind": self.kind, "id": self.id, "auth": self.auth}
