"""The OpenAPI document: what drf-spectacular can't see for itself (shapes, the description), and the page that shows it.

The page loads nothing from elsewhere and runs under a policy without inline scripts. Public: it describes, and holds nobody's data.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from django.middleware.csrf import get_token
from django.shortcuts import render
from drf_spectacular.generators import SchemaGenerator
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

import agents.api.shapes
import audit.api.shapes
import runs.api.shapes
from audit.api.doors import Door
from orchestra_site.rest import shapes

CONTENT_TYPE: Final = "application/vnd.oai.openapi+json;version=3.1"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:  # noqa: ARG001 - drf-spectacular's signature
    """Each app's shapes as components, and `Problem` as what every status not named answers with."""
    components = result.setdefault("components", {}).setdefault("schemas", {})
    for app in (audit.api.shapes, agents.api.shapes, runs.api.shapes, shapes):
        components.update(app.COMPONENTS)
    return result


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The same for everybody, and for as long as the process lives."""
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return found


class SchemaView(Door):
    """`GET /api/v1/schema/`."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    schema = None

    def get(self, request: Request) -> Response:  # noqa: ARG002 - DRF's signature
        return Response(document(), content_type=CONTENT_TYPE)


class DocsView(Door):
    """`GET /api/v1/docs/`: the document as a page that can also try things out, with a token or a session."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    schema = None

    def get(self, request: Request) -> Any:
        get_token(request._request)  # noqa: SLF001 - sets the cookie that the page sends back where a session is used
        page = render(request._request, "rest/docs.html")  # noqa: SLF001
        page.headers["Content-Security-Policy"] = POLICY
        return page
