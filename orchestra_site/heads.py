"""HEAD: the headers of what GET would give, and no body. A server that gets one from the application warns of it in its log.

Outermost of the middleware; knows no page.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


def heads_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.method == "HEAD" and not response.streaming:
            response.headers.setdefault("Content-Length", str(len(response.content)))
            response.content = b""
        return response

    return middleware
