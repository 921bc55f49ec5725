"""What is asked of somebody: the open waits that they may answer at this moment, what ends soonest first.

The database leaves out what the rules of `answering` would refuse, so that thousands of others' waits hide nothing and cost little; those rules
have the last word. Called by the admin's first page; changes nothing.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q

from agents.models import Agent, Team
from audit.actors import Actor
from runs.engine.looking import ZOMBIE
from runs.engine.states import LIVE_RUN, CallState, WaitKind
from runs.models import Call, CallQuerySet, Wait, WaitQuerySet, of_person
from runs.models.run import literally
from runs.services.answering import answerable
from runs.services.waits import waits_visible_to

AT_ONCE: Final = 20
SOONEST: Final = ("expires_at", "id")
OF_LIVE_RUN: Final = Q(literally("run__state", sorted(LIVE_RUN)))
"""True of every open wait. Live runs of a team have an index; by the team alone, whatever it has ever run would be gone through."""


def asked_of(actor: Actor, *, now: datetime, most: int) -> list[Wait]:
    """The first of what this actor may answer; a second look is taken only where the database let something through that the rules refuse."""
    found: list[Wait] = []
    for page in _pages(_narrowed(actor, now), max(AT_ONCE, most)):
        found += answerable(waits_visible_to(actor).filter(id__in=page).order_by(*SOONEST), actor=actor)
        if len(found) >= most:
            break
    return found[:most]


def _pages(waits: WaitQuerySet, size: int) -> Iterator[list[UUID]]:
    """Their ids first: thousands may have to be sorted, and with their runs these are large."""
    after = Q()
    while page := list(waits.filter(after).order_by(*SOONEST).values_list(*SOONEST)[:size]):
        yield [wait for _, wait in page]
        if len(page) < size:
            return
        at, last = page[-1]
        after = Q(expires_at__gt=at) | Q(expires_at=at, id__gt=last)


def _narrowed(actor: Actor, now: datetime) -> WaitQuerySet:
    """Never less than what may be answered."""
    waits = Wait.objects.answerable(now)
    if not actor.administers:
        teams = list(Team.objects.filter(name__in=actor.operates).values_list("pk", flat=True))
        waits = waits.filter(OF_LIVE_RUN, run__team__in=teams)
    signal, word = Q(kind=WaitKind.SIGNAL), Q(kind=WaitKind.UNRESOLVED)
    if actor.kind != "person":
        return waits.filter(signal)
    return waits.filter(signal | word & Exists(_calls_for(actor, now)) & ~of_person(actor.id, "run__"))


def _calls_for(actor: Actor, now: datetime) -> CallQuerySet:
    """The call that a wait is about, where it may be settled by now and its agent is somebody else's."""
    names = [actor.id, *User.objects.filter(username=actor.id).exclude(email="").values_list("email", flat=True)]
    own = Q()
    for name in names:
        own |= Q(accountable__iexact=name)
    return Call.objects.filter(
        ~Exists(Agent.objects.filter(own, name=OuterRef("agent"))), key=OuterRef("subject"), state=CallState.UNRESOLVED, not_after__lte=now - ZOMBIE
    )
