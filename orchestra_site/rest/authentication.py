"""Who asks over REST: a bearer of a token. The Actor is made anew at each request, so what is taken from somebody is gone at once.

An expired token is refused here and deleted elsewhere; the last use of one is noted, to the hour.
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
    """knox's reading of the header, and a look-up that writes nothing but when a token was used last, once an hour."""

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        found = super().authenticate(request)
        if found is not None:
            request._request.actor = actor_for(found[0], auth="token", by=token_of(found[1]))  # type: ignore[attr-defined] # noqa: SLF001 - where doors look for it
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[User, Token]:
        """The person and the token. All refusals read alike: whether a token ever existed is nobody's to find out."""
        found = holder_of(token.decode(errors="replace"))
        if found is not None:
            return found.user, found
        raise AuthenticationFailed("the token is unknown, has ended, was revoked, or its person may not sign in any more")


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
