"""A NUL character is in nothing that can be looked for here, and PostgreSQL can't even be asked: what names one is refused before any door.

The innermost middleware, so that its answers have the headers of every other; knows no door.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse

from audit.api.errors import BadQuery
from orchestra_site.rest.problems import ROOT, problem_response

NUL: Final = "\0"
SAYS: Final = "the query, or a cookie, holds a NUL character (%00), which nothing here is called by; leave it out"


def nul_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        if NUL in request.path_info:
            raise Http404
        if _is_said(request):
            if request.path_info.startswith(ROOT):
                return problem_response(BadQuery(SAYS), request.path)
            raise BadRequest(SAYS)
        return get_response(request)

    return middleware


def _is_said(request: HttpRequest) -> bool:
    """In the query as it was sent: a percent sign that is meant is `%25`. A cookie may hold one in quotes, which Django reads."""
    query = request.META.get("QUERY_STRING", "")
    return "%00" in query or any(NUL in each for each in (query, *request.COOKIES.values()))
