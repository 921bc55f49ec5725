"""What has happened to a request, put into the outbox for whoever is to be told: once, in the transaction of what happened.

Says which request and which stage, nothing else: who is told, and what, is found out when it is sent. Called by intake and deciding.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

from approvals.models import Request
from audit import clock, outbox

TOPIC: Final = "approvals.notice"


class Event(StrEnum):
    """Of requests, as webhooks name them."""

    REQUESTED = "approval.requested"
    REMINDER = "approval.reminder"
    ESCALATED = "approval.escalated"
    ENDED = "approval.ended"


def announce(event: Event, requests: Iterable[Request], *, now: datetime) -> None:
    """Each once: a request ends once, and does everything else once in a stage. In the stage that its row says."""
    outbox.put_all([_message(event, request, now) for request in requests], now=now)


def _message(event: Event, request: Request, now: datetime) -> tuple[str, str, dict[str, object]]:
    key = f"{event}:{request.pk}" if event is Event.ENDED else f"{event}:{request.pk}:{request.escalated_to}"
    said = {"event": str(event), "request": str(request.pk), "stage": request.escalated_to, "at": clock.to_text(now)}
    return TOPIC, key, said
