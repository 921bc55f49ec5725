"""On whose behalf something is done, and whether that person may still have it done: membership and roles as they are at this moment.

Reads only, for many people as many statements as for one. Called by the boundary before calls, and by whoever asks beforehand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.models import Group, Permission, User

from audit.actors import ACTS, OPERATE_RUNS, START_RUNS
from audit.visible import visible

from .roles import ROLES, WITHIN

PERSON: Final = "person:"


@dataclass(frozen=True, slots=True)
class Behalf:
    """Somebody who had something done by runs of a team, and what they need to be able to do for it: start runs, or judge them again."""

    person: str
    team: str
    right: str = START_RUNS

    @classmethod
    def of(cls, started_by: str, team: str, *, judges_again: bool = False) -> Behalf | None:
        """None for what the system started: nobody's rights bound that."""
        if not started_by.startswith(PERSON):
            return None
        return cls(started_by.removeprefix(PERSON), team, OPERATE_RUNS if judges_again else START_RUNS)

    @property
    def does(self) -> str:
        return "judge runs again" if self.right == OPERATE_RUNS else "start runs"


@dataclass(slots=True)
class _Person:
    """What bears on it: an administrator belongs everywhere and may everything, whatever their roles say."""

    is_active: bool
    administers: bool
    teams: set[str]
    roles: set[str]
    held: set[tuple[str, str]]


def why_lost(wanted: Collection[Behalf]) -> dict[Behalf, str | None]:
    """Why each of these may not any more, as a clause about that person; None where they may."""
    people = _people({each.person for each in wanted}) if wanted else {}
    return {each: _why(each, people.get(each.person)) for each in wanted}


def _why(behalf: Behalf, person: _Person | None) -> str | None:
    if person is None:
        return "has no account here any more"
    if not person.is_active:
        return "may not sign in any more"
    if person.administers:
        return None
    if behalf.team not in person.teams:
        return f"does not belong to team '{behalf.team}'"
    does = {right for right, code in WITHIN.items() if code in person.held} if person.roles else ACTS
    if behalf.right in does:
        return None
    return f"may not {behalf.does} of team '{behalf.team}' with their {'roles' if len(person.roles) > 1 else 'role'}"


def _people(names: Collection[str]) -> dict[str, _Person]:
    """One statement; one or two more where one of them is no administrator."""
    found: dict[str, _Person] = {}
    columns = ("username", "is_active", "is_superuser", "orchestra_teams__name")
    for name, active, administers, team in User.objects.filter(username__in=names).values_list(*columns):
        person = found.setdefault(name, _Person(active, administers, set(), set(), set()))
        person.teams |= {team} if team is not None else set()
    plain = [name for name, person in found.items() if person.is_active and not person.administers]
    if plain:
        _add_given(found, plain)
    return found


def _add_given(found: dict[str, _Person], names: Collection[str]) -> None:
    held: dict[str, set[tuple[Any, Any]]] = defaultdict(set)
    columns = ("user__username", "name", "permissions__content_type__app_label", "permissions__codename")
    for name, role, app, code in Group.objects.filter(user__username__in=names).values_list(*columns):
        held[name] |= {(app, code)}
        found[name].roles |= {role} & ROLES.keys()
    own = Permission.objects.filter(user__username__in=[name for name in names if found[name].roles])
    for name, app, code in own.values_list("user__username", "content_type__app_label", "codename"):
        held[name] |= {(app, code)}
    for name, codes in held.items():
        found[name].held |= codes


def said(behalf: Behalf, why: str) -> str:
    """As a refusal says it, with what to do."""
    did = "judges it again" if behalf.right == OPERATE_RUNS else "starts it anew"
    whoever = f"somebody who may {behalf.does} of team '{behalf.team}' {did}"
    return f"the run is made on behalf of '{visible(behalf.person, 150)}', who {why}, so no call of it is sent: {whoever}"
