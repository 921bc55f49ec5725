"""Tokens as use-cases: made for a person and shown once, ending by themselves, revoked at will. Each change with its entry.

Knows knox's way to make and hash them, and no request. Called by the command, REST and the admin.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError, transaction
from knox.crypto import hash_token
from knox.models import get_digest_token
from knox.settings import CONSTANTS

from agents.errors import NotGranted, UnknownPerson
from audit import clock, ledger
from audit.actors import Actor
from audit.errors import Conflict, Invalid, NotFound, OrchestraError
from audit.visible import visible
from orchestra_site.credentials import OpenToken, require_open_beside
from orchestra_site.models import USE_IS_KNOWN_TO, Token, TokenQuerySet

DAYS = 30
MOST_DAYS = 365
MOST_NAME = 100
MOST_CHARACTERS = 200

CREATED = ledger.Verb("site.token.created", frozenset({"person", "name"}))
REVOKED = ledger.Verb("site.token.revoked", frozenset({"person"}))
REFUSED = ledger.Verb("site.token.refused", frozenset({"message"}))
VERBS = (CREATED, REVOKED, REFUSED)


class TooManyTokens(Conflict):
    """This person has as many tokens as one may have; one has to be revoked, or to end, before the next."""

    code = "too-many-tokens"


class UnknownToken(NotFound):
    """There is no token with this id that you may see."""

    code = "unknown-token"


@dataclass(frozen=True, slots=True)
class Made:
    """A new token, and its text: to be shown once, kept only as a hash."""

    token: Token
    text: str


def create_token(username: str, *, actor: Actor, days: int | None = None, name: str = "", now: datetime | None = None) -> Made:
    """A token for oneself, or by the shell for anybody active. A token is never outlived by what it makes.

    Invalid (the days, the name), NotGranted (for somebody else, or by what has just ended), UnknownPerson (or one who may not sign in),
    TooManyTokens.
    """
    try:
        with transaction.atomic(durable=True):
            person = _person(username, actor)
            at = now or clock.now()
            _refuse_ended(actor, at)
            ends = _end(days, actor.by.ends if isinstance(actor.by, OpenToken) else None, at)
            Token.objects.filter(user=person, expiry__lte=at).delete()
            _refuse_too_many(person)
            made = _made(person, _name(name), ends)
            facts = {"token": str(made.token.id), "person": person.pk, "expires": clock.to_text(ends)}
            _record(CREATED, actor, made.token, at, facts, {"person": person.username, "name": made.token.name})
    except (Invalid, NotGranted, UnknownPerson, TooManyTokens) as refusal:
        raise _refused(refusal, actor) from None
    return made


def revoke_token(token: UUID, *, actor: Actor, of: str | None = None, now: datetime | None = None) -> None:
    """It is refused from its next use on. UnknownToken, also for one that the actor may not see or that isn't this person's.

    NotGranted where what asks has ended since it came.
    """
    try:
        with transaction.atomic(durable=True):
            at = now or clock.now()
            rows = Token.objects.visible_to(actor).filter(id=token)
            if of is not None:
                rows = rows.filter(user__username=of) if of.isprintable() else rows.none()
            for person in rows.values_list("user", flat=True):
                require_open_beside(actor, person, at)
            found = rows.select_for_update(of=("self",)).select_related("user").first()
            if found is None:
                raise UnknownToken(f"there is no token {token} that you may see", token=str(token))
            facts = {"token": str(found.id), "person": found.user.pk}
            _record(REVOKED, actor, found, at, facts, {"person": found.user.username})
            found.delete()
    except (UnknownToken, NotGranted) as refusal:
        raise _refused(refusal, actor) from None


def revoke_tokens(username: str, *, actor: Actor, now: datetime | None = None) -> int:
    """All tokens of a person are refused from their next use on; how many there were. UnknownPerson, where the actor may see none of theirs.

    NotGranted where what asks has ended since it came.
    """
    try:
        with transaction.atomic(durable=True):
            at = now or clock.now()
            require_open_beside(actor, _whose(username, actor), at)
            rows = Token.objects.visible_to(actor).live(at).select_for_update(of=("self",)).select_related("user")
            found = list(rows.filter(user__username=username))
            ledger.record(
                [_draft(REVOKED, actor, each, {"token": str(each.id), "person": each.user.pk}, {"person": username}) for each in found], now=at
            )
            Token.objects.filter(pk__in=[each.pk for each in found]).delete()
    except (UnknownPerson, NotGranted) as refusal:
        raise _refused(refusal, actor) from None
    return len(found)


def tokens_of(username: str, *, actor: Actor, now: datetime) -> TokenQuerySet:
    """A person's tokens that have not ended. UnknownPerson, where the actor may see none of theirs."""
    return Token.objects.visible_to(actor).live(now).filter(user=_whose(username, actor))


def _whose(username: str, actor: Actor) -> int:
    """Whose they are: one's own, or where one manages people those of anybody but an administrator; the rows themselves are filtered by it too."""
    people = User.objects.filter(username=username) if username.isprintable() else User.objects.none()
    if not actor.administers:
        people = people.filter(is_superuser=False) if actor.may_manage_people else people.filter(username=actor.id if actor.kind == "person" else "")
    found = people.values_list("pk", flat=True).first()
    if found is None:
        raise UnknownPerson(f"there is no person '{visible(username, 80)}' whose tokens you may see or revoke")
    return found


def holder_of(said: str) -> Token | None:
    """The token that was said, with its person; None for every other text, whatever is wrong with it. That it was used is noted."""
    if len(said) > MOST_CHARACTERS or not (said.isascii() and said.isprintable()):
        return None
    digest, now = hash_token(said), clock.now()
    rows = Token.objects.live(now).filter(token_key=said[: CONSTANTS.TOKEN_KEY_LENGTH]).select_related("user")
    found = next((each for each in rows if compare_digest(digest, each.digest) and each.user.is_active), None)
    if found is not None and (found.used_at is None or found.used_at <= now - USE_IS_KNOWN_TO):
        with suppress(OperationalError):  # a database that is busy with something else: to have looked at the token is enough
            Token.objects.filter(pk=found.pk).note_use(now)
    return found


def end_tokens(person: User) -> int:
    """All tokens of this person; how many there were. In the transaction, and by the entry, of whoever sets their password."""
    return Token.objects.filter(user=person).delete()[0]


def _person(username: str, actor: Actor) -> User:
    if actor.kind != "system" and (actor.kind, actor.id) != ("person", username):
        raise NotGranted("you can make a token for yourself only: it acts as the person whose it is; the installation's own shell makes others'")
    person = User.objects.select_for_update().filter(username=username, is_active=True).first() if username.isprintable() else None
    if person is None:
        raise UnknownPerson(f"there is no person '{visible(username, 80)}' who may sign in; `manage.py person NAME --create` makes an account")
    return person


def _refuse_ended(actor: Actor, now: datetime) -> None:
    if actor.by is not None:
        actor.by.require_open(now)
    elif actor.kind != "system":
        raise NotGranted("a person makes a token with a session or a token that is open; sign in")


def _refuse_too_many(person: User) -> None:
    """The person's row is locked, so two who ask at once are counted one after the other."""
    number, most = Token.objects.filter(user=person).count(), settings.ORCHESTRA_MOST_TOKENS
    if number >= most:
        raise TooManyTokens(
            f"'{person.username}' has {number:,} of at most {most:,} tokens that have not ended (ORCHESTRA_MOST_TOKENS); "
            "revoke one that nothing uses any more"
        )


def _end(days: int | None, within: datetime | None, now: datetime) -> datetime:
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise Invalid(f"a token lasts 1 to {MOST_DAYS} days (asked {days}); make a new one before it ends")
    ends = now + timedelta(days=DAYS if days is None else days)
    if within is None or ends <= within:
        return ends
    if days is None:
        return within
    raise Invalid(
        f"a token that is made with a token does not outlive it: yours ends {clock.to_text(within)} (asked {days} days); "
        "sign in, or ask for `manage.py token`, to make a longer one"
    )


def _name(text: str) -> str:
    said = text.strip()
    if len(said) > MOST_NAME or not (said.isprintable() or not said):
        raise Invalid(f"a token's name has at most {MOST_NAME} printable characters")
    return said


def _made(person: User, name: str, ends: datetime) -> Made:
    digest, text = get_digest_token()
    token = Token(digest=digest, token_key=text[: CONSTANTS.TOKEN_KEY_LENGTH], user=person, expiry=ends, name=name)
    token.save(force_insert=True)
    return Made(token, text)


def _record(verb: ledger.Verb, actor: Actor, token: Token, now: datetime, facts: dict[str, Any], openings: dict[str, Any]) -> None:
    ledger.record([_draft(verb, actor, token, facts, openings)], now=now)


def _draft(verb: ledger.Verb, actor: Actor, token: Token, facts: dict[str, Any], openings: dict[str, Any]) -> ledger.Draft:
    return ledger.Draft(verb.name, actor, f"token:{token.id}", facts=facts, openings=openings)


def _refused(refusal: OrchestraError, actor: Actor) -> OrchestraError:
    """Recorded after the rollback; returned to be raised."""
    draft = ledger.Draft(REFUSED.name, actor, "token:?", facts={"code": refusal.code}, openings={"message": refusal.message})
    with transaction.atomic(durable=True):
        ledger.record([draft], now=clock.now())
    return refusal
