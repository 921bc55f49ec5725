"""What a request may look like, and how each refusal is said: problem+json everywhere below /api/."""

import io
import json
import logging
import tomllib
from pathlib import Path
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client, override_settings

from audit.api import errors
from audit.errors import UnknownVerb
from orchestra_site.models import Token
from tests.rest import Caller

pytestmark = pytest.mark.django_db

NESTED = b"[" * 70 + b"]" * 70
DEEP = b"[" * 100_000


@pytest.fixture
def somebody(alice: User) -> Caller:
    return Caller.of(alice)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        (b'{"pipeline": "a", "pipeline": "b"}', "'pipeline' twice"),
        (b'{"input": {"n": NaN}}', "NaN, which is not JSON"),
        (b'{"input": {"n": 1e999}}', "larger than any"),
        (b'{"input": {"n": "\\ud800"}}', "half of a surrogate pair"),
        (b'{"input": "\xff"}', "not UTF-8"),
        (b'{"input": ' + NESTED + b"}", "deeper than 64"),
        (DEEP, "deeper than 64"),
        (b"9" * 5_000, "a number of thousands of digits"),
    ],
)
def test_a_body_that_is_not_strict_json_is_refused_with_what_is_wrong(somebody: Caller, body: bytes, says: str) -> None:
    refused = somebody.send("POST", "/runs/", body)
    assert (refused.status, refused.code) == (400, "bad-json")
    assert says in refused.body["detail"]


def test_a_body_that_ends_before_its_announced_length_starts_nothing(somebody: Caller) -> None:
    cut = b'{"pipeline": "sample", "input": {}}'
    said = {
        "HTTP_AUTHORIZATION": f"Bearer {somebody.token}",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "500",
        "wsgi.input": io.BytesIO(cut),
    }
    refused = Client().generic("POST", "/api/v1/runs/", **said)
    assert (refused.status_code, refused.json()["code"]) == (400, "bad-json")
    assert f"ends after {len(cut)} of the 500 bytes" in refused.json()["detail"]


def test_a_body_that_lacks_what_is_needed_or_has_more_is_refused_with_every_problem(somebody: Caller) -> None:
    refused = somebody.post("/runs/", {"inptu": {}, "draft": "yes"})
    assert (refused.status, refused.code, len(refused.body["problems"])) == (400, "bad-body", 3)
    for body in (None, [], "text"):
        assert somebody.post("/runs/", body).code == "bad-body"


def test_a_body_where_none_is_taken_is_refused_and_never_ignored(somebody: Caller) -> None:
    path = "/runs/0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10/cancel/"
    refused = somebody.post(path, {"reason": "too slow"})
    assert (refused.status, refused.code) == (400, "bad-body")
    assert "reason" in refused.body["detail"]
    assert [somebody.post(path, body).code for body in (None, {})] == ["unknown-run", "unknown-run"]


def test_a_body_of_another_kind_is_refused(somebody: Caller) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        refused = somebody.send("POST", "/runs/", b"pipeline=sample", content_type=kind)
        assert (refused.status, refused.code) == (415, "not-json")


@pytest.mark.parametrize("path", ["/runs/", "/tokens/"])
def test_a_body_in_chunks_is_refused_and_never_taken_for_an_empty_one(somebody: Caller, path: str) -> None:
    before = Token.objects.count()
    answer = somebody.post(path, Transfer_Encoding="chunked")
    assert (answer.status, answer.code, Token.objects.count()) == (411, "length-required", before)


def test_a_body_that_is_too_large_is_refused_with_the_numbers(somebody: Caller) -> None:
    refused = somebody.send("POST", "/runs/", b'"' + b"x" * 2_000_000 + b'"')
    assert (refused.status, refused.code) == (413, "too-large")
    assert "2,000,002" in refused.body["detail"] and "1,048,576" in refused.body["detail"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=ten", "limit=1&limit=2", "colour=red", "outcome=good", "since=yesterday", "since=0000-01-01T00:00:00Z"]
)
def test_a_query_that_is_not_taken_is_refused_and_never_ignored(somebody: Caller, query: str) -> None:
    refused = somebody.get(f"/runs/?{query}")
    assert (refused.status, refused.code) == (400, "bad-query")
    assert refused.body["problems"]


def test_a_cursor_that_nobody_gave_out_is_refused(somebody: Caller) -> None:
    for cursor in ("0000", "W10=", "WzEsMl0=", "WyJ4IiwieSJd"):
        assert somebody.get(f"/runs/?cursor={cursor}").code == "bad-cursor"


def test_whatever_has_no_address_is_said_as_a_problem(somebody: Caller) -> None:
    for path in ("/api/", "/api/v2/", "/nothing/", "/runs/not-an-id/", "/agents/Not A Name/"):
        refused = somebody.get(path)
        assert (refused.status, refused.code) == (404, "no-such-path")
    assert "end with a slash" in somebody.get("/runs").body["detail"]


def test_another_method_is_refused_with_those_that_there_are(somebody: Caller) -> None:
    for method in ("PUT", "PATCH", "OPTIONS", "DELETE", "TRACE"):
        refused = somebody.send(method, "/runs/")
        assert (refused.status, refused.code, refused.headers["Allow"]) == (405, "method-not-allowed", "GET, POST, HEAD")


def test_nobody_is_told_how_to_become_somebody() -> None:
    refused = Caller().get("/runs/")
    assert (refused.status, refused.code, refused.headers["WWW-Authenticate"]) == (401, "unauthenticated", "Bearer")
    assert "manage.py token" in refused.body["detail"]


@pytest.mark.parametrize("header", ["Bearer", "Bearer a b", "Bearer unknown", "Bearer " + "x" * 500, "Bearer é", "Basic YTpi", "Token x"])
def test_what_is_no_token_is_refused(header: str) -> None:
    refused = Caller().send("GET", "/runs/", Authorization=header)
    assert (refused.status, refused.code) == (401, "unauthenticated")


def test_an_error_of_ours_is_logged_whole_and_told_without_our_inside(somebody: Caller, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), mock.patch("runs.services.runs_wanted", side_effect=ZeroDivisionError("the inside")):
        refused = somebody.get("/runs/")
    assert (refused.status, refused.code) == (500, "internal")
    assert "inside" not in json.dumps(refused.body)
    assert "ZeroDivisionError: the inside" in caplog.text


def test_a_mistake_of_ours_that_the_tree_knows_is_told_no_more_of(somebody: Caller) -> None:
    with mock.patch("runs.services.runs_wanted", side_effect=UnknownVerb("register it")):
        refused = somebody.get("/runs/")
    assert (refused.status, refused.code) == (500, "internal")
    assert "register" not in json.dumps(refused.body)


def test_a_database_without_this_versions_tables_says_what_to_do(somebody: Caller) -> None:
    with mock.patch("runs.services.runs_wanted", side_effect=OperationalError("no such table: runs_run")):
        refused = somebody.get("/runs/")
    assert (refused.status, refused.code) == (503, "no-tables")
    assert "manage.py migrate" in refused.body["detail"]


def test_a_database_that_is_busy_is_to_be_asked_again(somebody: Caller) -> None:
    with mock.patch("runs.services.runs_wanted", side_effect=OperationalError("database is locked")):
        refused = somebody.get("/runs/")
    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (503, "unavailable", "2")


def test_what_django_refuses_before_a_door_is_reached_is_a_problem_too(somebody: Caller) -> None:
    refused = somebody.send("GET", "/runs/", Host="elsewhere.example.com")
    assert (refused.status, refused.code, refused.body["instance"]) == (400, "bad-request", "/api/v1/runs/")


def test_pages_outside_the_api_keep_their_own_errors() -> None:
    assert "json" not in Client().get("/nothing/").headers["Content-Type"]


def test_a_session_reads_but_changes_nothing_without_its_csrf_token(alice: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert browser.get("/api/v1/me/").json()["auth"] == "session"
    refused = browser.post("/api/v1/tokens/", b"{}", content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf")
    browser.get("/api/v1/docs/")
    token = browser.cookies["csrftoken"].value
    assert browser.post("/api/v1/tokens/", b"{}", content_type="application/json", headers={"X-CSRFToken": token}).status_code == 201


def test_answers_are_nobodys_to_keep_or_to_guess_at_and_no_other_site_may_read_them(somebody: Caller) -> None:
    answer = somebody.send("GET", "/me/", Origin="https://elsewhere.example.com", Accept="text/html")
    assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert answer.headers["Content-Type"] == "application/json"
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert not answer.headers.get("Set-Cookie")


def test_hostile_text_in_a_refusal_is_made_visible(somebody: Caller) -> None:
    refused = somebody.post("/runs/", {"pipeline": "a\u202eb\x1b[31m"})
    assert "\u202e" not in refused.body["detail"] and "\x1b" not in json.dumps(refused.body, ensure_ascii=False)


@override_settings(DEBUG=True)
def test_debug_changes_no_refusal(somebody: Caller) -> None:
    assert somebody.get("/nothing/").code == "no-such-path"


def test_each_refusal_of_the_doors_says_something_by_default() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and each.__module__ == errors.__name__]
    assert all(kind().message and kind.http_status >= 400 for kind in kinds)


def test_the_index_leads_to_everything_that_needs_no_name(somebody: Caller) -> None:
    index = somebody.get("/").body
    assert {"agents", "runs", "entries", "calls/unresolved", "me"} <= set(index["addresses"]) and not {"schema", "apply"} & set(index["addresses"])
    for address in [*index["addresses"].values(), index["schema"], index["docs"]]:
        assert somebody.get(address).status == 200, address


def test_the_index_says_the_version_that_is_installed(somebody: Caller) -> None:
    said = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    assert somebody.get("/").body["version"] == said["project"]["version"]
