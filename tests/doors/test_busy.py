"""A database that somebody else holds for longer than its timeout, or that isn't there: each door says so in its own way, and nothing is done."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

from agents.models import Agent, Standing
from audit.models import Entry
from orchestra_site.commands import Utility
from orchestra_site.models import Tries
from runs.models import Run
from tests.agents.folders import numbers
from tests.doors import world
from tests.rest import Caller
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)

TABLES = ("agents_agent", "agents_team", "auth_user", "runs_run", "audit_entry", "orchestra_site_tries", "orchestra_site_token")
WRITES, READS = "EXCLUSIVE", "ACCESS EXCLUSIVE"
SAYS = "the database is busy or can't be reached"
Hold = Callable[[str], None]


@pytest.fixture
def seen(tmp_path: Path) -> dict[str, Client]:
    world.platform(tmp_path / "platform")
    return world.people()


@pytest.fixture
def hold(transactional_db: None) -> Iterator[Hold]:
    """Somebody else holds every table from now on, against writing or against reading too; whoever waits does so for a moment only."""
    other = connection.copy()

    def begin(mode: str) -> None:
        connection.cursor().execute("PRAGMA busy_timeout=50" if connection.vendor == "sqlite" else "SET lock_timeout='50ms'")
        with other.cursor() as cursor:
            cursor.execute("BEGIN IMMEDIATE" if other.vendor == "sqlite" else "BEGIN")
            if other.vendor == "postgresql":
                cursor.execute(f"LOCK TABLE {', '.join(TABLES)} IN {mode} MODE")

    yield begin
    other.close()
    connection.close()  # the next test has its own patience again


def caller(seen: dict[str, Client]) -> Caller:
    return Caller.of(world.User.objects.get(username="alice"))


def test_rest_says_when_to_ask_again_and_does_it_then(seen: dict[str, Client], hold: Hold) -> None:
    alice, entries = caller(seen), Entry.objects.count()
    hold(WRITES)
    refused = alice.post("/agents/worker/suspend/", {"reason": "odd"})
    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (503, "unavailable", "2")
    assert Agent.objects.get(name="worker").state == Standing.ACTIVE and Entry.objects.count() == entries


def test_who_only_looks_is_not_kept_by_somebody_who_writes(seen: dict[str, Client], hold: Hold) -> None:
    """When a token was used last is not known then; that it is one is."""
    alice = caller(seen)
    hold(WRITES)
    assert alice.get("/agents/").status == 200 and seen["alice"].get(reverse("admin:agents_agent_changelist")).status_code == 200


def test_a_form_says_it_beside_what_was_typed(seen: dict[str, Client], hold: Hold) -> None:
    url = reverse("admin:agents_agent_suspend", args=[Agent.objects.get(name="worker").pk])
    hold(WRITES)
    answer = seen["alice"].post(url, {"reason": "odd words"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "The database is busy" in answer.content.decode() and "odd words" in answer.content.decode()


def test_signing_in_says_it_on_a_page_and_counts_no_try(seen: dict[str, Client], hold: Hold) -> None:
    hold(WRITES)
    answer = Client(raise_request_exception=False).post(reverse("admin:login"), {"username": "alice", "password": "wrong"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "The database is busy" in answer.content.decode() and not Tries.objects.exists()


@pytest.mark.parametrize("url", ["/admin/", "/admin/agents/agent/", "/admin/runs/run/"])
def test_a_page_that_can_not_be_read_says_it(seen: dict[str, Client], hold: Hold, url: str) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("whoever reads SQLite waits for nobody")
    alice = seen["alice"]
    alice.raise_request_exception = False
    hold(READS)
    answer = alice.get(url)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "The database is busy" in answer.content.decode() and "default-src" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(("url", "kind"), [("/admin/", "text/html"), ("/api/v1/me/", "application/problem+json")])
def test_a_middleware_that_has_no_database_is_said_as_a_door_would(seen: dict[str, Client], url: str, kind: str) -> None:
    alice = seen["alice"]
    alice.raise_request_exception = False
    with mock.patch("django.contrib.sessions.middleware.SessionMiddleware.process_response", side_effect=OperationalError("database is locked")):
        answer = alice.get(url)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.headers["Content-Type"].startswith(kind) and "locked" not in answer.content.decode()


@pytest.mark.parametrize("words", ["no such table: agents_agent", "nothing of the database"])
def test_other_trouble_keeps_its_own_page(seen: dict[str, Client], words: str) -> None:
    alice = seen["alice"]
    alice.raise_request_exception = False
    error = OperationalError(words) if "table" in words else ZeroDivisionError(words)
    with mock.patch("orchestra_site.admin.dashboard.context", side_effect=error):
        answer = alice.get("/admin/")
    said = answer.content.decode()
    assert (answer.status_code, "manage.py migrate" in said, "Something went wrong" in said) == (
        (503, True, False) if "table" in words else (500, False, True)
    )


COMMANDS = ["suspend worker --reason odd", "token alice", "auditexport", "person zoe --create", "group new --create", "createfirstadmin"]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_says_it_in_one_line_and_ends_with_75(seen: dict[str, Client], hold: Hold, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    world.User.objects.filter(is_superuser=True).update(is_active=False)  # so that createfirstadmin has something to do
    entries = Entry.objects.count()
    hold(WRITES)
    with pytest.raises(SystemExit) as ended:
        Utility(["manage.py", *line.split()]).execute()
    said = capsys.readouterr().err
    assert ended.value.code == 75 and SAYS in said and len(said.splitlines()) == 1
    assert Entry.objects.count() == entries


def test_a_command_about_runs_says_it_as_json_where_that_is_asked_for(seen: dict[str, Client], hold: Hold) -> None:
    hold(WRITES)
    done = typed("runpipeline", "sample", "--queue", "--json")
    assert (done.status, done.document["error"]["code"]) == (75, "unavailable")
    assert SAYS in typed("runpipeline", "sample", "--queue").err and not Run.objects.exists()


AWAY = "postgresql://nobody:secret-word@127.0.0.1:1/nothing"


@pytest.mark.parametrize(
    "line",
    ["apply -f one", "runs --json", "showrun 0199d3c1", "workers", "auditexport -o led.jsonl", "people", "locks", "createfirstadmin", "migrate"],
)
def test_a_server_that_is_not_there_is_one_line_and_no_traceback(line: str, tmp_path: Path, project_folder: Path) -> None:
    numbers(tmp_path / "one")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRA_")}
    said = {"ORCHESTRA_HOME": str(tmp_path / "var"), "ORCHESTRA_DATABASE_URL": AWAY, "DJANGO_SETTINGS_MODULE": "orchestra_site.settings"}
    argv = [sys.executable, str(project_folder / "manage.py"), *line.split()]
    done = subprocess.run(argv, cwd=tmp_path, env={**kept, **said}, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)["error"]["message"] if "--json" in line else done.stderr
    assert (done.returncode, SAYS in told, "Traceback" in done.stderr, "secret-word" in told) == (75, True, False, False), done.stderr
    assert len(told.strip().splitlines()) == 1 and not (tmp_path / "led.jsonl").exists()


def test_with_traceback_the_whole_error_is_there(seen: dict[str, Client], hold: Hold) -> None:
    world.User.objects.filter(is_superuser=True).update(is_active=False)
    hold(WRITES)
    with pytest.raises(OperationalError):
        Utility(["manage.py", "createfirstadmin", "--traceback"]).execute()
