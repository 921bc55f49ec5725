"""People: who may sign in, who belongs to which team, whom a team is shown to. Each change with its entry.

Knows Django's users and no session. Called by the commands, the admin and the API; what a person may then do is computed anew at each request.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError, transaction
from guardian.shortcuts import assign_perm, remove_perm

from agents.errors import NotGranted, UnknownPerson, UnknownTeam
from agents.models import Team, TeamGroupObjectPermission, TeamUserObjectPermission
from agents.models.sharing import VIEW
from agents.models.team import TeamQuerySet
from audit import clock
from audit.actors import CHANGE_EVERYTHING, MANAGE_PEOPLE, SEE_EVERYTHING, Actor
from audit.errors import Conflict, Invalid
from audit.ledger import Verb
from audit.visible import visible

from . import verbs
from .releases import nearest
from .writing import Turn, record_refusal

PERMISSIONS: Final[Mapping[str, tuple[str, str]]] = {SEE_EVERYTHING: ("audit", "see_everything"), MANAGE_PEOPLE: ("agents", "manage_people")}
"""What a person may be given beyond their teams, as Django's permissions: (app, codename)."""

PASSWORD_BYTES = 12
RESERVED: Final = frozenset({"nobody", "system"})
"""Ids of actors that are no person."""
_credentials: Final[list[Callable[[User], int]]] = []
_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@.+_-]{0,149}")


def end_with_password(end: Callable[[User], int]) -> None:
    """Make known what else lets somebody act as a person: `end` takes it away and says how many there were. Called from AppConfig.ready."""
    if end not in _credentials:
        _credentials.append(end)


def create_person(username: str, *, actor: Actor, administrator: bool = False, now: datetime | None = None) -> tuple[User, str]:
    """A new account that may sign in, and its random password: to be shown once, kept only as a hash. NotGranted, Invalid (the name), Conflict."""
    if not _USERNAME.fullmatch(username) or username.lower() in RESERVED:
        raise Invalid(f"'{username[:80]}' can't be a name to sign in with: letters, digits and @ . + - _, a letter or digit first, at most 150")
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    hashed = make_password(password)  # before the transaction: it takes as long as a password hash should
    try:
        with transaction.atomic(durable=True):
            turn = _turn(actor, now, f"create '{username}'")
            if administrator and not _administers(actor):
                raise NotGranted("only an administrator makes another one")
            person = User.objects.create(username=username, password=hashed, is_staff=True, is_superuser=administrator)
            _note(turn, verbs.PERSON_CREATED, person, facts={"administrator": administrator})
            turn.close()
    except IntegrityError as error:
        raise _refused(Conflict(f"there is a person '{username}' already"), actor, now) from error
    except NotGranted as refusal:
        raise _refused(refusal, actor, now) from None
    return person, password


def set_active(username: str, *, active: bool, actor: Actor, now: datetime | None = None) -> User:
    """Whether this person may sign in; false ends open sessions and tokens at their next request. NotGranted, UnknownPerson, Conflict."""

    def change(turn: Turn, person: User) -> None:
        _require_not_above(turn.actor, person, may_have_more=True)
        if not active and person.is_superuser and turn.actor.kind != "system":
            _require_another_administrator(person)
        if not User.objects.filter(pk=person.pk, is_active=not active).update(is_active=active):
            raise Conflict(f"'{username}' is {'active' if active else 'inactive'} already")
        _note(turn, verbs.PERSON_CHANGED, person, facts={"active": active})

    return _changed_person(username, actor, now, change)


def reset_password(username: str, *, actor: Actor, now: datetime | None = None) -> tuple[User, str]:
    """A new random password in place of the present one; it also ends the person's sessions and tokens. NotGranted, UnknownPerson."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    hashed = make_password(password)

    def change(turn: Turn, person: User) -> None:
        _require_not_above(turn.actor, person)
        User.objects.filter(pk=person.pk).update(password=hashed)
        ended = sum(end(person) for end in _credentials)
        _note(turn, verbs.PERSON_CHANGED, person, facts={"password": "reset", "tokens_ended": ended})

    return _changed_person(username, actor, now, change), password


def permit_person(username: str, permission: str, *, allowed: bool, actor: Actor, now: datetime | None = None) -> User:
    """Give or take `see-everything` or `manage-people`; nobody gives what they don't have. NotGranted, UnknownPerson, Invalid (an unknown one)."""
    if permission not in PERMISSIONS:
        raise Invalid(f"there is no permission '{permission[:80]}'; people can be given {' and '.join(sorted(PERMISSIONS))}")
    app, codename = PERMISSIONS[permission]

    def change(turn: Turn, person: User) -> None:
        if permission not in turn.actor.permissions and turn.actor.kind != "system":
            raise NotGranted(f"you don't have the permission {permission}, so you can't give or take it; ask an administrator")
        row = Permission.objects.get(content_type__app_label=app, codename=codename)
        (person.user_permissions.add if allowed else person.user_permissions.remove)(row)
        _note(turn, verbs.PERSON_CHANGED, person, facts={"permission": permission, "allowed": allowed})

    return _changed_person(username, actor, now, change)


def add_member(team: str, username: str, *, actor: Actor, now: datetime | None = None) -> Team:
    """The person belongs to the team: sees what is its, and may act for it. NotGranted, UnknownTeam, UnknownPerson, Conflict."""

    def change(turn: Turn, found: Team, person: User) -> None:
        _require_own(turn.actor, team)
        if found.members.filter(pk=person.pk).exists():
            raise Conflict(f"'{username}' is a member of team '{team}' already")
        found.members.add(person)
        _note(turn, verbs.MEMBER_ADDED, person, team=found)

    return _changed_team(team, username, actor, now, change)


def remove_member(team: str, username: str, *, actor: Actor, now: datetime | None = None) -> Team:
    """The person belongs to the team no more, from the next request on. NotGranted, UnknownTeam, UnknownPerson, Conflict."""

    def change(turn: Turn, found: Team, person: User) -> None:
        if not found.members.filter(pk=person.pk).exists():
            raise Conflict(f"'{username}' is no member of team '{team}'")
        found.members.remove(person)
        _note(turn, verbs.MEMBER_REMOVED, person, team=found)

    return _changed_team(team, username, actor, now, change)


def show_team(team: str, username: str, *, actor: Actor, now: datetime | None = None) -> Team:
    """The person may look at what the team owns, and do nothing to it. NotGranted, UnknownTeam, UnknownPerson, Conflict."""

    def change(turn: Turn, found: Team, person: User) -> None:
        _require_own(turn.actor, team)
        if _is_shown(found, person):
            raise Conflict(f"team '{team}' is shown to '{username}' already")
        assign_perm(VIEW, person, found)
        _note(turn, verbs.TEAM_SHOWN, person, team=found)

    return _changed_team(team, username, actor, now, change)


def hide_team(team: str, username: str, *, actor: Actor, now: datetime | None = None) -> Team:
    """The team is no longer shown to the person; members see it all the same. NotGranted, UnknownTeam, UnknownPerson, Conflict."""

    def change(turn: Turn, found: Team, person: User) -> None:
        if not _is_shown(found, person):
            raise Conflict(f"team '{team}' is not shown to '{username}'")
        remove_perm(VIEW, person, found)
        _note(turn, verbs.TEAM_HIDDEN, person, team=found)

    return _changed_team(team, username, actor, now, change)


@dataclass(frozen=True, slots=True)
class People:
    """A team's people, by the names they sign in with."""

    team: str
    members: tuple[str, ...]
    shown_to: tuple[str, ...]


def people_of(team: str, *, actor: Actor) -> People:
    """Who belongs to a team and whom it is shown to. UnknownTeam, also for one that the actor may not see."""
    found = _team(team, Team.objects.visible_to(actor))
    shown = TeamUserObjectPermission.objects.filter(content_object=found, permission__codename=VIEW)
    members = tuple(found.members.order_by("username").values_list("username", flat=True))
    return People(found.name, members, tuple(shown.order_by("user__username").values_list("user__username", flat=True)))


def shown_to(person: User) -> frozenset[str]:
    """The names of the teams that are shown to this person, or to a group of theirs."""
    people = TeamUserObjectPermission.objects.filter(user=person, permission__codename=VIEW)
    groups = TeamGroupObjectPermission.objects.filter(group__user=person, permission__codename=VIEW)
    return frozenset(people.values_list("content_object__name", flat=True).union(groups.values_list("content_object__name", flat=True)))


def permissions_of(person: User) -> frozenset[str]:
    """What this person was given beyond their teams, whether or not they may sign in now: `has_perm` knows nothing of who may not."""
    if person.is_superuser:
        return frozenset(PERMISSIONS)
    rows = (person.user_permissions.all(), Permission.objects.filter(group__user=person))
    given = {code for each in rows for code in each.values_list("content_type__app_label", "codename")}
    return frozenset(name for name, code in PERMISSIONS.items() if code in given)


def _team(name: str, teams: TeamQuerySet) -> Team:
    team = teams.filter(name=name).first() if name.isprintable() else None
    if team is None:
        raise UnknownTeam(f"there is no team '{visible(name, 80)}'{nearest(name, teams.values_list('name', flat=True))}", team=visible(name, 80))
    return team


def _is_shown(team: Team, person: User) -> bool:
    return TeamUserObjectPermission.objects.filter(content_object=team, user=person, permission__codename=VIEW).exists()


def _changed_person(username: str, actor: Actor, now: datetime | None, change: Any) -> User:
    try:
        with transaction.atomic(durable=True):
            turn = _turn(actor, now, f"change '{username[:80]}'")
            person = _person(username)
            change(turn, person)
            turn.close()
            person.refresh_from_db()
    except (NotGranted, UnknownPerson, Conflict) as refusal:
        raise _refused(refusal, actor, now) from None
    return person


def _changed_team(name: str, username: str, actor: Actor, now: datetime | None, change: Any) -> Team:
    try:
        with transaction.atomic(durable=True):
            turn = _turn(actor, now, f"say who belongs to team '{name[:80]}'")
            team = _team(name, Team.objects.select_for_update().visible_to(actor))
            change(turn, team, _person(username))
            turn.close()
    except (NotGranted, UnknownTeam, UnknownPerson, Conflict) as refusal:
        raise _refused(refusal, actor, now) from None
    return team


def _turn(actor: Actor, now: datetime | None, what: str) -> Turn:
    if not actor.may_manage_people:
        raise NotGranted(f"you may not {what}: that needs the permission {MANAGE_PEOPLE}; ask whoever administers this installation")
    return Turn(actor, now or clock.now())


def _administers(actor: Actor) -> bool:
    return actor.kind == "system" or CHANGE_EVERYTHING in actor.permissions


def _require_own(actor: Actor, team: str) -> None:
    """Nobody gives what isn't theirs: else who manages people would enter any team that they see, with an account made for that."""
    if not actor.may_change(team):
        raise NotGranted(f"you are not a member of team '{team}', so you can't let anybody in; ask a member who manages people, or an administrator")


def _require_not_above(actor: Actor, person: User, *, may_have_more: bool = False) -> None:
    """Whoever sets a password could sign in with it: so not that of somebody who may do or see more. An administrator is everybody else's limit."""
    if _administers(actor):
        return
    if person.is_superuser:
        raise NotGranted(f"'{person.username}' administers this installation; only an administrator may do this")
    teams = set(Team.objects.filter(members=person).values_list("name", flat=True))
    unseen = frozenset() if actor.sees_everything else shown_to(person) - actor.sees
    if not may_have_more and (permissions_of(person) - actor.permissions or teams - actor.teams or unseen):
        raise NotGranted(f"'{person.username}' may see or do more than you; ask an administrator")


def _require_another_administrator(person: User) -> None:
    """Conflict for the last one: only a shell could let anybody in again."""
    # One at a time: two who deactivate each other would each find the other.
    Permission.objects.select_for_update().get(content_type__app_label="agents", codename="manage_people")
    if not User.objects.filter(is_superuser=True, is_active=True).exclude(pk=person.pk).exists():
        raise Conflict(f"'{person.username}' is the last administrator who may sign in; make another one first")


def _person(username: str) -> User:
    person = User.objects.select_for_update().filter(username=username).first() if username.isprintable() else None
    if person is None:
        raise UnknownPerson(f"there is no person '{visible(username, 80)}'; `manage.py person NAME --create` makes an account")
    return person


def _note(turn: Turn, verb: Verb, person: User, *, team: Team | None = None, facts: Mapping[str, Any] | None = None) -> None:
    subject = f"person:{person.pk}" if team is None else team.subject
    of = None if team is None else team.name
    turn.note(verb, subject, team=of, facts={"person": person.pk, **(facts or {})}, openings={"person": person.username})


def _refused(refusal: Any, actor: Actor, now: datetime | None) -> Any:
    """Recorded after the rollback; returned to be raised."""
    record_refusal(actor, "person:?", now=now, problems=[refusal.message], facts={"code": refusal.code}, verb=verbs.PEOPLE_REFUSED)
    return refusal
