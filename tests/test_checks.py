"""Settings that break what the system promises are refused, each with what to do."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as current

from audit import clock
from orchestra_site import checks, env
from runs.models import Engine


def ids(messages: Any) -> list[str]:
    return [message.id for message in messages]


def test_the_settings_as_they_are_break_nothing() -> None:
    assert [check(None) for check in (checks.check_queue, checks.check_queue_net, checks.check_chores, checks.check_connections)] == [[], [], [], []]


@pytest.mark.parametrize(("name", "value"), [("scheduler", False), ("ack_failures", False), ("max_attempts", 0)])
def test_a_queue_without_its_net_is_an_error(settings: Any, name: str, value: object) -> None:
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, name: value}
    [error] = checks.check_queue_net(None)
    assert (error.id, f"'{name}'" in error.msg) == ("orchestra.E004", True)


def test_a_chore_that_is_ended_too_soon_is_an_error(settings: Any) -> None:
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "timeout": 29}
    assert ids(checks.check_chores(None)) == ["orchestra.E005"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [({"ATOMIC_REQUESTS": True}, "orchestra.E006"), ({"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {}}, "orchestra.E007")],
)
def test_transactions_that_are_not_ours_are_an_error(monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], expected: str) -> None:
    database = {**current.DATABASES["default"], **changed}
    monkeypatch.setattr(checks, "settings", SimpleNamespace(DATABASES={"default": database}, Q_CLUSTER={}))
    assert ids(checks.check_connections(None)) == [expected]


def test_e_mail_without_a_link_or_from_nowhere_is_warned_of(settings: Any) -> None:
    assert checks.check_notices(None) == []
    settings.ORCHESTRA_EMAIL, settings.ORCHESTRA_PUBLIC_URL, settings.ORCHESTRA_EMAIL_FROM = True, None, "orchestra@localhost"
    assert ids(checks.check_notices(None)) == ["orchestra.W008", "orchestra.W009"]
    settings.ORCHESTRA_PUBLIC_URL, settings.ORCHESTRA_EMAIL_FROM = "https://example.com", "orchestra@example.com"
    assert checks.check_notices(None) == []


def test_a_queue_that_connects_anew_each_time_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    database = {**current.DATABASES["default"], "CONN_MAX_AGE": 0}
    monkeypatch.setattr(checks, "settings", SimpleNamespace(DATABASES={"default": database}, Q_CLUSTER={"orm": "default"}))
    assert ids(checks.check_connections(None)) == ["orchestra.W005"]


def works(host: str, *, beat_s: float = 0) -> None:
    now = clock.now()
    Engine.objects.create(id=uuid4(), host=host, pid=1, started_at=now, beat_at=now - timedelta(seconds=beat_s))


def test_two_hosts_on_one_sqlite_file_are_an_error(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "connection", SimpleNamespace(vendor="sqlite"))
    monkeypatch.setattr(checks.socket, "gethostname", lambda: "here")
    works("here")
    works("gone", beat_s=3600)
    assert checks.check_one_host(None) == []
    works("elsewhere\x1b[2J")
    [error] = checks.check_one_host(None)
    assert (error.id, "elsewhere" in error.msg, "\x1b" in error.msg) == ("orchestra.E008", True, False)
    monkeypatch.setattr(checks, "connection", SimpleNamespace(vendor="postgresql"))
    assert checks.check_one_host(None) == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h:1/0", "redis://h:1/0?socket_timeout=5&socket_keepalive=yes"),
        ("redis://h:1/0?db=2", "redis://h:1/0?db=2&socket_timeout=5&socket_keepalive=yes"),
        ("redis://h:1/0?socket_timeout=3", "redis://h:1/0?socket_timeout=3"),
    ],
)
def test_the_queue_waits_for_no_redis_for_ever(url: str, expected: str) -> None:
    assert env.patient(url, seconds=5) == expected
