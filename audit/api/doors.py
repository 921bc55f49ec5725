"""The base class of every REST door, and `operation`: one declaration that is published, and enforced before the door is asked.

A door gets an Asked and calls one use-case. Knows no use-case. Every app's `api` builds on it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
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
_PROPOSED: dict[Any, Any] = {
    (202, "application/json"): OpenApiResponse(ref("Proposed"), description="Not done: people have to say yes first, and are asked.")
}
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


@dataclass(frozen=True, kw_only=True, slots=True)
class operation:  # noqa: N801 - it reads as the decorator that it is
    """Declares what a method of a door takes, gives and refuses; the method then gets checked input.

    `needs` names what of the query may not be left out. `also` names further statuses of success with what each means; `refuses`
    the errors of the use-case beyond those of every door. `proposes`: where people have to say yes first it is put to them, and not done.
    `opened_by` are the scopes that open it to an agent's key, `*` any of them: what names none is for people.
    """

    id: str
    tag: str
    summary: str
    does: str
    gives: Shape
    status: int = 200
    also: Mapping[int, str] = field(default_factory=dict)
    query: Mapping[str, Shape] = field(default_factory=dict)
    needs: Collection[str] = ()
    headers: Mapping[str, Shape] = field(default_factory=dict)
    takes: Shape | None = None
    refuses: Collection[Refusal] = ()
    proposes: bool = False
    opened_by: Collection[str] = ()

    def __call__(self, handle: Handler[P]) -> Callable[..., Response]:
        writes = handle.__name__ != "get"
        body = (self.takes or _NOTHING) if writes else None  # an unknown member is refused where there are no known ones, too

        @wraps(handle)
        def answer(door: Any, request: Request, *args: P.args, **kwargs: P.kwargs) -> Response:
            _require_scope(actor_of(request._request), self.opened_by, self.id)  # noqa: SLF001 - where the authentication puts the actor
            asked = asking.read(request, query=self.query, needs=self.needs, headers=self.headers, body=body)
            return handle(door, asked, *args, **kwargs)

        declared: Callable[..., Response] = extend_schema(**self._published(handle, writes=writes))(answer)
        return declared

    def _published(self, handle: Callable[..., Response], *, writes: bool) -> dict[str, Any]:
        """What the OpenAPI document says of it."""
        refusals = [*_of_every_door(writes=writes, pages="cursor" in self.query), *self.refuses]
        places = _parameters(_places(handle), "path")
        parameters = [*places, *_parameters(self.query, "query", self.needs), *_parameters(self.headers, "header"), *_later(refusals)]
        given_back = {**_successes(self.gives, self.status, self.also), **(_PROPOSED if self.proposes else {}), **_problems(refusals)}
        return {
            "operation_id": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "description": f"{self.does}\n\n{_told(refusals)}",
            "parameters": parameters,
            "request": None if self.takes is None else {"application/json": self.takes},
            "responses": given_back,
            **({"extensions": {SCOPES: sorted(self.opened_by)}} if self.opened_by else {}),
        }


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
