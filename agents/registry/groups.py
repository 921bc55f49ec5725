"""Groups of people: made, filled, emptied and deleted, and the teams that are shown to them. Each change with its entry.

A group is Django's; what a person gets by one is read with the rest (`people.shown_to`). Called by the commands, the admin and the API.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import QuerySet
from guardian.shortcuts import assign_perm, remove_perm

from agents.errors import NotGranted, UnknownGroup, UnknownPerson, UnknownTeam
from agents.models import Team, TeamGroupObjectPermission
from agents.models.sharing import VIEW
from agents.models.team import TeamQuerySet
from audit.actors import Actor
from audit.errors import Conflict, Invalid
from audit.ledger import Verb
from audit.visible import visible

from . import verbs
from .people import note, person_named, refused, require_own, team_named, turn_of
from .releases import nearest
from .roles import BEYOND, MEANS, ROLES
from .writing import Turn

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")


def create_group(name: str, *, actor: Actor, now: datetime | None = None) -> Group:
    """A group of nobody, that sees nothing. NotGranted, Invalid (the name), Conflict."""

    def change(turn: Turn) -> Group:
        if not _NAME.fullmatch(name):
            raise Invalid(f"'{visible(name, 80)}' can't be a group's name: a small letter, then small letters, digits and -, at most 63 in all")
        group, made = Group.objects.get_or_create(name=name)
        if not made:
            raise Conflict(f"there is a group '{name}' already")
        _note(turn, verbs.GROUP_CREATED, group)
        return group

    return _changed(actor, now, f"create a group '{name[:80]}'", change)


def delete_group(name: str, *, actor: Actor, now: datetime | None = None) -> None:
    """Only one of nobody that is shown nothing, so that each thing taken has an entry of its own. NotGranted, UnknownGroup, Conflict."""

    def change(turn: Turn) -> Group:
        group = _locked(name)
        if name in ROLES:
            raise Conflict(f"'{name}' is a role, which comes with the installation; take out whoever should not have it")
        people, teams = group.user_set.count(), _teams_shown_to(group).count()
        if people or teams:
            raise Conflict(f"group '{name}' has {people} people and is shown {teams} teams; take them out and hide these first")
        _note(turn, verbs.GROUP_DELETED, group)
        group.delete()
        return group

    _changed(actor, now, f"delete group '{name[:80]}'", change)


def add_to_group(name: str, username: str, *, actor: Actor, now: datetime | None = None) -> Group:
    """The person sees what is shown to the group. Nobody gives what they don't have: NotGranted, UnknownGroup, UnknownPerson, Conflict."""

    def change(turn: Turn) -> Group:
        group, person = _locked(name), person_named(username)
        _require_permissions(turn.actor, group)
        if not all(turn.actor.may_let_in(team) for team in _teams_shown_to(group).values_list("name", flat=True)):
            raise NotGranted(f"group '{name}' is shown teams that you are not a member of, so you can't let anybody in; ask an administrator")
        if group.user_set.filter(pk=person.pk).exists():
            raise Conflict(f"'{username}' is in group '{name}' already")
        person.groups.add(group)
        note(turn, verbs.GROUP_MEMBER_ADDED, person, facts={"group": group.name})
        return group

    return _changed(actor, now, f"say who is in group '{name[:80]}'", change)


def take_from_group(name: str, username: str, *, actor: Actor, now: datetime | None = None) -> Group:
    """From their next request on the person sees by it no more. NotGranted, UnknownGroup, UnknownPerson, Conflict."""

    def change(turn: Turn) -> Group:
        group, person = _locked(name), person_named(username)
        _require_permissions(turn.actor, group)
        if not group.user_set.filter(pk=person.pk).exists():
            raise Conflict(f"'{username}' is not in group '{name}'")
        person.groups.remove(group)
        note(turn, verbs.GROUP_MEMBER_REMOVED, person, facts={"group": group.name})
        return group

    return _changed(actor, now, f"say who is in group '{name[:80]}'", change)


def show_team_to_group(team: str, name: str, *, actor: Actor, now: datetime | None = None) -> Group:
    """Everybody in the group may look at what the team owns, and do nothing to it. NotGranted, UnknownTeam, UnknownGroup, Conflict."""

    def change(turn: Turn) -> Group:
        found = team_named(team, Team.objects.select_for_update(no_key=True).visible_to(turn.actor))
        require_own(turn.actor, team)
        group = _locked(name)
        if _teams_shown_to(group).filter(pk=found.pk).exists():
            raise Conflict(f"team '{team}' is shown to group '{name}' already")
        assign_perm(VIEW, group, found)
        _note(turn, verbs.TEAM_SHOWN_TO_GROUP, group, team=found)
        return group

    return _changed(actor, now, f"say whom team '{team[:80]}' is shown to", change)


def hide_team_from_group(team: str, name: str, *, actor: Actor, now: datetime | None = None) -> Group:
    """Nobody sees the team by this group any more; whoever sees it otherwise still does. NotGranted, UnknownTeam, UnknownGroup, Conflict."""

    def change(turn: Turn) -> Group:
        found = team_named(team, Team.objects.select_for_update(no_key=True).visible_to(turn.actor))
        group = _locked(name)
        if not _teams_shown_to(group).filter(pk=found.pk).exists():
            raise Conflict(f"team '{team}' is not shown to group '{name}'")
        remove_perm(VIEW, group, found)
        _note(turn, verbs.TEAM_HIDDEN_FROM_GROUP, group, team=found)
        return group

    return _changed(actor, now, f"say whom team '{team[:80]}' is shown to", change)


def groups_visible_to(actor: Actor) -> QuerySet[Group]:
    """All for whoever manages people, none for everybody else: to which groups a team is shown is said with the team."""
    return Group.objects.all() if actor.may_manage_people else Group.objects.none()


@dataclass(frozen=True, slots=True)
class GroupPlace:
    """A group's people, and the teams that it is shown as far as whoever asks sees them; of the others only how many."""

    group: Group
    people: Sequence[str]
    shown: Sequence[Team]
    other_shown: int
    permissions: Sequence[str]
    role: str | None
    """What it lets somebody do, where it is a role."""


def group_shown(name: str, *, actor: Actor) -> GroupPlace:
    """UnknownGroup, also for whoever manages nobody."""
    group = _found(name, groups_visible_to(actor))
    teams = _teams_shown_to(group)
    seen = list(teams.visible_to(actor))
    people = list(group.user_set.order_by("username").values_list("username", flat=True))
    return GroupPlace(group, people, seen, teams.count() - len(seen), sorted(_permissions_of(group)), MEANS.get(group.name))


def _changed(actor: Actor, now: datetime | None, what: str, change: Callable[[Turn], Group]) -> Group:
    try:
        with transaction.atomic(durable=True):
            turn = turn_of(actor, now, what)
            group = change(turn)
            turn.close()
    except (NotGranted, UnknownTeam, UnknownGroup, UnknownPerson, Conflict, Invalid) as refusal:
        raise refused(refusal, actor, now) from None
    return group


def _found(name: str, groups: QuerySet[Group]) -> Group:
    group = groups.filter(name=name).first() if name.isprintable() else None
    if group is None:
        names = list(groups.values_list("name", flat=True))
        near = nearest(name, names) if names else ""
        raise UnknownGroup(f"there is no group '{visible(name, 80)}' that you may see{near}; whoever manages people makes one and looks at others'")
    return group


def _locked(name: str) -> Group:
    """Until the transaction ends: nobody enters a group while a team is shown to it, else they would see one that nobody gave them."""
    return _found(name, Group.objects.select_for_update())


def _teams_shown_to(group: Group) -> TeamQuerySet:
    rows = TeamGroupObjectPermission.objects.filter(group=group, permission__codename=VIEW)
    return Team.objects.filter(pk__in=rows.values("content_object"))


def _permissions_of(group: Group) -> frozenset[str]:
    """Only roles have any; where somebody gave one to another group in the database, it counts."""
    codes = set(Permission.objects.filter(group=group).values_list("content_type__app_label", "codename"))
    return frozenset(name for name, code in BEYOND.items() if code in codes)


def _require_permissions(actor: Actor, group: Group) -> None:
    if group.name in ROLES and not actor.administers:  # to take one away may give more than it takes: without any, a member acts for the team
        raise NotGranted(f"'{group.name}' is a role, and roles are given and taken by administrators; ask one")
    missing = _permissions_of(group) - actor.permissions
    if missing and actor.kind != "system":
        raise NotGranted(f"group '{group.name}' gives {' and '.join(sorted(missing))}, which you don't have; ask an administrator")


def _note(turn: Turn, verb: Verb, group: Group, *, team: Team | None = None) -> None:
    subject = f"group:{group.name}" if team is None else team.subject
    turn.note(verb, subject, team=None if team is None else team.name, facts={"group": group.name})
