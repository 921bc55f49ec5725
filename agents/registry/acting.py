"""What a person may see and do now, as an Actor: the one place that reads a person's rights.

Decides nothing. Called by whoever builds the Actor of a request, and where something works for as long as a person may do something.
"""

from __future__ import annotations

from django.contrib.auth.models import User

from agents.models import Team
from audit.actors import CHANGE_EVERYTHING, Actor, Credential

from .people import shown_to
from .roles import given_to


def actor_of_person(person: User, *, auth: str, by: Credential | None = None) -> Actor:
    """Nobody, where they may not sign in any more."""
    if not person.is_active:
        return Actor.nobody()
    given = given_to(person)
    return Actor(
        kind="person",
        id=person.username,
        auth=auth,
        teams=frozenset(Team.objects.filter(members=person).values_list("name", flat=True)),
        reads=shown_to(person),
        permissions=given.beyond | {CHANGE_EVERYTHING} if person.is_superuser else given.beyond,
        does=given.does,
        roles=given.roles,
        by=by,
    )
