"""Whoever shows the key of an agent: which key it is, whether it works now, and what it opens. Looked at anew at each request.

A key works while its owner may change what the agent's team owns, and while the agent may work: nobody has to remember to take keys back.
Changes nothing but when a key was used. Called where a request's Actor is made, and by whoever lists keys.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import OperationalError, transaction

from agents import keys, stops
from agents.errors import KeyRefused, NotGranted
from agents.models import Agent, AgentKey, Scope
from agents.models.agent import WORKING
from agents.stops import Stops
from audit import clock, ledger
from audit.actors import AGENT, START, Actor
from audit.errors import OutOfScope
from audit.instants import to_the_second

from . import verbs
from .acting import actor_of_person


@dataclass(frozen=True, slots=True)
class Stands:
    """How a key stands at an instant: `why_not` is a clause where it doesn't work, `opens` are the scopes that hold now.

    A scope to start holds while the owner may start runs of the team: nobody gives a program what isn't theirs.
    """

    key: AgentKey
    why_not: str | None
    opens: frozenset[str]


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A key that was looked at when the request came."""

    key: str
    agent: str
    team: str
    owner: str
    scopes: frozenset[str]
    ends: datetime

    def require_open(self, now: datetime) -> None:
        """The owner's row is locked, then the key's and the agent's, until the transaction ends: whoever takes something from one of them comes
        before the deed or after it."""
        list(User.objects.select_for_update().filter(username=self.owner).values_list("pk"))
        list(AgentKey.objects.select_for_update().filter(pk=self.key).values_list("pk"))
        list(Agent.objects.select_for_update().filter(name=self.agent).values_list("pk"))
        found = _row(self.key)
        said = None if found is None else stand([found], now=now)[0]
        if said is None or said.why_not is not None or not said.opens >= self.scopes or said.key.agent.team.name != self.team:
            why = "it is gone" if said is None else said.why_not or "what it opens has changed"
            raise NotGranted(f"the key that asks doesn't work any more since just now: {why}")

    def require_scope(self, opened_by: Collection[str], what: str) -> None:
        if any(scope.partition(":")[0] in opened_by for scope in self.scopes) or "*" in opened_by:
            return
        needs = f"needs the scope {' or '.join(sorted(opened_by))}" if opened_by else "is for people: no key of an agent opens it"
        refusal = OutOfScope(f"'{what}' {needs}; this key of agent '{self.agent}' has {', '.join(sorted(self.scopes)) or 'none that holds now'}")
        self.record(refusal, what, now=clock.now())
        raise refusal

    def record(self, refusal: OutOfScope, what: str, *, now: datetime) -> None:
        """In a transaction of its own: nothing was done that it could stand beside."""
        _record_refusal(self.actor(), self.key, refusal.code, what, refusal.message, now)

    def actor(self) -> Actor:
        """The agent, as far as this key lets it act."""
        return Actor(
            kind=AGENT,
            id=self.agent,
            auth=f"key:{self.key}",
            on_behalf_of=self.owner,
            does=frozenset(),
            team=self.team,
            scopes=self.scopes,
            by=self,
        )


def holder_of_key(said: str) -> OpenKey:
    """The agent whose key was said. KeyRefused: no key, unknown, a wrong secret (these read alike), or one that doesn't work now.

    Only who knows the secret learns why a key doesn't work; that it was tried is an entry then, at most one a minute.
    """
    text, now = keys.read(said), clock.now()
    row = _row(text.id)
    if not keys.is_secret(text.secret, "" if row is None else row.digest, "" if row is None else row.pepper) or row is None:
        raise KeyRefused("the key is unknown, or its secret is wrong")
    said_now = stand([row], now=now)[0]
    holder = OpenKey(row.id, row.agent.name, row.agent.team.name, row.owner.username, said_now.opens, row.expires_at)
    if said_now.why_not is not None:
        _note_refusal(holder, said_now.why_not, now)
        raise KeyRefused(f"this key of agent '{row.agent.name}' doesn't work: {said_now.why_not}")
    _note_use(row, text, now)
    return holder


def stand(rows: Sequence[AgentKey], *, now: datetime) -> list[Stands]:
    """Each with whether it works now; agents, their teams and owners have been read with them. The stops are read once."""
    if not rows:
        return []
    in_force, owners = stops.in_force(), {row.owner_id: row.owner for row in rows}
    people = {key: actor_of_person(person, auth="key") for key, person in owners.items()}
    return [_stands(row, people[row.owner_id], in_force, now) for row in rows]


def _stands(row: AgentKey, owner: Actor, in_force: Stops, now: datetime) -> Stands:
    team = row.agent.team.name
    opens = frozenset(scope for scope in row.scopes if not scope.startswith(START) or owner.may_start(team))
    return Stands(row, _why_not(row, owner, in_force, now), opens)


def _why_not(row: AgentKey, owner: Actor, in_force: Stops, now: datetime) -> str | None:
    """The first that stands against it; what can't be undone before what can."""
    agent, team = row.agent, row.agent.team.name
    if row.revoked_at is not None and row.revoked_at <= now:
        return f"it was revoked at {to_the_second(row.revoked_at)}"
    if row.expires_at <= now:
        return f"it ended at {to_the_second(row.expires_at)}"
    if not row.owner.is_active:
        return f"'{row.owner.username}', who made it, may not sign in any more"
    if not owner.may_change(team):
        return f"'{row.owner.username}', who made it, can't change what team '{team}' owns any more"
    if agent.state not in WORKING:
        return f"agent '{agent.name}' is {agent.state}"
    stop = next((stop for stop in in_force.every if (stop.scope, stop.name) in _stopping(agent)), None)
    return None if stop is None else stop.said


def _stopping(agent: Agent) -> set[tuple[str, str]]:
    """The stops that are of an agent whatever it does. What is of a version of it, or of a pipeline, is no stop of the agent."""
    return {(Scope.EVERYTHING, ""), (Scope.TEAM, agent.team.name), (Scope.AGENT, agent.name)}


def _row(key: str) -> AgentKey | None:
    return AgentKey.objects.select_related("agent__team", "owner").filter(pk=key).first()


def _note_use(row: AgentKey, text: keys.Text, now: datetime) -> None:
    """Beside the request, never within its deed: to have looked at the key is enough. A hash of an older pepper is made anew on the way."""
    with suppress(OperationalError):
        if AgentKey.objects.filter(pk=row.pk).note("used_at", now) and not keys.is_current(row.pepper):
            digest, pepper = keys.hashed(text.secret)
            AgentKey.objects.filter(pk=row.pk, pepper=row.pepper).update(digest=digest, pepper=pepper)


def _note_refusal(holder: OpenKey, why: str, now: datetime) -> None:
    with suppress(OperationalError):
        if AgentKey.objects.filter(pk=holder.key).note("refused_at", now):
            _record_refusal(holder.actor(), holder.key, KeyRefused.code, "sign in", why, now)


def _record_refusal(actor: Actor, key: str, code: str, asked: str, message: str, now: datetime) -> None:
    facts = {"code": code, "asked": asked, "key": key, "problems": 1}
    draft = ledger.Draft(
        verbs.KEY_REFUSED.name, actor, f"key:{key}", team=actor.team, agent=actor.id, facts=facts, openings={"problems": [message]}
    )  # fmt: skip
    with transaction.atomic(durable=True):
        ledger.record([draft], now=now)
