"""Put a message, claim the due ones of a topic, mark one done, put it off, or give it up.

Put in the transaction of the change it announces; claimed by whoever serves the topic, at least once. Knows no topic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Min

from audit.errors import NoTransaction
from audit.models import Message


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that is ours until its claim runs out; `attempts` counts this one."""

    id: int
    topic: str
    dedupe_key: str
    payload: Any
    attempts: int
    created_at: datetime


def put(topic: str, dedupe_key: str, payload: Mapping[str, Any], *, now: datetime) -> None:
    """Queue a message for the readers of `topic`; the same key a second time is nothing, even after it was done."""
    put_all([(topic, dedupe_key, payload)], now=now)


def put_all(messages: Sequence[tuple[str, str, Mapping[str, Any]]], *, now: datetime) -> None:
    """Queue many messages (topic, dedupe key, payload) in one statement."""
    if not connection.in_atomic_block:
        raise NoTransaction
    Message.objects.bulk_create(
        [Message(topic=topic, dedupe_key=key, payload=dict(payload), created_at=now, due_at=now) for topic, key, payload in messages],
        ignore_conflicts=True,
    )


def claim(*topics: str, limit: int, now: datetime, retry_s: float) -> list[Claimed]:
    """Take up to `limit` due messages of these topics, oldest first; each comes again after `retry_s` unless it is done by then.

    Two claimants may see the same row; the one whose conditional update still finds the `due_at` it saw has it.
    """
    due = Message.objects.filter(topic__in=topics, done_at__isnull=True, due_at__lte=now)
    again = now + timedelta(seconds=retry_s)
    with transaction.atomic():
        return [_claimed(seen) for seen in due.order_by("due_at", "id")[:limit] if _take(seen, again)]


def done(message_id: int, *, now: datetime) -> bool:
    """The message has been served; False if it had been already."""
    return Message.objects.filter(id=message_id, done_at__isnull=True).update(done_at=now) == 1


def put_off(claimed: Claimed, *, until: datetime) -> bool:
    """It could not be served now; False where somebody else has claimed it since."""
    return Message.objects.filter(id=claimed.id, done_at__isnull=True, attempts=claimed.attempts).update(due_at=until) == 1


def leave(claimed: Claimed, *, until: datetime) -> bool:
    """It was not tried, so this claim doesn't count; False where somebody else has claimed it since."""
    ours = Message.objects.filter(id=claimed.id, done_at__isnull=True, attempts=claimed.attempts)
    return ours.update(due_at=until, attempts=claimed.attempts - 1) == 1


def leave_due(topic: str, key_ends: str, *, now: datetime, until: datetime) -> int:
    """What is due of a topic and has a key that ends so comes at that time instead; what somebody has claimed stays theirs. Returns how many."""
    found = Message.objects.filter(topic=topic, done_at__isnull=True, due_at__lte=now)
    return (found.filter(dedupe_key__endswith=key_ends) if key_ends else found).update(due_at=until)


def give_up(claimed: Claimed, *, now: datetime) -> bool:
    """It can't be served, and is not offered again; False where somebody else has claimed it since, or has served it."""
    ours = Message.objects.filter(id=claimed.id, done_at__isnull=True, attempts=claimed.attempts)
    return ours.update(done_at=now, given_up_at=now) == 1


def due(topics: Collection[str], *, now: datetime) -> dict[str, int]:
    """Of these topics those of which messages could be claimed now, and how many; one statement."""
    found = Message.objects.filter(topic__in=topics, done_at__isnull=True, due_at__lte=now).order_by().values_list("topic")
    return dict(found.annotate(number=Count("pk")))


def open_since(*topics: str) -> tuple[int, datetime | None]:
    """How many messages nobody has been served with yet, and when the oldest of them was put."""
    found = Message.objects.filter(topic__in=topics, done_at__isnull=True).aggregate(number=Count("pk"), oldest=Min("created_at"))
    return found["number"], found["oldest"]


def given_up(*topics: str, since: datetime) -> int:
    return Message.objects.filter(topic__in=topics, given_up_at__gte=since).count()


def _take(seen: Message, again: datetime) -> bool:
    still_ours = Message.objects.filter(id=seen.id, done_at__isnull=True, due_at=seen.due_at)
    return still_ours.update(due_at=again, attempts=seen.attempts + 1) == 1


def _claimed(seen: Message) -> Claimed:
    return Claimed(seen.id, seen.topic, seen.dedupe_key, seen.payload, seen.attempts + 1, seen.created_at)
