"""The outbox: written with the change, claimed by one, offered again until done."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from django.db import connections, transaction

from audit import outbox
from audit.errors import NoTransaction
from audit.models import Message
from audit.outbox import Claimed


@pytest.mark.django_db
def test_a_message_is_claimed_with_what_was_put(now: datetime) -> None:
    outbox.put("notices", "run-1", {"run": "1"}, now=now)
    (claimed,) = outbox.claim("notices", limit=10, now=now, retry_s=30)
    assert claimed == Claimed(claimed.id, "notices", "run-1", {"run": "1"}, attempts=1, created_at=now)


@pytest.mark.django_db
def test_the_same_key_is_queued_once_even_after_it_was_done(now: datetime) -> None:
    outbox.put("notices", "run-1", {"n": 1}, now=now)
    outbox.put("notices", "run-1", {"n": 2}, now=now)
    (claimed,) = outbox.claim("notices", limit=10, now=now, retry_s=30)
    assert claimed.payload == {"n": 1}
    assert outbox.done(claimed.id, now=now)
    outbox.put("notices", "run-1", {"n": 3}, now=now)
    assert outbox.claim("notices", limit=10, now=now + timedelta(days=1), retry_s=30) == []


@pytest.mark.django_db
def test_the_same_key_of_another_topic_is_another_message(now: datetime) -> None:
    outbox.put_all([("notices", "run-1", {}), ("webhooks", "run-1", {})], now=now)
    assert [each.topic for each in outbox.claim("webhooks", limit=10, now=now, retry_s=30)] == ["webhooks"]


@pytest.mark.django_db
def test_a_claimed_message_comes_again_only_after_its_retry_time(now: datetime) -> None:
    outbox.put("notices", "run-1", {}, now=now)
    outbox.claim("notices", limit=1, now=now, retry_s=30)
    assert outbox.claim("notices", limit=1, now=now + timedelta(seconds=29), retry_s=30) == []
    (again,) = outbox.claim("notices", limit=1, now=now + timedelta(seconds=30), retry_s=30)
    assert again.attempts == 2


@pytest.mark.django_db
def test_the_oldest_come_first_and_no_more_than_asked(now: datetime) -> None:
    for second in range(5):
        outbox.put("notices", f"run-{second}", {}, now=now - timedelta(seconds=second))
    assert [each.dedupe_key for each in outbox.claim("notices", limit=2, now=now, retry_s=30)] == ["run-4", "run-3"]


@pytest.mark.django_db
def test_a_message_is_done_once(now: datetime) -> None:
    outbox.put("notices", "run-1", {}, now=now)
    (claimed,) = outbox.claim("notices", limit=1, now=now, retry_s=30)
    assert [outbox.done(claimed.id, now=now), outbox.done(claimed.id, now=now)] == [True, False]
    assert not outbox.done(claimed.id + 1, now=now)


def test_a_message_is_put_only_inside_a_transaction(transactional_db: None, now: datetime) -> None:
    with pytest.raises(NoTransaction):
        outbox.put("notices", "run-1", {}, now=now)
    assert not Message.objects.exists()


def test_of_many_claimants_at_once_one_gets_each_message(transactional_db: None, now: datetime) -> None:
    with transaction.atomic():
        outbox.put_all([("notices", f"run-{n}", {}) for n in range(60)], now=now)
    start = Barrier(6)

    def claimant() -> list[str]:
        try:
            start.wait()
            return [each.dedupe_key for _ in range(4) for each in outbox.claim("notices", limit=20, now=now, retry_s=30)]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        got = [key for each in [pool.submit(claimant) for _ in range(6)] for key in each.result()]
    assert sorted(got) == sorted(f"run-{n}" for n in range(60))


def test_who_saw_a_message_that_another_took_meanwhile_does_not_get_it(db: None, now: datetime) -> None:
    outbox.put("notices", "run-1", {}, now=now)
    seen = Message.objects.get()
    assert len(outbox.claim("notices", limit=1, now=now, retry_s=30)) == 1
    assert not outbox._take(seen, now)


@pytest.mark.django_db
def test_what_is_put_off_comes_at_its_time_and_only_whoever_claimed_it_last_puts_it_off(now: datetime) -> None:
    outbox.put("notices", "run-1", {}, now=now)
    (first,) = outbox.claim("notices", limit=1, now=now, retry_s=30)
    (second,) = outbox.claim("notices", limit=1, now=now + timedelta(seconds=30), retry_s=30)
    assert not outbox.put_off(first, until=now + timedelta(days=1))
    assert outbox.put_off(second, until=now + timedelta(minutes=10))
    assert outbox.claim("notices", limit=1, now=now + timedelta(minutes=9), retry_s=30) == []
    assert outbox.due(["notices", "others"], now=now + timedelta(minutes=10)) == {"notices": 1}


@pytest.mark.django_db
def test_what_was_not_tried_is_left_as_if_nobody_had_claimed_it_but_for_its_time(now: datetime) -> None:
    outbox.put("notices", "run-1", {}, now=now)
    (first,) = outbox.claim("notices", limit=1, now=now, retry_s=30)
    assert outbox.leave(first, until=now + timedelta(seconds=5))
    assert outbox.claim("notices", limit=1, now=now + timedelta(seconds=4), retry_s=30) == []
    (again,) = outbox.claim("notices", limit=1, now=now + timedelta(seconds=5), retry_s=30)
    assert again.attempts == first.attempts == 1
    (third,) = outbox.claim("notices", limit=1, now=now + timedelta(seconds=35), retry_s=30)
    assert not outbox.leave(again, until=now) and third.attempts == 2


@pytest.mark.django_db
def test_what_is_given_up_is_offered_no_more_and_counted(now: datetime) -> None:
    outbox.put("notices", "run-1", {}, now=now)
    outbox.put("notices", "run-2", {}, now=now)
    (claimed,) = outbox.claim("notices", limit=1, now=now, retry_s=30)
    assert [outbox.give_up(claimed, now=now), outbox.give_up(claimed, now=now)] == [True, False]
    assert not outbox.done(claimed.id, now=now)
    assert outbox.given_up("notices", since=now) == 1
    assert outbox.open_since("notices") == (1, now)
    assert outbox.due(["notices"], now=now + timedelta(days=1)) == {"notices": 1}
