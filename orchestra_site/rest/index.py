"""`GET /api/v1/`: where everything begins that can be asked for without knowing a name, read from the addresses themselves.

Knows no door; the site's addresses hand it theirs, so that a new one can't be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from django.urls import URLPattern, URLResolver
from rest_framework.response import Response

from audit.api.doors import Asked, Door, operation
from audit.api.shapes import ref
from orchestra_site import VERSION

ROOT = "/api/v1/"
TAG = "index"


class IndexView(Door):
    addresses: Mapping[str, str] = {}  # as_view() takes it

    @operation(
        id="show_index",
        tag=TAG,
        summary="Show where everything is",
        does="The addresses that need no name: lists and what is about you, the OpenAPI document with its page, and the version of Orchestra.",
        gives=ref("Index"),
        opened_by=("*",),
    )
    def get(self, asked: Asked) -> Response:  # noqa: ARG002 - the same for everybody who is signed in
        return Response({"version": VERSION, "schema": f"{ROOT}schema/", "docs": f"{ROOT}docs/", "addresses": self.addresses})


def addresses_of(patterns: Sequence[URLPattern | URLResolver]) -> dict[str, str]:
    """Each address that can be read as it stands, by its path; the document and its page apart."""
    found = {path.rstrip("/"): ROOT + path for path, view in _doors(patterns) if "<" not in path and hasattr(view, "get")}
    return {name: address for name, address in sorted(found.items()) if name not in ("schema", "docs")}


def _doors(patterns: Sequence[URLPattern | URLResolver], at: str = "") -> Iterator[tuple[str, type]]:
    for each in patterns:
        path = at + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from _doors(each.url_patterns, path)
        else:
            yield path, each.callback.view_class  # type: ignore[attr-defined]  # of a class-based view, as every door is
