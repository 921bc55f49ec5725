"""People and teams: who belongs to which team, whom a team is shown to, and what a person is given. Each change with its entry.

Knows Django's users and no session; groups have a module of their own. Called by the commands, the admin and the API; what a person may then
do is computed anew at each request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import Q
from guardian.shortcuts import assign_perm, remove_perm

from agents.errors import NotGranted, UnknownPerson, UnknownTeam
from agents.models import Team, TeamGroupObjectPermission, TeamUserObjectPermission
from agents.models.sharing import VIEW
from agents.models.team import TeamQuerySet
from audit import clock
from audit.actors import MANAGE_PEOPLE, Actor
from audit.errors import Conflict
from audit.ledger import Verb
from audit.visible import visible

from . import verbs
from .releases import nearest
from .roles import given_to
from .writing import Turn, record_refusal


def add_member(team: str, username: str, *, actor: Actor, now: datetime | None = None) -> Team:
    """The person belongs to the team: sees what is its, and may act for it. NotGranted, UnknownTeam, UnknownPerson, Conflict."""

    def change(turn: Turn, found: Team, person: User) -> None:
        require_own(turn.actor, team)
        if found.members.filter(pk=person.pk).exists():
            raise Conflict(f"'{username}' is a member of team '{team}' already")
        found.members.add(person)
        note(turn, verbs.MEMBER_ADDED, person, team=found)

    return _changed_team(team, username, actor, now, change)


def remove_member(team: str, username: str, *, actor: Actor, now: datetime | None = None) -> Team:
    """The person belongs to the team no more, from the next request on. NotGranted, UnknownTeam, UnknownPerson, Conflict."""

    def change(turn: Turn, found: Team, person: User) -> None:
        if not found.members.filter(pk=person.pk).exists():
            raise Conflict(f"'{username}' is no member of team '{team}'")
        found.members.remove(person)
        note(turn, verbs.MEMBER_REMOVED, person, team=found)

    return _changed_team(team, username, actor, now, change)


def show_team(team: str, username: str, *, actor: Actor, now: datetime | None = None) -> Team:
    """The person may look at what the team owns, and do nothing to it. NotGranted, UnknownTeam, UnknownPerson, Conflict."""

    def change(turn: Turn, found: Team, person: User) -> None:
        require_own(turn.actor, team)
        if _is_shown(found, person):
            raise Conflict(f"team '{team}' is shown to '{username}' already")
        assign_perm(VIEW, person, found)
        note(turn, verbs.TEAM_SHOWN, person, team=found)

    return _changed_team(team, username, actor, now, change)


def hide_team(team: str, username: str, *, actor: Actor, now: datetime | None = None) -> Team:
    """The team is no longer shown to the person; members see it all the same. NotGranted, UnknownTeam, UnknownPerson, Conflict."""

    def change(turn: Turn, found: Team, person: User) -> None:
        if not _is_shown(found, person):
            raise Conflict(f"team '{team}' is not shown to '{username}'")
        remove_perm(VIEW, person, found)
        note(turn, verbs.TEAM_HIDDEN, person, team=found)

    return _changed_team(team, username, actor, now, change)


@dataclass(frozen=True, slots=True)
class People:
    """A team's people, by the names they sign in with."""

    team: str
    members: tuple[str, ...]
    shown_to: tuple[str, ...]
    groups: tuple[Group, ...]


def people_of(team: str, *, actor: Actor) -> People:
    """Who belongs to a team, and which people and groups it is shown to. UnknownTeam, also for one that the actor may not see."""
    found = team_named(team, Team.objects.visible_to(actor))
    shown = TeamUserObjectPermission.objects.filter(content_object=found, permission__codename=VIEW)
    members = tuple(found.members.order_by("username").values_list("username", flat=True))
    groups = TeamGroupObjectPermission.objects.filter(content_object=found, permission__codename=VIEW).order_by("group__name")
    people = tuple(shown.order_by("user__username").values_list("user__username", flat=True))
    return People(found.name, members, people, tuple(each.group for each in groups.select_related("group")))


def shown_to(person: User) -> frozenset[str]:
    """The names of the teams that are shown to this person, or to a group of theirs."""
    people = TeamUserObjectPermission.objects.filter(user=person, permission__codename=VIEW)
    groups = TeamGroupObjectPermission.objects.filter(group__user=person, permission__codename=VIEW)
    return frozenset(people.values_list("content_object__name", flat=True).union(groups.values_list("content_object__name", flat=True)))


def permissions_of(person: User) -> frozenset[str]:
    """What this person was given beyond their teams, whether or not they may sign in now: `has_perm` knows nothing of who may not."""
    return given_to(person).beyond


def person_asked_about(username: str, *, actor: Actor) -> str:
    """Somebody whom the actor may see: anybody for one who sees everything or manages people, else themselves and their teams' members.

    UnknownPerson.
    """
    rows = User.objects.filter(username=username) if username.isprintable() else User.objects.none()
    if not (actor.sees_everything or actor.may_manage_people):
        own = actor.on_behalf_of if actor.is_agent else actor.id  # an agent asks about its key's owner: that is whose run it would be
        rows = rows.filter(Q(username=own or "") | Q(orchestra_teams__name__in=actor.sees)).distinct()
    if not rows.exists():
        raise UnknownPerson(f"there is no person '{visible(username, 80)}' whom you may see")
    return username


def team_named(name: str, teams: TeamQuerySet) -> Team:
    """The one of these teams; UnknownTeam names the nearest of them."""
    team = teams.filter(name=name).first() if name.isprintable() else None
    if team is None:
        raise UnknownTeam(f"there is no team '{visible(name, 80)}'{nearest(name, teams.values_list('name', flat=True))}", team=visible(name, 80))
    return team


def _is_shown(team: Team, person: User) -> bool:
    return TeamUserObjectPermission.objects.filter(content_object=team, user=person, permission__codename=VIEW).exists()


def _changed_team(name: str, username: str, actor: Actor, now: datetime | None, change: Any) -> Team:
    try:
        with transaction.atomic(durable=True):
            turn = turn_of(actor, now, f"say who belongs to team '{name[:80]}'")
            person = person_named(username)  # before the team's row, as whoever decides or proposes: people's rows come first
            team = team_named(name, Team.objects.select_for_update(no_key=True).visible_to(actor))
            change(turn, team, person)
            turn.close()
    except (NotGranted, UnknownTeam, UnknownPerson, Conflict) as refusal:
        raise refused(refusal, actor, now) from None
    return team


def turn_of(actor: Actor, now: datetime | None, what: str) -> Turn:
    """Of somebody who manages people, by a credential that is still open; NotGranted says what is lacking.

    First in the transaction, and one after the other: each holds the row of whoever asks and then that of whom it is about.
    """
    if not actor.may_manage_people:
        raise NotGranted(f"you may not {what}: that needs the permission {MANAGE_PEOPLE}; ask whoever administers this installation")
    one_at_a_time()
    turn = Turn(actor, now or clock.now())
    if actor.by is not None:
        actor.by.require_open(turn.now)
    return turn


def one_at_a_time() -> None:
    """Two who change at once what each looks at first would not see each other; held until the transaction ends."""
    Permission.objects.select_for_update().get(content_type__app_label="agents", codename="manage_people")


def require_own(actor: Actor, team: str) -> None:
    """Nobody gives what isn't theirs: else who manages people would enter any team that they see, with an account made for that."""
    if not actor.may_let_in(team):
        why = f"you are not a member of team '{team}'" if team not in actor.teams else actor.lacks(team)
        raise NotGranted(f"{why}, so you can't let anybody in; ask a member who manages people, or an administrator")


def person_named(username: str) -> User:
    """The account, locked until the transaction ends. UnknownPerson."""
    person = User.objects.select_for_update().filter(username=username).first() if username.isprintable() else None
    if person is None:
        raise UnknownPerson(f"there is no person '{visible(username, 80)}'; `manage.py person NAME --create` makes an account")
    return person


def note(turn: Turn, verb: Verb, person: User, *, team: Team | None = None, facts: Mapping[str, Any] | None = None) -> None:
    """The entry of a change: about the team where there is one, else about the person, whose name is an opening."""
    subject = f"person:{person.pk}" if team is None else team.subject
    of = None if team is None else team.name
    turn.note(verb, subject, team=of, facts={"person": person.pk, **(facts or {})}, openings={"person": person.username})


def refused(refusal: Any, actor: Actor, now: datetime | None) -> Any:
    """Recorded after the rollback; returned to be raised."""
    record_refusal(actor, "person:?", now=now, problems=[refusal.message], facts={"code": refusal.code}, verb=verbs.PEOPLE_REFUSED)
    return refusal
