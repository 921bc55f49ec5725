"""What a person asks with, as their deed looks at it once more in its own transaction: a session or a token that is still open.

Each locks the person's row, then its own, until the transaction ends: whoever ends it (a new password, a deactivation, a sign-out, a
revocation) comes before the deed or after it, never between. Made where a request's Actor is made, and carried by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from uuid import UUID

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.http import HttpRequest

from agents.errors import NotGranted
from audit.actors import Actor
from orchestra_site.models import Token


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A browser's session as its request knows it: whose, the key of its row, and its hash of the password that it was opened with."""

    person: int
    key: str
    auth_hash: str

    def require_open(self, now: datetime) -> None:
        person = _person(self.person)
        row = Session.objects.select_for_update().filter(session_key=self.key, expire_date__gt=now).first()
        if person is None or row is None or not compare_digest(self.auth_hash, person.get_session_auth_hash()):
            raise NotGranted("the session that asks has ended just now; sign in again")


@dataclass(frozen=True, slots=True)
class OpenToken:
    """A token that was looked at when the request came."""

    person: int
    token: UUID
    ends: datetime

    def require_open(self, now: datetime) -> None:
        person = _person(self.person)
        if person is None or not Token.objects.select_for_update(of=("self",)).filter(id=self.token, expiry__gt=now).exists():
            raise NotGranted("the token that asks has ended just now; sign in, or ask with another")


def session_of(request: HttpRequest) -> OpenSession | None:
    """The session that this request came with; None for nobody."""
    person = request.user.pk
    return None if person is None else OpenSession(person, request.session.session_key or "", str(request.session.get(HASH_SESSION_KEY, "")))


def token_of(token: Token) -> OpenToken:
    return OpenToken(token.user_id, token.id, token.expiry)


def require_open_beside(actor: Actor, person: int, now: datetime) -> None:
    """As the actor's credential does by itself, where what belongs to this person is locked next: both people's rows in one order.

    Two who take each other's tokens at once then come one after the other, and neither waits for what the other holds.
    """
    if isinstance(actor.by, OpenSession | OpenToken):
        list(User.objects.select_for_update().filter(pk__in=[actor.by.person, person]).order_by("pk").values_list("pk"))
        actor.by.require_open(now)


def _person(key: int) -> User | None:
    """Their row, locked; None where they may not sign in any more."""
    return User.objects.select_for_update().filter(pk=key, is_active=True).first()
