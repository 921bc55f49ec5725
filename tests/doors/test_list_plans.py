"""Long lists are read along an index, whatever is filtered by: never all rows, never sorted. Asked of the database's own plan."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents import registry
from audit.actors import Actor
from audit.models import Entry
from runs.management.terminal.listing import recent
from tests import pipelines
from tests.doors import world
from tests.pipelines import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)

TABLES = ("runs_run", "audit_entry", "agents_version")


@pytest.fixture
def alice(tmp_path: Path) -> Iterator[Client]:
    """A member of two teams; and planners that sort and read whole tables only where there is no other way."""
    world.runs_of_both(tmp_path)
    people = world.people()
    registry.add_member("red", "alice", actor=SYSTEM)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for way in ("seqscan", "sort", "bitmapscan"):
                cursor.execute(f"SET enable_{way} = off")
    yield people["alice"]
    connection.close()


def plans(statements: CaptureQueriesContext) -> list[tuple[str, str]]:
    """(statement, plan) of each that lists rows of a long table."""
    found = []
    for sql in [each["sql"] for each in statements.captured_queries]:
        if not any(re.search(rf'FROM "{table}".*ORDER BY.*LIMIT', sql, re.DOTALL) for table in TABLES):
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}".replace("%", "%%"))
            found.append((sql, "\n".join(str(row[-1]) for row in cursor.fetchall())))
    return found


def scans(plan: str) -> bool:
    """Whether a long table is read whole, or sorted by more than the ties of one instant. Of all runs, those at work are few enough to sort."""
    if "run_deadline" in plan:
        return False
    whole = re.search(rf"SCAN ({'|'.join(TABLES)})(?! USING)|Seq Scan on ({'|'.join(TABLES)})", plan)
    return bool(whole) or "USE TEMP B-TREE FOR ORDER BY" in plan or re.search(r"(?<!Incremental )\bSort\b(?! Key)", plan) is not None


LISTS = [
    ("runs_run", ""),
    *(("runs_run", f"?reads_as={word}") for word in ("verified", "failed", "rejected", "broken", "live")),
    ("runs_run", "?of=sample"),
    ("runs_run", "?of=sample&reads_as=rejected"),
    ("runs_run", "?cause=stale"),
    ("runs_run", "?of=sample&cause=exception"),
    ("runs_run", "?reads_as=failed&cause=deadline"),
    ("audit_entry", ""),
    ("audit_entry", "?q=person:alice"),
    ("audit_entry", "?q=agent:worker"),
]


@pytest.mark.parametrize(("name", "query"), LISTS)
@pytest.mark.parametrize("person", ["alice", "root"])
def test_a_list_of_the_admin_is_read_along_an_index(alice: Client, name: str, query: str, person: str) -> None:
    client = world.signed_in(person)
    client.get(reverse(f"admin:{name}_changelist") + query)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(reverse(f"admin:{name}_changelist") + query).status_code == 200
    found = plans(asked)
    assert found and not [each for each in found if scans(each[1])], found


REST = [
    ("/api/v1/runs/", ""),
    ("/api/v1/runs/", "?outcome=rejected"),
    ("/api/v1/runs/", "?outcome=failed"),
    ("/api/v1/runs/", "?failure_cause=stale"),
    ("/api/v1/entries/", ""),
    ("/api/v1/entries/", "?person=alice"),
]


@pytest.mark.parametrize(("path", "query"), REST)
def test_a_list_of_rest_is_read_along_an_index(alice: Client, path: str, query: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert alice.get(path + query).status_code == 200
    found = plans(asked)
    assert found and not [each for each in found if scans(each[1])], found


def test_the_runs_of_a_member_of_several_teams_are_walked_in_pages_along_an_index(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.management.terminal.listing.PAGE", 1)
    made = [str(pipelines.start(name).id) for name in ("sample", "secret", "sample")]
    with CaptureQueriesContext(connection) as asked:
        rows = recent(actor=Actor("person", "alice", "test", frozenset({"platform", "red"})), pipeline=None, word="queued", limit=10)
    assert [row.id for row in rows] == made[::-1]
    found = plans(asked)
    assert found and not [each for each in found if scans(each[1])], found


def test_versions_of_other_teams_are_not_read_for_a_member(alice: Client) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert alice.get(reverse("admin:agents_version_changelist")).status_code == 200
    found = plans(asked)
    assert len(found) == 2  # the agents' and the pipelines'
    if connection.vendor == "sqlite":  # PostgreSQL weighs this way by its statistics, and a table of five rows has none worth the name
        assert all(re.search(r"version_(number|one\w+)_of|agents_version_(agent|pipeline)_id|autoindex_agents_version", plan) for _, plan in found), (
            found
        )


def test_what_a_person_did_and_what_was_done_for_them_is_one_list(alice: Client) -> None:
    assert alice.post("/api/v1/runs/", {"pipeline": "sample"}, content_type="application/json").status_code in (201, 403)
    did = [entry for entry in Entry.objects.all() if entry.actor == "alice" and entry.actor_kind == "person"]
    assert did
    listed = alice.get(reverse("admin:audit_entry_changelist"), {"q": "person:alice"}).context["cl"].result_list
    assert {entry.id for entry in listed} == {entry.id for entry in did}


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has statistics, and knows by these which index is the narrow one")
def test_no_page_reads_all_runs_of_somebodys_teams(alice: Client) -> None:
    run = pipelines.start("sample")
    pipelines.drive(run)
    for url in (reverse("admin:index"), reverse("admin:runs_run_change", args=[run.pk])):
        with CaptureQueriesContext(connection) as asked:
            assert alice.get(url).status_code == 200
        for sql in [
            each["sql"] for each in asked.captured_queries if '"runs_run"' in each["sql"] and "created_at" not in each["sql"].partition("WHERE")[2]
        ]:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}".replace("%", "%%"))
                plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
            assert not re.search(r"run_of_team\b|SCAN runs_run", plan), (sql, plan)
