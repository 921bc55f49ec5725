"""Who makes a request: Django's users become Actors here, anew at each request, so that what is taken from somebody is gone at once.

Decides nothing; how a person's rights are read says the registry. Used by the middleware and by REST authentication.
"""

from collections.abc import Callable

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from agents.registry import actor_of_person
from audit.actors import Actor, Credential
from orchestra_site.credentials import session_of

GetResponse = Callable[[HttpRequest], HttpResponse]


def actor_for(user: AbstractBaseUser | AnonymousUser, *, auth: str, by: Credential | None = None) -> Actor:
    """What this person may see and do now. Nobody, where they have not signed in or may not any more."""
    if not isinstance(user, User):
        return Actor.nobody()
    return actor_of_person(user, auth=auth, by=by)


def actor_middleware(get_response: GetResponse) -> GetResponse:
    """Puts the actor of the session on each request, read from the database only where somebody asks."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.actor = SimpleLazyObject(lambda: actor_for(request.user, auth="session", by=session_of(request)))  # type: ignore[attr-defined]
        return get_response(request)

    return middleware
