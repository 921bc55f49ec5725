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
import approvals.api.shapes
import audit.api.shapes
import runs.api.shapes
from audit.api.doors import SCOPES, Door
from orchestra_site.rest import shapes

CONTENT_TYPE: Final = "application/vnd.oai.openapi+json;version=3.1"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

AGENT_KEY: Final = "agentKey"
AGENT_KEY_SCHEME: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "orck_…",
    "description": (
        f"A key of an agent: `manage.py key AGENT`, or `POST /api/v1/agents/AGENT/keys/`. `{SCOPES}` says which of its scopes open an operation "
        "(`*`: any); where it is absent no key does."
    ),
}
DESCRIPTION: Final = """\
Orchestra over REST: what exists, what is happening, what happened and what it cost, and everything that a member of a team may do about it.

## Who you are

Send `Authorization: Bearer TOKEN`. `manage.py token PERSON` makes the first token; `POST /api/v1/tokens/` makes another while you hold one or
are signed in to the admin (a session needs the header `X-CSRFToken` for whatever changes something). You see the teams that you belong to and
those that are shown to you, and may act for the first. What you may not see does not exist (404); what you may see and not change is refused
(403) with the reason.

The program that *is* an agent sends a key of that agent in the same way (`manage.py key AGENT`). It acts as the agent, and only as far as the
scopes of the key go: what it is, whether it may do something, and the runs that it starts. Everything else is refused (403).

`GET /api/v1/` lists the addresses that need no name.

## The life of a run

1. `GET /api/v1/pipelines/` and `GET /api/v1/pipelines/{pipeline}/`: what there is, and the `input` that a run of it takes, as JSON Schema.
2. `POST /api/v1/runs/` with `{"pipeline": "…", "input": {…}}` and the header `Idempotency-Key`: 201, or 200 with the same run if it was sent before.
3. `GET /api/v1/runs/{run}/events/?after=0&wait=20`, again with `after` = `last`, until `finished` is true.
4. `GET /api/v1/runs/{run}/`: `outcome` says whether the result is `verified`; `verdict` who judged, by which criteria, having read what;
   `failure` whose it is if it is not.
5. While `state` is `waiting`, `waits` says for what, until when, who can end it and what silence means.
   `POST /api/v1/runs/{run}/signals/{signal}/` sends what it waits for, `POST /api/v1/calls/{call}/settle/` says what became of a call whose
   fate nobody knows, `POST /api/v1/approvals/{approval}/decide/` approves or declines a call, and `GET /api/v1/waits/` lists what all runs wait for.
6. `POST /api/v1/runs/{run}/cancel/` ends one early; `POST /api/v1/runs/{run}/reverify/` has a stored result judged again.

A worker (`manage.py worker`) does the work; without one a run stays `queued` until its deadline, and has then failed.

## Requests and answers

Addresses end with a slash. Bodies are JSON in UTF-8, at most 1 MiB (files for `apply/`: 32 MiB), 64 levels deep, no key twice. Unknown parameters and
unknown members are refused, never ignored. Instants are RFC 3339 with an offset; money is nano-USD, billionths of a dollar, as text. Lists come in
pages of at most 200 (`limit`); `next` is the path of the next page. Answers are JSON in ASCII, whatever `Accept` says.

## Refusals

Every refusal is `application/problem+json` (RFC 9457): `detail` is a sentence with the numbers and what to do, `code` is for programs, `problems`
lists everything that is wrong where it is several things. 400: it does not have the published shape. 422: it has, and can't be done.
"""


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:  # noqa: ARG001 - drf-spectacular's signature
    """The description, each app's shapes as components, and the second way to say who one is, where it opens something."""
    result["info"]["description"] = DESCRIPTION
    result["components"].setdefault("securitySchemes", {})[AGENT_KEY] = AGENT_KEY_SCHEME
    for found in (one for path in result["paths"].values() for one in path.values()):
        if SCOPES in found:
            found["security"] = [*found.get("security", []), {AGENT_KEY: []}]
    components = result["components"].setdefault("schemas", {})
    for app in (audit.api.shapes, agents.api.shapes, runs.api.shapes, approvals.api.shapes, shapes):
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
