"""The body of a request: no larger than its operation takes, and strict JSON.

Knows no shape and no operation. Called by DRF when a door reads a body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from audit.api.errors import TooLarge
from audit.errors import BadJson
from audit.strict_json import loads

MOST_BYTES = 1024 * 1024


class StrictJSON(BaseParser):
    """The one parser of every door; a view may allow more bytes than the ordinary by `most_bytes`."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:  # noqa: ARG002 - DRF's signature
        context = parser_context or {}
        most = getattr(context.get("view"), "most_bytes", MOST_BYTES)
        request = context.get("request")
        said = str(request.META.get("CONTENT_LENGTH") if request is not None else "")
        announced = int(said) if said.isdecimal() else 0
        if announced > most:
            raise _too_large(announced, most)
        data = stream.read(most + 1)
        if len(data) > most:
            raise _too_large(len(data), most)
        if len(data) < announced:
            raise BadJson(f"the body ends after {len(data):,} of the {announced:,} bytes that Content-Length announced; send it whole")
        return loads(data)


def _too_large(size: int, most: int) -> TooLarge:
    return TooLarge(f"the body has {size:,} bytes or more; this operation takes at most {most:,}. Hand over a path or a URL instead of the data")
