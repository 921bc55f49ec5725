"""The page of what went wrong on our side: 503 where it was the database, so that whoever asked asks again; else 500.

Django calls it while it handles the exception, wherever that came from. Named in the addresses.
"""

from __future__ import annotations

import sys
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token
from django.views.defaults import server_error

from audit.errors import NotSetUp, Unavailable
from audit.management.database import database_trouble
from orchestra_site.rest.problems import ROOT, problem_response

PAGE: Final = "503.html"


@requires_csrf_token
def failed(request: HttpRequest) -> HttpResponse:
    raised = sys.exc_info()[1]
    error = None if raised is None else database_trouble(raised)
    if error is None:
        return server_error(request)
    if request.path_info.startswith(ROOT):
        return problem_response(error, request.path)
    # Without the request: what the ordinary pages are given is read from the database.
    page = render_to_string(PAGE, {"not_set_up": isinstance(error, NotSetUp)})
    return HttpResponse(page, status=error.http_status, headers={"Retry-After": str(Unavailable.retry_after_s), "Cache-Control": "no-store"})
