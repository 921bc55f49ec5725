"""What the log says of requests that are refused: a line each, and nothing that acts on a terminal."""

import io
import logging
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from orchestra_site.health.logs import OneLine

pytestmark = pytest.mark.django_db


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(OneLine())
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/admin/runs/run/?" + quote("z\n\x1b[31mz") + "=1", 400, "z␊␛[31mz"),
        ("/admin/agents/agent/?_to_field=x", 400, "x"),
        ("/admin/agents/agent/x/delete/", 403, "/admin/agents/agent/x/delete/"),
    ],
)
def test_a_request_that_is_refused_takes_one_line_of_the_log(alice: User, log: io.StringIO, path: str, status: int, says: str) -> None:
    alice.is_staff = True
    alice.save()
    browser = Client()
    browser.force_login(alice)
    assert browser.get(path).status_code == status
    said = log.getvalue()
    assert says in said and said.count("\n") == len([line for line in said.splitlines() if line.strip()]) <= 2
    assert "Traceback" not in said and "\x1b" not in said


def test_a_host_that_is_not_served_takes_no_traceback(log: io.StringIO) -> None:
    assert Client().get("/admin/", headers={"Host": "evil.example"}).status_code == 400
    assert "evil.example" in log.getvalue() and "Traceback" not in log.getvalue()


def test_a_fault_of_ours_keeps_its_traceback(log: io.StringIO) -> None:
    try:
        raise ValueError("ours")
    except ValueError:
        logging.getLogger("django.request").exception("it failed", extra={"status_code": 500})
    assert "Traceback" in log.getvalue()


def test_the_log_of_an_installation_is_filtered_so() -> None:
    assert settings.LOGGING["handlers"]["stderr"]["filters"] == ["one_line"]
    assert settings.LOGGING["filters"]["one_line"]["()"] == f"{OneLine.__module__}.{OneLine.__qualname__}"
