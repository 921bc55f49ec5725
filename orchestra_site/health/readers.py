"""Who may read what monitoring reads: whoever shows the installation's token for it, or signs in or shows a token as for REST."""

import logging
from collections.abc import Callable
from functools import wraps
from hmac import compare_digest

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from audit.actors import SEE_EVERYTHING, Actor
from audit.requests import actor_of
from orchestra_site.rest.authentication import BearerAuthentication

log = logging.getLogger(__name__)


def reader_of(request: HttpRequest) -> Actor | None:
    """None: nobody who could be shown anything."""
    said = request.headers.get("Authorization", "")
    if not said:
        actor = actor_of(request)
        return None if actor.auth == "none" else actor
    if _is_monitors(said):
        return Actor(kind="person", id="monitor", auth="token", permissions=frozenset({SEE_EVERYTHING}))
    try:
        found = BearerAuthentication().authenticate(Request(request))
    except AuthenticationFailed:
        return None
    return None if found is None else actor_of(request)


def _is_monitors(said: str) -> bool:
    token = settings.ORCHESTRA_MONITOR_TOKEN
    return token is not None and compare_digest(said.encode(), f"Bearer {token}".encode())


def refusal(status: int, why: str) -> JsonResponse:
    headers = {"Cache-Control": "no-store", **({"WWW-Authenticate": "Bearer"} if status == 401 else {})}
    return JsonResponse({"detail": why}, status=status, headers=headers)


def with_database(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Without one nobody knows how anything does, which is no better than bad news."""

    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        try:
            return view(request)
        except DatabaseError as error:
            log.warning("%s can't be answered (%s)", request.path, error)
            return refusal(503, "the database can't be reached")

    return answer


NOBODY = "show a token: Authorization: Bearer … (of a person, or ORCHESTRA_MONITOR_TOKEN)"
