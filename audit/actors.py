"""Who acts, as a value: a person, the system or an agent with a key of its own, how they were authenticated, what they may see.

Doors build one and pass it down; nothing here reads a request, a session or a table.
Used by every use-case and by every `visible_to(actor)`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

SEE_EVERYTHING = "see-everything"
CHANGE_EVERYTHING = "change-everything"
MANAGE_PEOPLE = "manage-people"
STOP_EVERYTHING = "stop-everything"
START_RUNS = "start-runs"
OPERATE_RUNS = "operate-runs"
CHANGE_THINGS = "change-things"
ACTS = frozenset({START_RUNS, OPERATE_RUNS, CHANGE_THINGS})
"""What a member does for a team, unless roles say less."""

AGENT: Final = "agent"
"""The kind of an actor that is an agent, by a key of its own."""
READ: Final = "read"
CAN: Final = "can"
START: Final = "start"
"""What a key may open. `start` is never there by itself: `start:PIPELINE`, or `start:*` for all of the agent's team."""


class Credential(Protocol):
    """What a person asks with, so that a deed can look at it once more in its own transaction."""

    def require_open(self, now: datetime) -> None:
        """NotGranted where it has ended since the request came; until the transaction ends nobody else can end it."""


class ScopedCredential(Credential, Protocol):
    """The key of an agent."""

    def require_scope(self, opened_by: Collection[str], what: str) -> None:
        """OutOfScope, with its entry, where the key has none of the scopes that open this; no scopes at all open nothing."""


@dataclass(frozen=True, slots=True)
class Actor:
    """`kind` is person, system or agent; `auth` says how we know: shell, session, token, worker or test, and `key:ID` of an agent.

    `teams` are those that a person belongs to; what they may do for these says `does`, by their `roles` where they have any.
    `reads` are those that are only shown to them. An agent belongs to no team in that sense, and so may nothing: what its key lets it
    do for its `team` says `scopes` alone. It acts on behalf of the key's owner.
    """

    kind: str
    id: str
    auth: str
    teams: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    on_behalf_of: str | None = None
    does: frozenset[str] = ACTS
    roles: frozenset[str] = frozenset()
    team: str = ""
    scopes: frozenset[str] = frozenset()
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
    def is_agent(self) -> bool:
        return self.kind == AGENT

    @property
    def key(self) -> str:
        """The id of the key that an agent shows; empty for everybody else."""
        return self.auth.removeprefix("key:") if self.is_agent else ""

    @property
    def starts(self) -> frozenset[str]:
        """The pipelines that an agent may start by their names, `*` for all of its team; nothing for everybody else."""
        return frozenset(scope.removeprefix(f"{START}:") for scope in self.scopes if scope.startswith(f"{START}:"))

    @property
    def sees_everything(self) -> bool:
        return self.kind == "system" or SEE_EVERYTHING in self.permissions

    @property
    def sees(self) -> frozenset[str]:
        """The teams whose things this actor may look at, unless it sees everything anyway."""
        return self.teams | self.reads

    def belongs_to(self, team: str) -> bool:
        """Whether the team's things are this actor's to build on, whatever roles say; the system and administrators belong everywhere."""
        return self.administers or team in self.teams

    def may_change(self, team: str) -> bool:
        """Apply, publish, roll back, retire, resume: to see everything is not to change everything."""
        return self._acts(team, CHANGE_THINGS)

    def may_start(self, team: str) -> bool:
        """Start runs of what the team owns."""
        return self._acts(team, START_RUNS)

    def may_start_run_of(self, team: str, pipeline: str) -> bool:
        """The same of one pipeline: an agent starts what a scope of its key names, while that is its own team's."""
        return team == self.team and not self.starts.isdisjoint({pipeline, "*"}) if self.is_agent else self.may_start(team)

    def may_operate(self, team: str) -> bool:
        """Answer what the team's runs wait for, settle their calls, judge them again."""
        return self._acts(team, OPERATE_RUNS)

    def may_suspend(self, team: str) -> bool:
        """Stop what the team owns. To lift a stop is to change things."""
        return self.may_change(team) or self.stops_everything

    def may_cancel(self, team: str) -> bool:
        return self.may_operate(team) or self.stops_everything

    @property
    def stops_everything(self) -> bool:
        """Whatever can be stopped, whosesoever it is; that alone lets nothing go on again."""
        return self.administers or STOP_EVERYTHING in self.permissions

    def may_let_in(self, team: str) -> bool:
        """Whoever is let in gets all that a member has, so whoever has less of it lets nobody in."""
        return self.belongs_to(team) and (self.administers or self.does >= ACTS)

    def lacks(self, team: str) -> str:
        """Why not, as a clause for a refusal."""
        if self.is_agent:
            return f"no scope of this key of agent '{self.id}' allows it ({', '.join(sorted(self.scopes)) or 'it has none'})"
        if team not in self.teams:
            return "you are not a member of it"
        return f"your {'roles' if len(self.roles) > 1 else 'role'} in this installation ({', '.join(sorted(self.roles))}) can't do this"

    @property
    def operates(self) -> frozenset[str]:
        """The teams whose runs this person may answer for."""
        return self.teams if OPERATE_RUNS in self.does else frozenset()

    def _acts(self, team: str, right: str) -> bool:
        """The system, whoever administers the installation, and a team's own people as far as their roles let them."""
        return self.administers or (self.belongs_to(team) and right in self.does)

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
