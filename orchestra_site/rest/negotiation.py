"""Answers are JSON, whatever is accepted: a client that asks for something else is told so by the Content-Type, not by a refusal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class JsonAlways(DefaultContentNegotiation):
    """Parsers are chosen as DRF does, so another Content-Type than JSON is refused."""

    def select_renderer(self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None) -> Any:  # noqa: ARG002 - DRF's
        chosen = next(iter(renderers))
        return chosen, chosen.media_type
