"""Who makes a request: Django's users become Actors here, anew at each request, so that what is taken from somebody is gone at once.

Owns how a user's rights are read; decides nothing. Used by the middleware and by REST authentication.
"""

from collections.abc import Callable

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from agents.models import Team
from agents.registry.people import shown_to
from agents.registry.roles import given_to
from audit.actors import CHANGE_EVERYTHING, Actor, Credential
from orchestra_site.credentials import session_of

GetResponse = Callable[[HttpRequest], HttpResponse]


def actor_for(user: AbstractBaseUser | AnonymousUser, *, auth: str, by: Credential | None = None) -> Actor:
    """What this person may see and do now. Nobody, where they have not signed in or may not any more."""
    if not isinstance(user, User) or not user.is_active:
        return Actor.nobody()
    given = given_to(user)
    return Actor(
        kind="person",
        id=user.username,
        auth=auth,
        teams=frozenset(Team.objects.filter(members=user).values_list("name", flat=True)),
        reads=shown_to(user),
        permissions=given.beyond | {CHANGE_EVERYTHING} if user.is_superuser else given.beyond,
        does=given.does,
        roles=given.roles,
        by=by,
    )


def actor_middleware(get_response: GetResponse) -> GetResponse:
    """Puts the actor of the session on each request, read from the database only where somebody asks."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.actor = SimpleLazyObject(lambda: actor_for(request.user, auth="session", by=session_of(request)))  # type: ignore[attr-defined]
        return get_response(request)

    return middleware
