"""Who acts, as a value: a person or the system, how they were authenticated, what they may see.

Doors build one and pass it down; nothing here reads a request, a session or a table.
Used by every use-case and by every `visible_to(actor)`.
"""

from __future__ import annotations

from dataclasses import dataclass

SEE_EVERYTHING = "see-everything"


@dataclass(frozen=True, slots=True)
class Actor:
    """`kind` is person or system; `auth` says how we know: shell, session, token, worker or test."""

    kind: str
    id: str
    auth: str
    teams: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    on_behalf_of: str | None = None

    @classmethod
    def system(cls, auth: str = "shell") -> Actor:
        """The installation itself: a worker, a sweep, or a shell without a person's credential."""
        return cls(kind="system", id="system", auth=auth)

    @property
    def sees_everything(self) -> bool:
        return self.kind == "system" or SEE_EVERYTHING in self.permissions

    def as_record(self) -> dict[str, str]:
        """The part of an actor that stands in a ledger entry."""
        return {"kind": self.kind, "id": self.id, "auth": self.auth}
