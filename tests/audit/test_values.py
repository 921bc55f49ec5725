"""Errors, actors, instants and identifiers."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from audit import clock, errors, identity
from audit.actors import Actor
from audit.identity import new_id


def test_an_errors_docstring_is_its_default_message() -> None:
    assert str(errors.Conflict()) == errors.Conflict().message == "Something else changed in the meantime; read again and repeat."
    assert str(errors.Invalid("no team 'x'", problems=["a"])) == "no team 'x'"
    assert errors.Invalid("no team 'x'", problems=["a"]).details == {"problems": ["a"]}


def test_every_error_has_a_code_of_its_own_and_an_http_status() -> None:
    leaves = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.OrchestraError)]
    assert len({leaf.code for leaf in leaves}) == len(leaves)
    assert [errors.Invalid.http_status, errors.NotFound.http_status, errors.Refused.http_status, errors.Conflict.http_status] == [422, 404, 403, 409]


def test_the_system_and_who_may_see_everything_do() -> None:
    assert Actor.system("worker").sees_everything
    assert Actor("person", "dora", "session", permissions=frozenset({"see-everything"})).sees_everything
    assert not Actor("person", "system", "session").sees_everything


def test_an_entry_says_who_acted_and_how_we_know() -> None:
    assert Actor("person", "alice", "token", teams=frozenset({"platform"})).as_record() == {"kind": "person", "id": "alice", "auth": "token"}


@given(st.datetimes(datetime(1900, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_instant_survives_its_text(instant: datetime) -> None:
    text = clock.to_text(instant)
    assert clock.from_text(text) == instant
    assert (len(text), text[-1]) == (27, "Z")


def test_an_offset_is_turned_into_utc_and_a_naive_text_is_refused() -> None:
    assert clock.from_text("2026-11-20T13:00:00+01:00") == datetime(2026, 11, 20, 12, tzinfo=UTC)
    for odd in ("2026-11-20T13:00:00", "2026-11-20", "soon", ""):
        with pytest.raises(ValueError):
            clock.from_text(odd)


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000000Z"),
        (datetime(987, 6, 5, 4, 3, 2, 1, tzinfo=UTC), "0987-06-05T04:03:02.000001Z"),
        (datetime(2026, 11, 20, 11, 44, 48, 123_456, tzinfo=UTC), "2026-11-20T11:44:48.123456Z"),
        (datetime(2026, 11, 20, 12, tzinfo=timezone(timedelta(hours=1))), "2026-11-20T11:00:00.000000Z"),
    ],
)
def test_every_year_is_written_with_four_digits_and_every_second_with_six_more(instant: datetime, text: str) -> None:
    assert clock.to_text(instant) == text
    assert clock.from_text(text) == instant


def test_a_day_or_a_time_without_offset_is_utc_only_where_that_is_said() -> None:
    for text in ("2026-11-20", "2026-11-20T00:00:00", "2026-11-20T01:00:00+01:00"):
        assert clock.from_text(text, utc_assumed=True) == datetime(2026, 11, 20, tzinfo=UTC)


def test_an_instant_beyond_the_calendar_is_refused_in_words() -> None:
    for beyond in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        with pytest.raises(ValueError, match="before the year 1 or after the year 9999"):
            clock.from_text(beyond)


@pytest.mark.django_db(transaction=True)
def test_now_is_aware_utc_and_moves_inside_a_transaction() -> None:
    outside = clock.now()
    with transaction.atomic():
        first, second = clock.now(), clock.now()
    assert {each.utcoffset() for each in (outside, first, second)} == {timedelta(0)}
    assert abs(first - outside) < timedelta(minutes=1)
    assert first < second or connection.vendor != "postgresql"


def test_ids_are_version_7_and_carry_the_present() -> None:
    made = new_id()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert abs((made.int >> 80) / 1000 - clock.now().timestamp()) < 60


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_a_chance_of_its_own() -> None:
    new_id()
    reader, writer = os.pipe()
    forked = os.fork()
    if not forked:
        os.write(writer, new_id().bytes)
        os._exit(0)
    os.waitpid(forked, 0)
    theirs, ours = UUID(bytes=os.read(reader, 16)), new_id()
    assert theirs.int % 2**62 != ours.int % 2**62
    os.close(reader)
    os.close(writer)


def test_ids_rise_within_a_process_whatever_its_threads_and_its_clock() -> None:
    with ThreadPoolExecutor(8) as pool:
        portions = list(pool.map(lambda _: [new_id() for _ in range(2_000)], range(8)))
    assert all(portion == sorted(portion) for portion in portions)
    assert len({each for portion in portions for each in portion}) == 16_000
    later = identity._next_stamp(0)
    assert identity._next_stamp(0) == later + 1
