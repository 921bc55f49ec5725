"""The base class of every REST door, and `operation`: one declaration that is published, and enforced before the door is asked.

A door gets an Asked and calls one use-case. Knows no use-case. Every app's `api` builds on it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import wraps
from typing import Any, Concatenate, Literal, ParamSpec, cast

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Actor, ScopedCredential
from audit.api import asking, errors
from audit.api.asking import Asked
from audit.api.bodies import MOST_BYTES
from audit.api.places import PARAMETERS
from audit.api.shapes import Shape, given, ref
from audit.errors import BadJson, NotSetUp, OrchestraError, OutOfScope, Unavailable
from audit.requests import actor_of

P = ParamSpec("P")
Handler = Callable[Concatenate[Any, Asked, P], Response]
Refusal = type[OrchestraError]

SCOPES = "x-agent-key-scopes"
"""Where the OpenAPI document says which scopes of an agent's key open an operation; absent: none."""
_NO_STORE = {"Cache-Control": "no-store"}
_NOTHING = given(meaning="nothing: leave the body out, or send {}")


class Door(APIView):
    """A resource. It answers to what it declares and to nothing else; answers are nobody's to keep (they say what this person may see)."""

    http_method_names = ("get", "post", "delete", "head")
    most_bytes = MOST_BYTES

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        finished = super().finalize_response(request, response, *args, **kwargs)
        for name, value in _NO_STORE.items():
            finished.headers.setdefault(name, value)
        return finished


def operation(
    *,
    id: str,  # noqa: A002 - OpenAPI's word
    tag: str,
    summary: str,
    does: str,
    gives: Shape,
    status: int = 200,
    also: Mapping[int, str] | None = None,
    query: Mapping[str, Shape] | None = None,
    needs: Collection[str] = (),
    headers: Mapping[str, Shape] | None = None,
    takes: Shape | None = None,
    refuses: Iterable[Refusal] = (),
    opened_by: Collection[str] = (),
) -> Callable[[Handler[P]], Callable[..., Response]]:
    """Declare what a method of a door takes, gives and refuses; the method then gets checked input.

    `needs` names what of the query may not be left out. `also` names further statuses of success with what each means; `refuses`
    the errors of the use-case beyond those of every door. `opened_by` are the scopes that open it to an agent's key, `*` any of them:
    what names none is for people.
    """
    asked_for, named = dict(query or {}), dict(headers or {})

    def declare(handle: Handler[P]) -> Callable[..., Response]:
        writes = handle.__name__ != "get"
        body = (takes or _NOTHING) if writes else None  # an unknown member is refused where there are no known ones, too

        @wraps(handle)
        def answer(self: Any, request: Request, *args: P.args, **kwargs: P.kwargs) -> Response:
            _require_scope(actor_of(request._request), opened_by, id)  # noqa: SLF001 - where the authentication puts the actor
            return handle(self, asking.read(request, query=asked_for, needs=needs, headers=named, body=body), *args, **kwargs)

        refusals = [*_of_every_door(writes=writes, pages="cursor" in asked_for), *refuses]
        places = _parameters(_places(handle), "path")
        parameters = [*places, *_parameters(asked_for, "query", needs), *_parameters(named, "header"), *_later(refusals)]
        said: dict[str, Any] = {"operation_id": id, "tags": [tag], "summary": summary, "description": f"{does}\n\n{_told(refusals)}"}
        taken = None if takes is None else {"application/json": takes}
        given_back = {**_successes(gives, status, also or {}), **_problems(refusals)}
        if opened_by:
            said["extensions"] = {SCOPES: sorted(opened_by)}
        declared: Callable[..., Response] = extend_schema(**said, parameters=parameters, request=taken, responses=given_back)(answer)
        return declared

    return declare


def _require_scope(actor: Actor, opened_by: Collection[str], id: str) -> None:  # noqa: A002 - as above
    """OutOfScope for an agent whose key doesn't open this; whoever is no agent asks with all that they may."""
    if actor.is_agent:
        cast("ScopedCredential", actor.by).require_scope(opened_by, id)


def _of_every_door(*, writes: bool, pages: bool) -> list[Refusal]:
    found: list[Refusal] = [errors.BadQuery, errors.Unauthenticated, OutOfScope, NotSetUp, Unavailable]
    if pages:
        found.append(errors.BadCursor)
    if writes:
        found += [errors.CrossSite, BadJson, errors.LengthRequired, errors.TooLarge, errors.NotJson, errors.BadBody]
    return found


def _places(handle: Callable[..., Any]) -> dict[str, Shape]:
    """The parts of the path that a method is given: its arguments after what is asked."""
    return {name: PARAMETERS[name] for name in list(inspect.signature(handle).parameters)[2:]}


def _parameters(shapes: Mapping[str, Shape], location: Literal["query", "path", "header"], needs: Collection[str] = ()) -> list[OpenApiParameter]:
    return [
        OpenApiParameter(
            name, type={**shape}, location=location, required=location == "path" or name in needs, description=shape.get("description", "")
        )
        for name, shape in shapes.items()
    ]


def _later(refusals: list[Refusal]) -> list[OpenApiParameter]:
    """The header of the answers that say when to ask again."""
    statuses = sorted({refusal.http_status for refusal in refusals} & {429, 503})
    said = "in how many seconds to ask again"
    return [OpenApiParameter("Retry-After", type=int, location="header", response=statuses, description=said)] if statuses else []


def _successes(gives: Shape, status: int, also: Mapping[int, str]) -> dict[Any, Any]:
    if status == 204:
        return {204: OpenApiResponse(description="Done; there is nothing to say.")}
    meaning = {status: "Done.", **also}
    return {(code, "application/json"): OpenApiResponse(gives, description=said) for code, said in meaning.items()}


def _problems(refusals: list[Refusal]) -> dict[Any, Any]:
    by_status: dict[int, list[str]] = {}
    for refusal in refusals:
        by_status.setdefault(refusal.http_status, []).append(refusal.code)
    return {
        (status, "application/problem+json"): OpenApiResponse(ref("Problem"), description=", ".join(sorted(set(codes))))
        for status, codes in sorted(by_status.items())
    }


def _told(refusals: list[Refusal]) -> str:
    lines = sorted({f"- {refusal.http_status} `{refusal.code}`: {' '.join((refusal.__doc__ or '').split())}" for refusal in refusals})
    return "Refused with:\n\n" + "\n".join(lines)


__all__ = ["SCOPES", "Asked", "Door", "operation"]
