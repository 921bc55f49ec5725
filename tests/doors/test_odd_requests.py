"""What no browser of ours sends: times beyond the calendar, NUL characters, places that no page gave out. Refused, or nothing is found."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from audit.admin import LongListAdmin
from tests.rest import V1, Caller, addresses

pytestmark = pytest.mark.django_db

BEYOND = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")
ID = "0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10"
NUL = "%00"


def lists() -> Iterator[tuple[str, Any]]:
    admin.autodiscover()  # as whoever serves the pages does
    for model, page in admin.site._registry.items():
        yield reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"), page


LISTS = sorted(url for url, _ in lists())
LONG = sorted((url, len(page.keyset)) for url, page in lists() if isinstance(page, LongListAdmin))
PARAMETERS = ("q", "before", "after", "of", "reads_as", "since", "team", "state", "kind", "pipeline", "o", "p", "e", "all", "unknown")


@pytest.fixture
def root(db: None) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def caller(root: Client) -> Caller:
    return Caller.of(User.objects.get(username="root"))


# --- times -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["before", "after"])
@pytest.mark.parametrize(("url", "parts"), LONG)
def test_a_place_that_no_list_gave_out_is_no_place(root: Client, url: str, parts: int, name: str) -> None:
    said = [*BEYOND, "2026-11-20", "2026-11-20T11:44:48", "9" * 40, "\x00", "\x01", "٣"]
    for odd in (f"{each}~{ID}" if parts == 2 else each for each in said):
        expected = 400 if "\x00" in odd else 200
        assert root.get(url, {name: odd}).status_code == expected, odd


@pytest.mark.parametrize("path", ["/entries/", "/charges/"])
@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize("text", [*BEYOND, "0000-01-01T00:00:00Z", "2026-06-30T23:59:60Z", "2026-11-20"])
def test_a_time_that_no_calendar_here_has_is_refused_over_rest(caller: Caller, path: str, name: str, text: str) -> None:
    refused = caller.get(f"{path}?{name}={text.replace('+', '%2B')}")
    assert (refused.status, refused.code) == (400, "bad-query")
    assert name in refused.body["problems"][0]


def test_a_time_beyond_the_calendar_is_refused_in_a_body_with_the_reason(caller: Caller) -> None:
    refused = caller.post("/runs/", {"pipeline": "x", "input": {}, "as_of": BEYOND[0]})
    assert (refused.status, refused.code) == (400, "bad-body")
    assert "before the year 1 or after the year 9999" in refused.body["detail"]


# --- NUL ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [*LISTS, reverse("admin:index"), reverse("admin:login"), "/health/outcomes"])
def test_a_nul_in_a_query_is_refused_by_every_page(root: Client, url: str) -> None:
    for said in (*(f"{name}=a{NUL}" for name in PARAMETERS), f"q=person:{NUL}", f"q=run:{NUL}", f"{NUL}=1", "q=\x00"):
        answer = root.get(f"{url}?{said}" if "\x00" not in said else url, QUERY_STRING=said)
        assert answer.status_code == 400, said
    assert "can't be read" in answer.content.decode() and "Content-Security-Policy" in answer.headers


def test_a_nul_in_a_path_leads_to_nothing(root: Client, caller: Caller) -> None:
    for url in LISTS:
        assert root.get(f"{url}a{NUL}/change/").status_code == 404
    for method, path in addresses():
        at = V1 + "/" + path.replace("<", "").replace(">", "")
        answer = caller.send(method.upper(), f"{at.rstrip('/')}{NUL}/")
        assert (answer.status, answer.code) == (404, "no-such-path")


def test_a_nul_in_a_query_is_refused_by_every_door_of_rest(caller: Caller) -> None:
    for path in ("/entries/", "/runs/", "/agents/", "/waits/", "/people/", "/tokens/", "/schema/", "/me/"):
        for name in (*PARAMETERS, "person", "agent", "cursor", "limit", "run"):
            answer = caller.get(f"{path}?{name}=a{NUL}")
            assert (answer.status, answer.code) == (400, "bad-query"), (path, name)


@pytest.mark.parametrize("url", [reverse("admin:index"), reverse("admin:login"), f"{V1}/me/"])
def test_a_nul_in_a_cookie_is_no_session(url: str) -> None:
    """Cookies are read with octal digits behind a backslash, and the key of a session is looked up as it was said."""
    client = Client(raise_request_exception=False, headers={"Cookie": 'sessionid="\\000aaaaaaaaaaaaaaaaaaaaaaa"'})
    client.cookies.clear()
    assert client.get(url, HTTP_COOKIE='sessionid="\\000aaaaaaaaaaaaaaaaaaaaaaa"').status_code == 400


def test_a_percent_sign_that_is_meant_is_a_text_like_any_other(root: Client) -> None:
    assert root.get(f"{reverse('admin:audit_entry_changelist')}?q=%2500").status_code == 200
