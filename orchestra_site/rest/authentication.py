"""Who asks over REST: a bearer of a person's token, or of an agent's key.

The Actor is made anew at each request, so what is taken from somebody is gone at once. An expired token is refused here and deleted
elsewhere; the last use of one is noted, to the hour.
Named in the settings; sessions are DRF's own, with CSRF.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.auth import TokenAuthentication
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from agents import keys
from agents.errors import KeyRefused
from agents.registry import OpenKey, holder_of_key
from audit.actors import Actor
from orchestra_site.credentials import token_of
from orchestra_site.models import Token
from orchestra_site.people import actor_for
from orchestra_site.tokens import holder_of

if TYPE_CHECKING:  # knox ships no types

    class _Knox(BaseAuthentication):
        def authenticate(self, request: Request) -> tuple[Any, Any] | None: ...
else:
    _Knox = TokenAuthentication


class BearerAuthentication(_Knox):
    """knox's reading of the header, and a look-up that writes nothing but when a token was used last, once an hour, and a key, once a minute."""

    def authenticate(self, request: Request) -> tuple[User | Program, Token | OpenKey] | None:
        found = super().authenticate(request)
        if found is not None:
            request._request.actor = _actor_of(*found)  # type: ignore[attr-defined]  # noqa: SLF001 - where doors look for it
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[User | Program, Token | OpenKey]:
        """The person and the token, or the program and the key. All refusals of a token read alike: whether it ever existed is nobody's to know."""
        said = token.decode(errors="replace")
        if keys.is_meant(said):
            return _holder_of_key(said)
        found = holder_of(said)
        if found is not None:
            return found.user, found
        raise AuthenticationFailed("the token is unknown, has ended, was revoked, or its person may not sign in any more")


class Program:
    """What DRF and Django see in the place of a user where an agent asks: somebody, and nobody with an account."""

    pk = None
    is_authenticated, is_active, is_staff, is_superuser, is_anonymous = True, True, False, False, False

    def __init__(self, agent: str) -> None:
        self.username = agent

    def __str__(self) -> str:
        return self.username


def _actor_of(who: User | Program, by: Token | OpenKey) -> Actor:
    if isinstance(by, OpenKey):
        return by.actor()
    assert isinstance(who, User)
    return actor_for(who, auth="token", by=token_of(by))


def _holder_of_key(said: str) -> tuple[Program, OpenKey]:
    try:
        found = holder_of_key(said)
    except KeyRefused as refusal:
        raise AuthenticationFailed(refusal.message) from None
    return Program(found.agent), found


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document calls it."""

    target_class = BearerAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:  # noqa: ARG002 - drf-spectacular's signature
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of yours: `manage.py token PERSON`, or `POST /api/v1/tokens/` while signed in.",
        }
