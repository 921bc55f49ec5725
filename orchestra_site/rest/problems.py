"""Every refusal under /api/ as RFC 9457 problem+json, whoever made it: a use-case, DRF, or Django before a door was reached.

The one place where REST translates the tree of errors. Named in the settings.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, Final

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

from audit.api import errors
from audit.errors import Deferred, NotFound, OrchestraError, Refused, Unavailable
from audit.management.database import database_trouble
from audit.visible import visible

CONTENT_TYPE: Final = "application/problem+json"
TYPE: Final = "urn:orchestra:problem:"
ROOT: Final = "/api/"
MOST_PROBLEMS = 200
_DETAIL, _PROBLEM = 2_000, 1_000
_log = logging.getLogger(__name__)


def problem(error: OrchestraError, path: str, status: int | None = None) -> dict[str, Any]:
    """The body. Texts may repeat what somebody typed, and people read them in terminals: made visible, capped."""
    several = list(error.details.get("problems") or ())
    return {
        "type": f"{TYPE}{error.code}",
        "title": error.code.replace("-", " ").capitalize(),
        "status": status or error.http_status,
        "detail": visible(error.message, _DETAIL),
        "code": error.code,
        "instance": visible(path, 500),
        **({"problems": [visible(each, _PROBLEM) for each in several[:MOST_PROBLEMS]]} if several else {}),
    }


def handle(raised: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler: nothing gets past it, and nothing of our inside gets out. What waits for people is no problem: 202 says so."""
    if isinstance(raised, Deferred):
        return Response({**raised.details, "detail": visible(raised.message, _DETAIL)}, status=202)
    error = raised if isinstance(raised, OrchestraError) and raised.http_status != 500 else _translated(raised)
    request = context.get("request")
    said = {"WWW-Authenticate": getattr(raised, "auth_header", None), "Retry-After": _wait(error)}
    headers = {name: value for name, value in said.items() if value}
    body = problem(error, request.path if request is not None else "")
    return Response(body, status=error.http_status, headers=headers, content_type=CONTENT_TYPE)


def _wait(error: OrchestraError) -> str | None:
    """In how many seconds to ask again, where that is worth it."""
    seconds = error.retry_after_s if isinstance(error, Unavailable) else error.details.get("seconds")
    return str(seconds) if seconds else None


def _translated(raised: Exception) -> OrchestraError:
    for kind, translate in _DRF.items():
        if isinstance(raised, kind):
            return translate(raised)
    return _unexpected(raised)


def _unexpected(raised: Exception) -> OrchestraError:
    trouble = database_trouble(raised)
    if trouble is None:
        _log.error("a REST door failed", exc_info=raised)  # whole; whoever asked learns only that it was us
        return errors.Internal()
    if isinstance(trouble, Unavailable):
        _log.error("a REST door had no database", exc_info=raised)
    return trouble


_DRF: Final[dict[type[Exception], Callable[[Any], OrchestraError]]] = {
    exceptions.NotAuthenticated: lambda _: errors.Unauthenticated(),
    exceptions.AuthenticationFailed: lambda raised: errors.Unauthenticated(str(raised.detail)),
    exceptions.PermissionDenied: lambda raised: errors.CrossSite() if "CSRF" in str(raised.detail) else Refused(str(raised.detail)),
    exceptions.MethodNotAllowed: lambda raised: errors.MethodNotAllowed(str(raised.detail)),
    exceptions.UnsupportedMediaType: lambda raised: errors.NotJson(f"{raised.detail} Send application/json."),
    exceptions.ParseError: lambda raised: errors.BadRequest(str(raised.detail)),
    exceptions.NotFound: lambda _: NotFound(),
    Http404: lambda _: NotFound(),
    DjangoPermissionDenied: lambda _: Refused(),
}


def problems_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """What failed before any door was reached (a host we don't serve, a middleware's error) is said in the same form."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        said = response.headers.get("Content-Type", "").partition(";")[0]
        if response.status_code < 400 or said == CONTENT_TYPE or not request.path_info.startswith(ROOT):
            return response
        return problem_response(_of_status(response.status_code)(), request.path, response.status_code)

    return middleware


def problem_response(error: OrchestraError, path: str, status: int | None = None) -> HttpResponse:
    """The same where no door of DRF's answers."""
    later = {"Retry-After": wait} if (wait := _wait(error)) else {}
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", **later}
    return HttpResponse(json.dumps(problem(error, path, status)), status=status or error.http_status, content_type=CONTENT_TYPE, headers=headers)


def _of_status(status: int) -> type[OrchestraError]:
    known: dict[int, type[OrchestraError]] = {403: Refused, 404: errors.NoSuchPath}
    return known.get(status, errors.BadRequest if status < 500 else errors.Internal)
