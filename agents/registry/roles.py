"""Roles: groups that come with the installation, what each lets somebody do, and how a person stands by all that they were given.

Whoever has no role acts for their teams as a member always did; a role says less than that, or something beyond it. Knows no request.
Called by whoever builds an Actor, and by the use-cases that say who may be given what.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import Group, User
from django.db.models import Q

from agents.models import Team
from audit.actors import ACTS, CHANGE_THINGS, MANAGE_PEOPLE, OPERATE_RUNS, SEE_EVERYTHING, START_RUNS, STOP_EVERYTHING, Actor

PERMISSIONS: Final[Mapping[str, tuple[str, str]]] = {SEE_EVERYTHING: ("audit", "see_everything"), MANAGE_PEOPLE: ("agents", "manage_people")}
"""What a person may be given beyond their teams, as Django's permissions: (app, codename)."""
BEYOND: Final[Mapping[str, tuple[str, str]]] = {**PERMISSIONS, STOP_EVERYTHING: ("agents", "stop_everything")}
"""The same, and what only a role gives."""
WITHIN: Final[Mapping[str, tuple[str, str]]] = {
    START_RUNS: ("agents", "start_runs"),
    OPERATE_RUNS: ("agents", "operate_runs"),
    CHANGE_THINGS: ("agents", "change_things"),
}
"""What roles let somebody do for the teams that they belong to."""
ROLES: Final[Mapping[str, frozenset[str]]] = {
    "operator": frozenset({START_RUNS, OPERATE_RUNS}),
    "agent-owner": frozenset({CHANGE_THINGS}),
    "approver": frozenset(),
    "compliance": frozenset({SEE_EVERYTHING, STOP_EVERYTHING}),
    "auditor": frozenset({SEE_EVERYTHING}),
    "integration": frozenset({START_RUNS}),
}
"""As the migration makes them. What holds is what the groups have in the database."""
MEANS: Final[Mapping[str, str]] = {
    "operator": "Starts runs of their teams, cancels them, answers what they wait for, judges them again; publishes nothing.",
    "agent-owner": "Applies, publishes, rolls back, suspends, resumes and retires what their teams own; runs nothing.",
    "approver": "Looks at what their teams own; changes nothing.",
    "compliance": "Sees everything of every team; stops all that can be stopped and cancels runs of every team; lifts no stop, changes nothing else.",
    "auditor": "Sees everything of every team; changes nothing.",
    "integration": "A program: starts runs of its teams and reads, with a token; does not sign in.",
}
FOR_PROGRAMS: Final = frozenset({"integration"})
"""Whoever has no other role asks with tokens, and doesn't sign in."""
NEVER_ASKED: Final = FOR_PROGRAMS | {"auditor"}
"""Whoever has no other role approves nothing: a program is no person, and whoever audits looks at what others have decided."""


@dataclass(frozen=True, slots=True)
class Given:
    """A person's roles, what they may do for their own teams, and what beyond."""

    roles: frozenset[str]
    does: frozenset[str]
    beyond: frozenset[str]


def given_to(person: User) -> Given:
    """Whether or not they may sign in now. Two statements; an administrator has everything, whatever their roles say."""
    if person.is_superuser:
        return Given(frozenset(), ACTS, frozenset(BEYOND))
    named = Group.objects.filter(user=person).values_list("name", "permissions__content_type__app_label", "permissions__codename")
    rows = [(name, (str(app), str(code))) for name, app, code in named]
    own = {(app, code) for app, code in person.user_permissions.values_list("content_type__app_label", "codename")}
    held = own | {code for _, code in rows}
    roles = frozenset(name for name, _ in rows) & ROLES.keys()
    does = frozenset(right for right, code in WITHIN.items() if code in held) if roles else ACTS
    return Given(roles, does, frozenset(name for name, code in BEYOND.items() if code in held))


def may_be_asked(actor: Actor) -> bool:
    """Whether this is somebody whose yes or no counts where a policy asks them."""
    return actor.kind == "person" and not (actor.roles and actor.roles <= NEVER_ASKED)


def people_asked(people: Collection[str], teams: Collection[str]) -> dict[str, frozenset[str]]:
    """Of these people and the members of these teams those whose yes counts: who may sign in, and has not only a role that is never asked.

    By name, each with all teams that they belong to. Three statements, however many there are.
    """
    members = Team.members.through.objects.filter(team__name__in=teams).values("user_id")
    found = User.objects.filter(Q(username__in=people) | Q(pk__in=members), is_active=True).only("pk", "username", "is_superuser")
    rows = {person.pk: person for person in found}
    belongs, roles = defaultdict(set), defaultdict(set)
    for person, team in Team.members.through.objects.filter(user_id__in=rows).values_list("user_id", "team__name"):
        belongs[person].add(team)
    for person, role in Group.objects.filter(name__in=ROLES, user__in=rows).values_list("user__pk", "name"):
        roles[person].add(role)
    free = [row for key, row in rows.items() if row.is_superuser or not roles[key] or not roles[key] <= NEVER_ASKED]
    return {row.username: frozenset(belongs[row.pk]) for row in free}


def is_for_programs(person: User) -> bool:
    """Whether nothing but a program acts by this account."""
    names = set(Group.objects.filter(user=person, name__in=ROLES).values_list("name", flat=True)) if not person.is_superuser else set()
    return bool(names) and names <= FOR_PROGRAMS
