"""Addresses of databases and queues in the environment: what leads nowhere is refused at the start, and never repeated."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from orchestra_site import env

NAME = "ORCHESTRA_TEST_VALUE"


@pytest.fixture
def value(monkeypatch):
    return lambda text: monkeypatch.setenv(NAME, text)


@pytest.mark.parametrize(
    "odd", ["redis://localhost:notaport/0", "redis://localhost:99999/0", "redis://", "redis:///x/y", "rediss://host/name", "redis://:secret@/0"]
)
def test_a_redis_address_that_leads_nowhere_is_refused_without_being_repeated(value, odd):
    value(odd)
    with pytest.raises(ImproperlyConfigured, match="redis://HOST:PORT/0") as refused:
        env.redis_url(NAME)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "fine", ["redis://localhost", "redis://:p@host:6380/3?ssl=x", "rediss://h:1/", "unix:///run/redis.sock?db=1", "redis://[::1]:6379/0"]
)
def test_redis_addresses_that_its_client_takes_are_taken(value, fine):
    value(fine)
    assert env.redis_url(NAME) == fine


def test_a_sqlite_file_in_no_folder_is_refused(value, tmp_path):
    value(f"sqlite:////{tmp_path}/nowhere/x.db")
    with pytest.raises(ImproperlyConfigured, match="folder that isn't there"):
        env.database(NAME, Path("unused"))
