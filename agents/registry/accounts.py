"""Accounts: who may sign in, by which password, and what they may beyond their teams. Each change with its entry.

Knows Django's users and no session; what else lets somebody act as a person (tokens) makes itself known here. Called by the commands,
the admin, the API and the site. No password is ever kept, noted or said in a refusal.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from agents.errors import NotGranted, UnknownPerson, WrongPassword
from agents.models import SamePerson, Team
from audit import clock
from audit.actors import CHANGE_EVERYTHING, Actor
from audit.errors import Conflict, Invalid, OrchestraError
from audit.visible import visible

from . import verbs
from .people import note, permissions_of, person_named, refused, shown_to, turn_of
from .roles import PERMISSIONS, given_to
from .writing import Turn

PASSWORD_BYTES: Final = 12
MOST_CHARACTERS: Final = 1_000
"""Of a password: hashing a longer one is work for nothing."""
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
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    try:
        _refuse_odd_name(username)
        hashed = make_password(password)  # before the transaction: it takes as long as a password hash should
        with transaction.atomic(durable=True):
            turn = turn_of(actor, now, f"create '{username}'")
            if administrator and not actor.administers:
                raise NotGranted("only an administrator makes another one")
            _refuse_taken(username)
            person = User.objects.create(username=username, password=hashed, is_staff=True, is_superuser=administrator)
            note(turn, verbs.PERSON_CREATED, person, facts={"administrator": administrator})
            turn.close()
    except IntegrityError as error:
        raise refused(Conflict(f"there is a person '{username}' already"), actor, now) from error
    except (NotGranted, Invalid, Conflict) as refusal:
        raise refused(refusal, actor, now) from None
    return person, password


def _refuse_odd_name(username: str) -> None:
    if not _USERNAME.fullmatch(username) or username.lower() in RESERVED:
        raise Invalid(f"'{username[:80]}' can't be a name to sign in with: letters, digits and @ . + - _, a letter or digit first, at most 150")


def _refuse_taken(username: str) -> None:
    """Names are told apart by capital letters where somebody signs in, and by nobody who reads them."""
    taken = User.objects.filter(username__iexact=username).order_by("username").values_list("username", flat=True).first()
    if taken == username:
        raise Conflict(f"there is a person '{username}' already")
    if taken is not None:
        raise Conflict(f"there is a person '{taken}' already, and '{username}' differs from that only in capital letters; choose another name")


def set_active(username: str, *, active: bool, actor: Actor, now: datetime | None = None) -> User:
    """Whether this person may sign in; false ends open sessions and tokens at their next request. NotGranted, UnknownPerson, Conflict."""

    def change(turn: Turn, person: User) -> None:
        require_not_above(turn.actor, person, may_have_more=True)
        if not active and person.is_superuser and turn.actor.kind != "system":
            _require_another_administrator(person)
        if not User.objects.filter(pk=person.pk, is_active=not active).update(is_active=active):
            raise Conflict(f"'{username}' is {'active' if active else 'inactive'} already")
        note(turn, verbs.PERSON_CHANGED, person, facts={"active": active})

    return _changed_person(username, actor, now, change)


def reset_password(username: str, *, actor: Actor, now: datetime | None = None) -> tuple[User, str]:
    """A new random password in place of the present one; it also ends the person's sessions and tokens. NotGranted, UnknownPerson."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    hashed = make_password(password)

    def change(turn: Turn, person: User) -> None:
        require_not_above(turn.actor, person)
        _set_password(turn, person, hashed, how="reset")

    return _changed_person(username, actor, now, change), password


def change_password(username: str, *, old: str, new: str, actor: Actor, now: datetime | None = None) -> int:
    """A person's own new password in place of `old`; it ends their other sessions and all their tokens, whose number it returns.

    NotGranted (somebody else's), WrongPassword, Invalid with `problems` (the new one), Conflict (it was changed in the meantime).
    How often somebody may be wrong is for the caller to bound.
    """
    try:
        before = _checked(username, old, new, actor)
        hashed = make_password(new)
        with transaction.atomic(durable=True):
            turn, person = Turn(actor, now or clock.now()), person_named(username)
            if person.password != before or not person.is_active:
                raise Conflict("the password was changed, or the account deactivated, at this moment; sign in again")
            ended = _set_password(turn, person, hashed, how="changed")
            turn.close()
    except OrchestraError as refusal:
        raise refused(refusal, actor, now) from None
    return ended


def _checked(username: str, old: str, new: str, actor: Actor) -> str:
    """The hash that `old` fits. It takes as long as a password hash should, so nothing is locked meanwhile."""
    if actor.kind != "person" or actor.id != username:
        raise NotGranted("you change your own password only; whoever manages people sets a new one for somebody else")
    person = User.objects.filter(username=username, is_active=True).first()
    if person is None:
        raise UnknownPerson(f"there is no person '{username[:80]}' who may sign in")
    if len(old) > MOST_CHARACTERS or not check_password(old, person.password):
        raise WrongPassword
    if len(problems := _problems(old, new, person)) == 1:
        raise Invalid(f"the new password can't be used: {problems[0]}")
    if problems:
        raise Invalid(f"the new password can't be used, for {len(problems)} reasons", problems=problems)
    return person.password


def _problems(old: str, new: str, person: User) -> Sequence[str]:
    if len(new) > MOST_CHARACTERS:
        return [f"It has {len(new):,} characters; at most {MOST_CHARACTERS:,} are taken."]
    if new == old:
        return ["It is the present one."]
    try:
        validate_password(new, person)
    except ValidationError as odd:
        return list(odd.messages)
    return []


def _set_password(turn: Turn, person: User, hashed: str, *, how: str) -> int:
    """Sessions know a password by its hash, so they end with it; whoever changes their own keeps the one they do it in."""
    User.objects.filter(pk=person.pk).update(password=hashed)
    ended = sum(end(person) for end in _credentials)
    note(turn, verbs.PERSON_CHANGED, person, facts={"password": how, "tokens_ended": ended})
    return ended


def permit_person(username: str, permission: str, *, allowed: bool, actor: Actor, now: datetime | None = None) -> User:
    """Give or take `see-everything` or `manage-people`; nobody gives what they don't have. NotGranted, UnknownPerson, Invalid (an unknown one)."""

    def change(turn: Turn, person: User) -> None:
        if permission not in PERMISSIONS:
            raise Invalid(f"there is no permission '{permission[:80]}'; people can be given {' and '.join(sorted(PERMISSIONS))}")
        if permission not in turn.actor.permissions and turn.actor.kind != "system":
            raise NotGranted(f"you don't have the permission {permission}, so you can't give or take it; ask an administrator")
        app, codename = PERMISSIONS[permission]
        row = Permission.objects.get(content_type__app_label=app, codename=codename)
        (person.user_permissions.add if allowed else person.user_permissions.remove)(row)
        note(turn, verbs.PERSON_CHANGED, person, facts={"permission": permission, "allowed": allowed})

    return _changed_person(username, actor, now, change)


def people_visible_to(actor: Actor) -> QuerySet[User]:
    """Accounts: all for whoever manages people, one's own for everybody else. Who belongs to a team is said with the team."""
    if actor.may_manage_people:
        return User.objects.all()
    return User.objects.filter(username=actor.id, is_active=True) if actor.kind == "person" else User.objects.none()


def people_known_to(actor: Actor) -> QuerySet[User]:
    """Accounts whose names the actor may read somewhere: those that they see, and the members of the teams that they see."""
    seen = people_visible_to(actor)
    members = Team.members.through.objects.filter(team__in=Team.objects.visible_to(actor)).values("user_id")
    return User.objects.filter(Q(pk__in=seen.values("pk")) | Q(pk__in=members))


def person_shown(username: str, *, actor: Actor) -> User:
    """The account, if the actor may see it. UnknownPerson."""
    found = people_visible_to(actor).filter(username=username).first() if username.isprintable() else None
    if found is None:
        raise UnknownPerson(f"there is no person '{visible(username, 80)}' whose account you may see")
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """A person's teams as far as whoever asks sees them; of the others only how many."""

    teams: Sequence[Team]
    other_teams: int
    shown: Sequence[Team]
    other_shown: int
    permissions: Sequence[str]
    groups: Sequence[Group]
    accounts: Sequence[str]
    """Their other accounts."""


def place_of(person: User, *, actor: Actor) -> Place:
    """Where a person belongs, what is shown to them, by whatever, what they may beyond that, and their groups."""
    names = {team.pk for team in Team.objects.visible_to(actor)} if not actor.sees_everything else None

    def parted(which: Q) -> tuple[Sequence[Team], int]:
        every = list(Team.objects.filter(which))
        seen = [team for team in every if names is None or team.pk in names]
        return seen, len(every) - len(seen)

    accounts = sorted(SamePerson.objects.others_of([person.username]).get(person.username, ()))
    teams, other_teams = parted(Q(members=person))
    shown, other_shown = parted(Q(name__in=shown_to(person)))
    is_own = actor.kind == "person" and actor.id == person.username  # read with the request then
    beyond = actor.permissions - {CHANGE_EVERYTHING} if is_own else permissions_of(person)
    return Place(teams, other_teams, shown, other_shown, sorted(beyond), list(person.groups.order_by("name")), accounts)


def _changed_person(username: str, actor: Actor, now: datetime | None, change: Any) -> User:
    try:
        with transaction.atomic(durable=True):
            turn = turn_of(actor, now, f"change '{username[:80]}'")
            person = person_named(username)
            change(turn, person)
            turn.close()
            person.refresh_from_db()
    except OrchestraError as refusal:
        raise refused(refusal, actor, now) from None
    return person


def require_not_above(actor: Actor, person: User, *, may_have_more: bool = False) -> None:
    """Whoever sets a password could sign in with it: so not that of somebody who may do or see more. An administrator is everybody else's limit."""
    if actor.administers:
        return
    if person.is_superuser:
        raise NotGranted(f"'{person.username}' administers this installation; only an administrator may do this")
    teams = set(Team.objects.filter(members=person).values_list("name", flat=True))
    unseen = frozenset() if actor.sees_everything else shown_to(person) - actor.sees
    given = given_to(person)
    more = given.beyond - actor.permissions or given.does - actor.does or teams - actor.teams
    if not may_have_more and (more or unseen):
        raise NotGranted(f"'{person.username}' may see or do more than you; ask an administrator")


def _require_another_administrator(person: User) -> None:
    """Conflict for the last one: only a shell could let anybody in again."""
    if not User.objects.filter(is_superuser=True, is_active=True).exclude(pk=person.pk).exists():
        raise Conflict(f"'{person.username}' is the last administrator who may sign in; make another one first")
