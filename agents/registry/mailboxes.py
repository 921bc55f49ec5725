"""The e-mail address of an account: where its person is told what waits for them. One's own, or anybody's by whoever manages people.

The address is a person's, so no entry holds it: only that there is another one now, or none. Called by the commands, the admin and the API.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from agents.errors import NotGranted
from agents.models import Agent, Pipeline
from audit import clock
from audit.actors import MANAGE_PEOPLE, Actor
from audit.errors import Conflict, Invalid, OrchestraError

from . import verbs
from .accounts import require_not_above
from .people import note, one_at_a_time, person_named, refused, turn_of
from .writing import Turn

MOST_CHARACTERS = 254


def set_email(username: str, email: str, *, actor: Actor, now: datetime | None = None) -> User:
    """Empty takes it away. NotGranted, UnknownPerson, Invalid (no address), Conflict (it is so already, or another account's)."""
    try:
        address = _checked(email)
        with transaction.atomic(durable=True):
            turn = _turn(username, actor, now)
            person = person_named(username)
            if turn.actor.id != username:
                require_not_above(turn.actor, person)  # what they are told would go to whoever sets it
            if not turn.actor.may_manage_people:
                _refuse_answering({person.email, address} - {""})
            if person.email == address:
                raise Conflict(f"'{username}' has {'this e-mail address' if address else 'no e-mail address'} already")
            if address and User.objects.filter(email__iexact=address).exclude(pk=person.pk).exists():
                raise Conflict("another account has this e-mail address; each belongs to one person")
            if person.is_superuser and not (turn.actor.administers or turn.actor.id == username):
                raise NotGranted(f"'{username}' administers this installation; they or another administrator may do this")
            User.objects.filter(pk=person.pk).update(email=address)
            note(turn, verbs.PERSON_CHANGED, person, facts={"email": bool(address)})
            turn.close()
            person.refresh_from_db()
    except OrchestraError as refusal:
        raise refused(refusal, actor, now) from None
    return person


def _refuse_answering(addresses: set[str]) -> None:
    """Under such an address somebody is known as the one who answers: whoever takes it or drops it is taken for somebody else."""
    for address in addresses:
        if Agent.objects.filter(accountable__iexact=address).exists() or Pipeline.objects.filter(accountable__iexact=address).exists():
            why = "this e-mail address says who answers for something here"
            raise NotGranted(f"{why}; whoever manages people changes it, or `accountable` there names the account")


def _turn(username: str, actor: Actor, now: datetime | None) -> Turn:
    """Of the person themselves, or of whoever manages people; by a credential that is still open."""
    if actor.may_manage_people:
        return turn_of(actor, now, f"change '{username[:80]}'")
    if actor.kind != "person" or actor.id != username or actor.auth == "none":
        why = f"you may give yourself an e-mail address, and nobody else: that needs the permission {MANAGE_PEOPLE}"
        raise NotGranted(f"{why}; ask whoever administers this installation")
    one_at_a_time()
    turn = Turn(actor, now or clock.now())
    if actor.by is not None:
        actor.by.require_open(turn.now)
    return turn


def _checked(email: str) -> str:
    """One plain address of ASCII, which no mail could take for two, or for another header."""
    address = email.strip()
    try:
        if address:
            validate_email(address)
    except ValidationError:
        address = "\n"
    if len(address) > MOST_CHARACTERS or not address.isascii() or (address and not address.isprintable()):
        raise Invalid(
            f"this is no e-mail address: write one such as alice@example.com, of {MOST_CHARACTERS} ASCII characters at most; empty takes it away"
        )
    return address
