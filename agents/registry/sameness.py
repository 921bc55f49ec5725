"""Which accounts are one person's: said by whoever manages people, so that nobody approves with one what they did with another.

Each change with its entry. What it means where an approval is decided is for `approvals.rules`. Called by the commands, the admin and the API.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from agents.errors import NotGranted
from agents.models import SamePerson
from audit.actors import Actor
from audit.errors import Conflict, Invalid, OrchestraError
from audit.visible import visible

from . import verbs
from .accounts import require_not_above
from .people import note, person_named, refused, turn_of


def same_person(username: str, other: str, *, actor: Actor, now: datetime | None = None) -> User:
    """This account is the same person's as the other, and as all that are known to be that one's. NotGranted (to take something from somebody
    who may do more is an administrator's), UnknownPerson, Invalid (the same account), Conflict (it is known)."""
    try:
        with transaction.atomic(durable=True):
            turn = turn_of(actor, now, f"say whose '{visible(username, 80)}' is")
            account, known = person_named(username), person_named(other)
            if account.pk == known.pk:
                raise Invalid("these are one account; name two")
            _require_above(turn.actor, account, known)
            first, mine = _first(known), _first(account)
            if first.pk == mine.pk:
                raise Conflict(f"'{username}' is known to be the same person as '{other}' already")
            SamePerson.objects.filter(person=mine).update(person=first)
            SamePerson.objects.create(account=mine, person=first)
            note(turn, verbs.PERSON_CHANGED, account, facts={"same_as": known.pk})
            turn.close()
    except OrchestraError as refusal:
        raise refused(refusal, actor, now) from None
    return account


def somebody_else(username: str, *, actor: Actor, now: datetime | None = None) -> User:
    """This account is nobody else's any more; the others of that person stay together. NotGranted, UnknownPerson, Conflict (it is alone)."""
    try:
        with transaction.atomic(durable=True):
            turn = turn_of(actor, now, f"say whose '{visible(username, 80)}' is")
            account = person_named(username)
            _require_above(turn.actor, account)
            if actor.kind == "person" and actor.id in {username, *SamePerson.objects.others_of([username]).get(username, ())}:
                raise NotGranted("whose your own accounts are somebody else says who manages people")
            rest = list(SamePerson.objects.filter(person=account).order_by("account_id"))
            gone, _ = SamePerson.objects.filter(account=account).delete()
            if not rest and not gone:
                raise Conflict(f"'{username}' is known to be nobody's but their own")
            if rest:
                first = rest[0].account
                SamePerson.objects.filter(person=account).exclude(account=first).update(person=first)
                SamePerson.objects.filter(account=first).delete()
            note(turn, verbs.PERSON_CHANGED, account, facts={"same_as": None})
            turn.close()
    except OrchestraError as refusal:
        raise refused(refusal, actor, now) from None
    return account


def _require_above(actor: Actor, *accounts: User) -> None:
    """Of none of the people whose accounts these are one administers who is not that of an administrator to change."""
    names = {account.username for account in accounts}
    others = {name for each in SamePerson.objects.others_of(names).values() for name in each}
    for account in User.objects.filter(username__in=names | others):
        require_not_above(actor, account, may_have_more=True)


def _first(account: User) -> User:
    found = SamePerson.objects.select_related("person").filter(account=account).first()
    return account if found is None else found.person
