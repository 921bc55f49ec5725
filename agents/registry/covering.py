"""Cover: whoever is away has a colleague decide in their stead for a time. Arranged, ended, listed; each change with its entry.

Gives nobody more than the person away has, and holds only while both are active and in a team together. What a stead is worth where
an approval is decided is for `approvals.rules`. Called by the commands, the admin and the API.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction

from agents.errors import NotGranted, UnknownCover
from agents.models import Cover, SamePerson
from agents.models.cover import CoverQuerySet
from agents.spec.permissions import instant_of
from audit import clock
from audit.actors import MANAGE_PEOPLE, Actor
from audit.errors import Conflict, Invalid, OrchestraError
from audit.ledger import Verb
from audit.visible import visible

from . import verbs
from .accounts import require_not_above
from .deeds import actor_name
from .people import one_at_a_time, person_named, refused
from .roles import people_asked
from .writing import Turn

LONGEST: Final = timedelta(days=180)
FARTHEST: Final = timedelta(days=365)
MOST_AHEAD: Final = 20
"""So many of one person at a time: each asks for one more look where an approval is decided."""


def arrange_cover(person: str, deputy: str, *, until: str, since: str = "", actor: Actor, now: datetime | None = None) -> Cover:
    """`deputy` decides in the stead of `person` before `until`, from `since` on (now, if it is left out): instants, or days, which begin at
    midnight UTC. For oneself, or by whoever manages people, who then isn't the deputy.

    NotGranted (also of a deputy who is no colleague, or is never asked), UnknownPerson, Invalid (the time; themselves), Conflict (it is so
    already; too many).
    """
    try:
        with transaction.atomic(durable=True):
            turn = _turn(person, actor, now)
            if actor.id == person:
                _refuse_no_colleague(person, deputy)  # before the account is looked up: what is no colleague's name, nobody learns here
            away, stands_in = person_named(person), person_named(deputy)
            if actor.id != person:
                _require_above(actor, away, deputy)
            begins, ends = _times(since, until, turn.now)
            _refuse_no_colleague(person, deputy)
            _refuse_double(away, stands_in, begins, ends, turn.now)
            made = {"made_by": actor_name(actor), "created_at": turn.now}
            cover = Cover.objects.create(person=away, deputy=stands_in, since=begins, until=ends, **made)
            _note(turn, verbs.PERSON_COVERED, cover)
    except OrchestraError as refusal:
        raise refused(refusal, actor, now) from None
    return cover


def _require_above(actor: Actor, away: User, deputy: str) -> None:
    """Whoever gives away somebody's say can have it themselves, by a colleague who does as they are told: so not the say of one who may do more."""
    mine = {actor.id, *SamePerson.objects.others_of([actor.id]).get(actor.id, ())} if actor.kind == "person" else set()
    if deputy in mine:
        raise NotGranted(f"nobody makes themselves the deputy of somebody else: '{away.username}', or another who manages people, may do this")
    require_not_above(actor, away)


def end_cover(cover: str, *, actor: Actor, now: datetime | None = None) -> Cover:
    """Before its time; what was decided until then stays so. By either of the two, or whoever manages people. UnknownCover, NotGranted, Conflict."""
    try:
        with transaction.atomic(durable=True):
            found = cover_shown(cover, actor=actor)
            turn = _turn(actor.id if actor.id in (found.person.username, found.deputy.username) else found.person.username, actor, now)
            person_named(found.deputy.username)  # locked, as it is by whoever decides with the deputy's credential
            held = Cover.objects.select_for_update(of=("self",)).select_related("person", "deputy").get(pk=found.pk)
            if held.stands(turn.now) in ("ended", "over"):
                raise Conflict(f"this cover is {held.stands(turn.now)} already")
            held.ended_at = turn.now
            held.save(update_fields=["ended_at"])
            _note(turn, verbs.PERSON_COVER_ENDED, held)
    except OrchestraError as refusal:
        raise refused(refusal, actor, now) from None
    return held


def covers_visible_to(actor: Actor) -> CoverQuerySet:
    return Cover.objects.visible_to(actor).select_related("person", "deputy")


def cover_shown(cover: str, *, actor: Actor) -> Cover:
    """UnknownCover, also for one that the actor may not see."""
    try:
        return covers_visible_to(actor).get(pk=UUID(cover))
    except (ValueError, Cover.DoesNotExist):
        raise UnknownCover(f"there is no cover '{visible(cover, 60)}' that you may see; `manage.py covers` lists them") from None


def covered_by(deputies: Collection[str], *, now: datetime) -> dict[str, dict[str, frozenset[str]]]:
    """By deputy whom they stand in for at this instant, each with their teams. One statement where there is none."""
    return _holding(Cover.objects.in_force(now).filter(deputy__username__in=deputies))


def deputies_of(people: Collection[str], *, now: datetime) -> dict[str, dict[str, frozenset[str]]]:
    """By deputy whom of these people they stand in for at this instant, each with their teams."""
    return _holding(Cover.objects.in_force(now).filter(person__username__in=people))


def _holding(covers: CoverQuerySet) -> dict[str, dict[str, frozenset[str]]]:
    """Of those whose two are both asked still, and colleagues."""
    pairs = sorted(set(covers.order_by().values_list("deputy__username", "person__username")))
    asked = people_asked({name for pair in pairs for name in pair}, ()) if pairs else {}
    found: dict[str, dict[str, frozenset[str]]] = {}
    for deputy, person in pairs:
        if deputy in asked and person in asked and asked[deputy] & asked[person]:
            found.setdefault(deputy, {})[person] = asked[person]
    return found


def _turn(person: str, actor: Actor, now: datetime | None) -> Turn:
    """Of the person themselves, or of whoever manages people; by a credential that is still open."""
    if not actor.may_manage_people and (actor.kind != "person" or actor.id != person or actor.auth == "none"):
        why = f"you may have somebody stand in for yourself, and for nobody else: that needs the permission {MANAGE_PEOPLE}"
        raise NotGranted(f"{why}; ask whoever administers this installation")
    one_at_a_time()
    turn = Turn(actor, now or clock.now())
    if actor.by is not None:
        actor.by.require_open(turn.now)
    return turn


def _times(since: str, until: str, now: datetime) -> tuple[datetime, datetime]:
    begins, ends = now if not since.strip() else instant_of(since.strip()), instant_of(until.strip())
    if begins is None or ends is None:
        odd = visible(until if ends is None else since, 40)
        raise Invalid(f"'{odd}' is no time; write a day such as 2026-12-24, which begins at midnight UTC, or an instant such as 2026-12-24T18:00:00Z")
    begins = max(begins, now)
    if ends <= begins or ends - begins > LONGEST:
        raise Invalid(f"a cover ends after it begins ({clock.to_text(begins)}), and {LONGEST.days} days later at most; it ends by itself")
    if begins - now > FARTHEST:
        raise Invalid(f"a cover is arranged at most {FARTHEST.days} days ahead")
    return begins, ends


def _refuse_no_colleague(person: str, deputy: str) -> None:
    """Deciding shows what is to be decided: whoever is in no team with the person is not shown it by a colleague's leave alone."""
    both = {person, deputy} if deputy.isprintable() and person.isprintable() else set[str]()
    if person == deputy or person in SamePerson.objects.others_of(both).get(deputy, ()):
        raise Invalid("nobody stands in for themselves, with whichever of their accounts; name somebody else")
    asked = people_asked(both, ())
    if deputy not in asked or person not in asked or not asked[deputy] & asked[person]:
        raise NotGranted(
            f"'{visible(deputy, 80)}' can't stand in for '{visible(person, 80)}': both must be active, of a role that is asked for approvals, and "
            "in a team together; `manage.py members TEAM --add PERSON` lets somebody in"
        )


def _refuse_double(person: User, deputy: User, begins: datetime, ends: datetime, now: datetime) -> None:
    ahead = Cover.objects.ahead(now).filter(person=person)
    if ahead.filter(deputy=deputy, since__lt=ends, until__gt=begins).exists():
        raise Conflict(f"'{deputy.username}' stands in for '{person.username}' already, at some of that time; end that cover before")
    if ahead.count() >= MOST_AHEAD:
        raise Conflict(f"'{person.username}' has {MOST_AHEAD} covers that are not over, which is the most; end one before")


def _note(turn: Turn, verb: Verb, cover: Cover) -> None:
    """Who is away, and who stands in, are openings: names of people may have to be erased."""
    facts = {"cover": str(cover.pk), "person": cover.person_id, "deputy": cover.deputy_id}
    facts |= {"since": clock.to_text(cover.since), "until": clock.to_text(cover.until)}
    names = {"person": cover.person.username, "deputy": cover.deputy.username}
    turn.note(verb, f"person:{cover.person_id}", team=None, facts=facts, openings=names)
    turn.close()
