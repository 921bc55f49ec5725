"""What was asked, checked: query, headers and body of a request against the shapes that its operation publishes.

Everything that is wrong is said at once; what an operation does not know is refused, never ignored. Called by the doors' base.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

import jsonschema_rs
from django.http import QueryDict
from rest_framework.request import Request

from audit import clock
from audit.actors import Actor
from audit.api.errors import BadBody, BadQuery, LengthRequired
from audit.api.shapes import Shape
from audit.requests import actor_of
from audit.visible import visible

MOST_PROBLEMS = 50
_WHOLE = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and what: checked values, instants as instants. `path` is the request's own, for links in answers."""

    actor: Actor
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    credential: Any = None


def read(request: Request, *, query: Mapping[str, Shape], needs: Collection[str], headers: Mapping[str, Shape], body: Shape | None) -> Asked:
    """BadQuery or BadBody with every problem; LengthRequired for a body whose end nobody announced."""
    asked = _query(request, query, needs)
    named = _headers(request, headers)
    said = {} if body is None else _body(request, body)
    django = request._request  # noqa: SLF001 - the middleware and the authentication put the actor there
    return Asked(actor_of(django), asked, said, named, request.path, request.auth)


def _query(request: Request, shapes: Mapping[str, Shape], needs: Collection[str]) -> dict[str, Any]:
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name, texts in request.query_params.lists():
        if name not in shapes:
            known = ", ".join(sorted(shapes)) or "none at all"
            problems.append(f"there is no parameter '{visible(name, 60)}'; this operation takes {known}")
        elif len(texts) > 1:
            problems.append(f"{name}: given {len(texts)} times; give it once")
        else:
            values[name] = _typed(texts[0], shapes[name])
    problems += _violations({"type": "object", "properties": dict(shapes), "required": list(needs)}, values)
    if not problems:
        values = _with_instants(values, shapes, problems)
    if problems:
        raise BadQuery(f"the query can't be used: {'; '.join(problems[:5])}", problems=problems)
    return values


def _headers(request: Request, shapes: Mapping[str, Shape]) -> dict[str, str]:
    found = {name: request.headers[name] for name in shapes if name in request.headers}
    problems = _violations({"type": "object", "properties": dict(shapes)}, found)
    if problems:
        raise BadQuery(f"a header can't be used: {'; '.join(problems)}", problems=problems)
    return found


def _body(request: Request, shape: Shape) -> dict[str, Any]:
    if "Transfer-Encoding" in request.headers and not request.META.get("CONTENT_LENGTH"):
        raise LengthRequired  # what lies below reads as many bytes as were announced, here none: the body would be taken for an empty one
    data: Any = request.data
    said = {} if isinstance(data, QueryDict) else data  # DRF's word for no body at all is an empty QueryDict
    problems = _violations(shape, said)
    values = _with_instants(said, shape.get("properties", {}), problems) if not problems else {}
    if problems:
        raise BadBody(f"the body can't be used: {'; '.join(problems[:5])}", problems=problems)
    return values


def _typed(text: str, shape: Shape) -> Any:
    """The text as what the shape says; as it is where it can't be that, so that the shape refuses it."""
    if shape.get("type") == "integer" and _WHOLE.fullmatch(text):
        return int(text)
    if shape.get("type") == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def _with_instants(values: Mapping[str, Any], shapes: Mapping[str, Shape], problems: list[str]) -> dict[str, Any]:
    """The same, instants read: the format lets some through that no calendar here has (leap seconds, the year 0)."""
    found = dict(values)
    for name, value in values.items():
        if shapes.get(name, {}).get("format") == "date-time" and isinstance(value, str):
            try:
                found[name] = clock.from_text(value.upper())
            except ValueError as error:
                problems.append(f"/{name}: {error}")
    return found


def _violations(shape: Shape, value: Any) -> list[str]:
    found = islice(_validator(json.dumps(shape, sort_keys=True)).iter_errors(value), MOST_PROBLEMS)
    return [_sentence(error) for error in found]


@lru_cache(maxsize=256)
def _validator(shape: str) -> jsonschema_rs.Draft202012Validator:
    """Never fetches, checks formats, and matches patterns in linear time."""
    return jsonschema_rs.Draft202012Validator(json.loads(shape), offline=True, validate_formats=True, pattern_options=jsonschema_rs.RegexOptions())


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    return f"/{'/'.join(str(part) for part in error.instance_path)}: {visible(error.message, 240)}"
