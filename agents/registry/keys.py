"""Keys of agents as use-cases: made by a person for an agent of their team and shown once, listed, revoked. Each change with its entry.

No entry, row or list holds a secret. What a key opens while it is used is for `holding`. Called by the commands, REST and the admin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from agents import keys
from agents.errors import NotGranted, TooManyKeys, UnknownKey
from agents.models import Agent, AgentKey, AgentKeyQuerySet, Pipeline
from agents.spec.measures import duration_ms
from audit import clock
from audit.actors import CAN, READ, START, Actor
from audit.errors import Conflict, Invalid, OrchestraError
from audit.visible import named, visible

from . import verbs
from .entitlement import agent_shown
from .holding import Stands, stand
from .owners import owner_of_kind, require_in_use
from .writing import Turn, record_refusal, require, require_member

LASTS: Final = "90d"
LONGEST: Final = timedelta(days=365)
SHORTEST: Final = timedelta(minutes=1)
MOST_NAME: Final = 100
MOST_SCOPES: Final = 50
SCOPE_PATTERN: Final = r"(?:read|can|start:(?:\*|[a-z][a-z0-9-]{0,62}))"
FORGOTTEN_AFTER: Final = timedelta(days=90)
"""How long a key that ended stays in lists."""
_SCOPE: Final = re.compile(SCOPE_PATTERN)


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key, and its text: to be shown once, kept only as a keyed hash."""

    key: AgentKey
    text: str

    def __repr__(self) -> str:
        return f"MadeKey(key={self.key!r})"


def make_key(
    agent: str, *, actor: Actor, scopes: Iterable[str], expires: str = LASTS, name: str = "", now: datetime | None = None
) -> MadeKey:  # fmt: skip
    """A key with which a program acts as this agent, owned by whoever makes it. `expires`: after how long, as files write it: 30d, 12h.

    UnknownAgent, NotGranted (whoever can't change what its team owns, may not start what the key would, or is no person), Retired, Invalid
    (scopes, time, name), TooManyKeys. Each is an entry.
    """
    try:
        with transaction.atomic(durable=True):
            turn = _turn(actor, now)
            row = _agent(agent, actor)
            require_in_use(row)
            _refuse_nobodys(actor)
            said = _scopes(scopes, row, actor)
            lasts, called = _lasting(expires), _name(name)
            _refuse_too_many(row, turn.now)
            made = _made(row, actor, said, turn.now, turn.now + lasts, called)
            facts = {"key": made.key.id, "scopes": said, "expires": clock.to_text(made.key.expires_at)}
            openings = {"name": called} if called else None
            turn.note(verbs.KEY_MADE, made.key.subject, team=row.team.name, agent=row.name, facts=facts, openings=openings)
            turn.close()
    except OrchestraError as refusal:
        raise _refused(refusal, agent, actor, now, "make a key") from None
    return made


def revoke_key(key: str, *, actor: Actor, of: str | None = None, now: datetime | None = None) -> AgentKey:
    """It is refused from its next use on. UnknownKey, also for one that the actor may not see or that isn't this agent's; NotGranted, Conflict."""
    try:
        with transaction.atomic(durable=True):
            turn = _turn(actor, now)
            row = _key(key, actor, of)
            require_member(actor, row.agent.team.name, f"the key of agent '{row.agent.name}'")
            if row.revoked_at is not None:
                raise Conflict(f"key {row.id} was revoked already, at {clock.to_text(row.revoked_at)}")
            row.revoked_at = turn.now
            row.save(update_fields=["revoked_at"])
            facts, openings = {"key": row.id}, {"owner": row.owner.username}
            turn.note(verbs.KEY_REVOKED, row.subject, team=row.agent.team.name, agent=row.agent.name, facts=facts, openings=openings)
            turn.close()
    except OrchestraError as refusal:
        raise _refused(refusal, of or "?", actor, now, "revoke a key") from None
    return row


def keys_of(agent: str, *, actor: Actor, now: datetime | None = None) -> list[Stands]:
    """The keys of an agent, the newest first, each with whether it works now; those too that ended not long ago. UnknownAgent."""
    return keys_stand(keys_found(actor, agent=agent), now=now)


def keys_found(actor: Actor, *, agent: str | None = None, owner: str | None = None) -> AgentKeyQuerySet:
    """Those that the actor may see: of one agent, and of one person, whose none or unseen ones are simply none. UnknownAgent."""
    rows = keys_visible_to(actor)
    rows = rows if agent is None else rows.filter(agent=agent_shown(agent, actor))
    return rows if owner is None else rows.filter(owner__username=owner)


def keys_visible_to(actor: Actor) -> AgentKeyQuerySet:
    return AgentKey.objects.visible_to(actor).select_related("agent__team", "owner")


def keys_stand(rows: Iterable[AgentKey], *, now: datetime | None = None) -> list[Stands]:
    return stand(list(rows), now=now or clock.now())


def key_shown(key: str, *, actor: Actor, of: str | None = None) -> Stands:
    """One by its id. UnknownKey."""
    rows = keys_visible_to(actor).filter(pk=key if key.isascii() and key.isalnum() else "")
    found = keys_stand(rows if of is None else rows.filter(agent__name=of))
    if not found:
        raise UnknownKey(f"there is no key '{visible(key, 40)}' that you may see; `manage.py keys` lists them")
    return found[0]


def _turn(actor: Actor, now: datetime | None) -> Turn:
    turn = Turn(actor, now or clock.now())
    if actor.by is not None:
        actor.by.require_open(turn.now)
    return turn


def _agent(name: str, actor: Actor) -> Agent:
    """Locked: two who make its keys at once are counted one after the other."""
    row = owner_of_kind(name, actor, Agent)
    assert isinstance(row, Agent)
    require_member(actor, row.team.name, f"agent '{row.name}'")
    return row


def _refuse_nobodys(actor: Actor) -> None:
    if actor.kind != "person":
        raise NotGranted(
            "a key has an owner, a person who answers for it: sign in, or show a token of yours (a command takes it from ORCHESTRA_TOKEN)"
        )


def _key(key: str, actor: Actor, of: str | None) -> AgentKey:
    found = key_shown(key, actor=actor, of=of).key
    return AgentKey.objects.select_for_update(of=("self",)).select_related("agent__team", "owner").get(pk=found.pk)


def _scopes(said: Iterable[str], agent: Agent, actor: Actor) -> list[str]:
    scopes = sorted(set(said))
    odd = [scope for scope in scopes if not _SCOPE.fullmatch(scope)]
    if odd:
        raise Invalid(f"'{visible(odd[0], 80)}' is no scope; there is {READ}, {CAN}, {START}:PIPELINE and {START}:*")
    if not 0 < len(scopes) <= MOST_SCOPES:
        named = f"{READ}, {CAN}, {START}:PIPELINE or {START}:*"
        raise Invalid(f"a key has 1 to {MOST_SCOPES} scopes (given {len(scopes)}): {named}; none is there by itself")
    starts = [scope.removeprefix(f"{START}:") for scope in scopes if scope.startswith(f"{START}:")]
    if starts:
        require(actor.may_start(agent.team.name), actor, agent.team.name, "what the key would start")
    _refuse_foreign(set(starts) - {"*"}, agent)
    return scopes


def _refuse_foreign(pipelines: set[str], agent: Agent) -> None:
    own = set(Pipeline.objects.filter(team=agent.team, name__in=pipelines).values_list("name", flat=True))
    missing = sorted(pipelines - own)
    if missing:
        raise Invalid(f"team '{agent.team.name}' has no pipeline '{missing[0]}'; a key starts what its agent's team owns")


def _lasting(text: str) -> timedelta:
    ms = duration_ms(text.strip())
    lasts = None if ms is None else timedelta(milliseconds=ms)
    if lasts is None or not SHORTEST <= lasts <= LONGEST:
        raise Invalid(f"a key ends after 1m to {LONGEST.days}d, such as 30d or 12h (asked '{visible(text, 40)}'); make a new one before it ends")
    return lasts


def _name(text: str) -> str:
    said = text.strip()
    if len(said) > MOST_NAME or not (said.isprintable() or not said):
        raise Invalid(f"a key's name has at most {MOST_NAME} printable characters")
    return said


def _refuse_too_many(agent: Agent, now: datetime) -> None:
    """Those that ended long ago go, so that lists stay short."""
    AgentKey.objects.filter(agent=agent, expires_at__lte=now - FORGOTTEN_AFTER).delete()
    AgentKey.objects.filter(agent=agent, revoked_at__lte=now - FORGOTTEN_AFTER).delete()
    number, most = AgentKey.objects.filter(agent=agent).live(now).count(), settings.ORCHESTRA_MOST_KEYS
    if number >= most:
        raise TooManyKeys(
            f"agent '{agent.name}' has {number:,} of at most {most:,} keys that have not ended (ORCHESTRA_MOST_KEYS); "
            "revoke one that nothing uses any more"
        )


def _made(agent: Agent, actor: Actor, scopes: Sequence[str], now: datetime, ends: datetime, name: str) -> MadeKey:
    text = keys.new()
    digest, pepper = keys.hashed(text.secret)
    key = AgentKey(
        id=text.id,
        agent=agent,
        owner=User.objects.get(username=actor.id),
        name=name,
        scopes=list(scopes),
        digest=digest,
        pepper=pepper,
        created_at=now,
        expires_at=ends,
    )
    key.save(force_insert=True)
    return MadeKey(key, str(text))


def _refused(refusal: OrchestraError, agent: str, actor: Actor, now: datetime | None, asked: str) -> OrchestraError:
    """Recorded after the rollback; returned to be raised."""
    facts = {"code": refusal.code, "asked": asked}
    record_refusal(actor, named("agent", agent), now=now, problems=[refusal.message], facts=facts, verb=verbs.KEY_REFUSED)
    return refusal
