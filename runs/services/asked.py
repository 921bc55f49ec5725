"""What is asked of somebody: the open waits that they may answer at this moment, what ends soonest first.

The database leaves out what the rules of `answering` would refuse, so that thousands of others' waits hide nothing and cost little; those rules
have the last word. Called by the admin's first page; changes nothing.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q

from agents.models import Agent
from audit.actors import Actor
from runs.engine.looking import ZOMBIE
from runs.engine.states import CallState, WaitKind
from runs.models import Call, CallQuerySet, Wait, WaitQuerySet
from runs.services.answering import answerable
from runs.services.waits import WantedWaits, waits_wanted

AT_ONCE: Final = 20


def asked_of(actor: Actor, *, now: datetime, most: int) -> list[Wait]:
    """The first of what this actor may answer; a second look is taken only where the database let something through that the rules refuse."""
    found: list[Wait] = []
    for page in _pages(_narrowed(actor, now), max(AT_ONCE, most)):
        found += answerable(page, actor=actor)
        if len(found) >= most:
            break
    return found[:most]


def _pages(waits: WaitQuerySet, size: int) -> Iterator[list[Wait]]:
    page = list(waits[:size])
    while page:
        yield page
        last = page[-1]
        page = list(waits.filter(Q(expires_at__gt=last.expires_at) | Q(expires_at=last.expires_at, id__gt=last.id))[:size]) if len(page) == size else []


def _narrowed(actor: Actor, now: datetime) -> WaitQuerySet:
    """Never less than what may be answered."""
    waits = waits_wanted(WantedWaits(), actor=actor, now=now).order_by("expires_at", "id")
    mine = waits if actor.administers else waits.filter(run__team__name__in=actor.teams)
    signal, word = Q(kind=WaitKind.SIGNAL), Q(kind=WaitKind.UNRESOLVED)
    if actor.kind != "person":
        return mine.filter(signal)
    return mine.filter(signal | word & Exists(_calls_for(actor, now)) & ~Q(run__started_by=f"person:{actor.id}"))


def _calls_for(actor: Actor, now: datetime) -> CallQuerySet:
    """The call that a wait is about, where it may be settled by now and its agent is somebody else's."""
    names = [actor.id, *User.objects.filter(username=actor.id).exclude(email="").values_list("email", flat=True)]
    own = Q()
    for name in names:
        own |= Q(accountable__iexact=name)
    return Call.objects.filter(
        ~Exists(Agent.objects.filter(own, name=OuterRef("agent"))), key=OuterRef("subject"), state=CallState.UNRESOLVED, not_after__lte=now - ZOMBIE
    )
