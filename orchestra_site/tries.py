"""Wrong passwords, counted and bounded: how often somebody may be wrong, when nobody may try, and how that is lifted. Locks are entries.

A try is counted *before* its password is looked at and given back when it was right, so a hundred at once are no more than a hundred in a row.
Knows no form and no request. Called by the sign-in, by whoever changes their own password, and by the doors that lift locks.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import F
from django.utils.crypto import salted_hmac

from agents.errors import NotGranted
from audit import clock, ledger
from audit.actors import Actor
from audit.errors import NotFound, OrchestraError
from audit.wording import instant, lasting
from orchestra_site import haunts
from orchestra_site.models import Scope, Tries

LOCKED = ledger.Verb("site.sign_in.locked", frozenset({"person", "address"}))
UNLOCKED = ledger.Verb("site.sign_in.unlocked", frozenset({"person", "address"}))
REFUSED = ledger.Verb("site.sign_in.refused", frozenset({"message"}))
VERBS = (LOCKED, UNLOCKED, REFUSED)

MOST_FORGOTTEN: Final = 200
MOST_LOOKS: Final = 20
SHARED: Final = frozenset({Scope.ADDRESS, Scope.ELSEWHERE})
"""What others than the person add to."""


class TooManyTries(OrchestraError):
    """Too many passwords were wrong; the message says until when none is looked at."""

    code = "too-many-tries"
    http_status = 429


class UnknownLock(NotFound):
    """There is no such lock that you may see; it may have ended by itself."""

    code = "unknown-lock"


@dataclass(frozen=True, slots=True)
class Bound:
    """One thing that tries are counted by. `name` is what was typed: it goes into the digest and nowhere else."""

    scope: Scope
    name: str
    address: str

    @property
    def key(self) -> str:
        said = f"{self.scope}\n{self.address}\n{self.name}".encode("utf-8", "backslashreplace")
        return salted_hmac("orchestra.tries", said, algorithm="sha256").hexdigest()

    @property
    def most(self) -> int:
        by_scope = {Scope.ADDRESS: settings.ORCHESTRA_TRIES_PER_ADDRESS, Scope.ELSEWHERE: settings.ORCHESTRA_TRIES_PER_NAME}
        return int(by_scope.get(self.scope, settings.ORCHESTRA_TRIES))


def to_sign_in(name: str, address: str, *, now: datetime | None = None) -> Sequence[Bound]:
    """By name and address together; by address alone: one place does not try many names; and, from wherever nobody signed in by this name
    lately, by the name alone: many places together do not try one name, and don't keep out who comes from where they always do.

    Always in this order: two who try at once lock rows in the same one.
    """
    together = Bound(Scope.NAME, name, address)
    if not address:
        return (together,)
    bounds = (together, Bound(Scope.ADDRESS, "", address))
    return bounds if haunts.is_haunt(name, address, now=now or clock.now()) else (*bounds, Bound(Scope.ELSEWHERE, name, ""))


def to_change(name: str) -> Sequence[Bound]:
    """By the person alone: only who holds a session or a token of theirs gets that far."""
    return (Bound(Scope.CHANGE, name, ""),)


def take(bounds: Sequence[Bound], *, now: datetime | None = None) -> None:
    """Count a try, before the password is looked at. TooManyTries."""
    with transaction.atomic(durable=True):
        at = now or clock.now()
        rows = [_row(bound, at) for bound in bounds]
        spent = [(bound, row) for bound, row in zip(bounds, rows, strict=True) if row.locked or row.count >= bound.most]
        for bound, row in spent:
            _lock(bound, row, at)
        if not spent:
            Tries.objects.filter(pk__in=[row.pk for row in rows]).update(count=F("count") + 1)
    if any(row.count == 0 for row in rows):
        _forget(at)
    if spent:
        raise _too_many(max((row for _, row in spent), key=lambda row: row.ends), at)


def give_back(bounds: Sequence[Bound]) -> None:
    """The password was right: the name starts anew there, and the address is one of its haunts from now on.

    What others share gets the one try back: else whoever has an account would guess at others' for ever, and each sign-in of a person would
    give strangers elsewhere as many tries again.
    """
    with transaction.atomic(durable=True):
        for bound in bounds:
            rows = Tries.objects.filter(key=bound.key)
            if bound.scope in SHARED:
                rows.filter(count__gt=0, locked=False).update(count=F("count") - 1)
            else:
                rows.delete()
            if bound.scope == Scope.NAME and bound.address:
                haunts.note(bound.name, bound.address, now=clock.now())


def note_wrong(bounds: Sequence[Bound], *, now: datetime | None = None) -> TooManyTries | None:
    """The password was wrong, and stays counted. What to say if that was the last try for some time."""
    with transaction.atomic(durable=True):
        at = now or clock.now()
        rows = [(bound, _row(bound, at)) for bound in bounds]
        spent = [(bound, row) for bound, row in rows if row.locked or row.count >= bound.most]
        for bound, row in spent:
            _lock(bound, row, at)
    return _too_many(max((row for _, row in spent), key=lambda row: row.ends), at) if spent else None


def lift_lock(lock: UUID, *, actor: Actor, now: datetime | None = None) -> str:
    """Passwords are looked at again; what was locked, in words. UnknownLock, also for one that the actor may not see or that has ended.

    NotGranted where what asks has ended since it came.
    """
    at = now or clock.now()
    try:
        with transaction.atomic(durable=True):
            if actor.by is not None:
                actor.by.require_open(at)
            row = Tries.objects.locks(at).visible_to(actor).select_for_update(of=("self",)).select_related("person").filter(pk=lock).first()
            if row is None:
                raise UnknownLock(f"there is no lock {lock} that you may see; it may have ended by itself", lock=str(lock))
            ledger.record([_draft(UNLOCKED, actor, row, {})], now=at)
            row.delete()
    except (UnknownLock, NotGranted) as refusal:
        draft = ledger.Draft(REFUSED.name, actor, "sign-in:?", facts={"code": refusal.code}, openings={"message": refusal.message})
        with transaction.atomic(durable=True):
            ledger.record([draft], now=at)
        raise
    return row.subject


def _row(bound: Bound, now: datetime) -> Tries:
    """Locked until the transaction ends; anew where its time is over."""
    ends = now + timedelta(seconds=settings.ORCHESTRA_LOCK_S)
    row = _made(bound, ends)
    if row.ends <= now:
        row.count, row.locked, row.ends = 0, False, ends
        row.save(update_fields=["count", "locked", "ends"])
    return row


def _made(bound: Bound, ends: datetime) -> Tries:
    """The one row of a bound. Who counts in the same moment may make it and take it away again between our two looks: then we look anew."""
    for _ in range(MOST_LOOKS):
        with suppress(IntegrityError):
            return Tries.objects.select_for_update().get_or_create(key=bound.key, defaults={"scope": bound.scope, "ends": ends})[0]
    raise OperationalError(f"the tries of {bound.scope} could not be counted in {MOST_LOOKS} looks")


def _lock(bound: Bound, row: Tries, now: datetime) -> None:
    """Once; later tries change nothing, and the lock doesn't grow by them."""
    if row.locked:
        return
    row.locked, row.ends, row.address = True, now + timedelta(seconds=settings.ORCHESTRA_LOCK_S), bound.address
    row.person = User.objects.filter(username=bound.name).first() if bound.name.isprintable() and bound.name else None
    row.save(update_fields=["locked", "ends", "address", "person"])
    ledger.record([_draft(LOCKED, Actor.nobody(), row, {"tries": row.count, "until": clock.to_text(row.ends)})], now=now)


def _draft(verb: ledger.Verb, actor: Actor, row: Tries, more: dict[str, object]) -> ledger.Draft:
    openings = {"person": row.person.username if row.person else "", "address": row.address}
    facts = {"lock": str(row.pk), "scope": str(row.scope), "person": row.person.pk if row.person else None, **more}
    return ledger.Draft(verb.name, actor, f"sign-in:{row.pk}", facts=facts, openings={name: said for name, said in openings.items() if said})


def _too_many(row: Tries, now: datetime) -> TooManyTries:
    """The same for a name that exists and one that doesn't."""
    what = {
        Scope.NAME: "No password is looked at for this user name from where you are",
        Scope.ADDRESS: "No password is looked at from where you are",
        Scope.ELSEWHERE: "No password is looked at for this user name from where it has not signed in lately",
        Scope.CHANGE: "Your password can't be changed",
    }[Scope(row.scope)]
    left = max(1, round((row.ends - now).total_seconds()))
    return TooManyTries(
        f"Too many passwords were wrong. {what} until {instant(row.ends)} UTC ({lasting(left)} from now). "
        "Sessions that are open go on; whoever manages people can lift this.",
        until=clock.to_text(row.ends), seconds=left,
    )  # fmt: skip


def _forget(now: datetime) -> None:
    """Counts whose time is over. Those that somebody holds are left for the next time: nobody waits for this."""
    skip = connection.features.has_select_for_update_skip_locked
    with transaction.atomic():
        ended = Tries.objects.select_for_update(skip_locked=skip).filter(ends__lte=now).order_by("ends").values_list("pk", flat=True)
        Tries.objects.filter(pk__in=list(ended[:MOST_FORGOTTEN])).delete()
