"""The guard on entries, statement by statement, on the database that the suite runs on."""

from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from audit import ledger
from audit.identity import new_id
from audit.ledger import Draft
from audit.models import Entry, Message, triggers
from orchestra_site import checks

pytestmark = pytest.mark.django_db

sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="a statement that only SQLite has")
postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a statement that only PostgreSQL has")

COLUMNS = "id, at, verb, actor_kind, actor, on_behalf_of, team, agent, subject, run, seq, body"
FORGED = COLUMNS.replace("subject", "'forged'")


def under_another_id() -> str:
    """The columns of the entry, with an id that is free; SQLite keeps a UUID as 32 digits."""
    free = new_id()
    return COLUMNS.replace("id", f"'{free.hex}'" if connection.vendor == "sqlite" else f"'{free}'::uuid", 1)


@pytest.fixture
def entry(draft: Callable[..., Draft], now: datetime) -> Entry:
    ledger.record([draft(new_id())], now=now)
    return Entry.objects.get()


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def refused(*statements: str) -> None:
    """The statements end in the trigger's refusal, and the table is what it was."""
    before = list(Entry.objects.values())
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        execute(*statements)
    assert list(Entry.objects.values()) == before


def test_the_migration_has_put_every_trigger_in_place() -> None:
    assert triggers.missing(connection) == []


def test_an_update_is_refused(entry: Entry) -> None:
    refused("UPDATE audit_entry SET subject = 'forged'")


def test_an_update_through_the_orm_is_refused(entry: Entry) -> None:
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Entry.objects.update(subject="forged")


def test_a_delete_is_refused(entry: Entry) -> None:
    refused("DELETE FROM audit_entry")


def test_an_upsert_by_id_is_refused(entry: Entry) -> None:
    same = f"INSERT INTO audit_entry ({COLUMNS}) SELECT {COLUMNS} FROM audit_entry WHERE true"
    refused(f"{same} ON CONFLICT (id) DO UPDATE SET subject = 'forged'")


def test_an_upsert_by_run_and_seq_is_refused(entry: Entry) -> None:
    same_place = f"INSERT INTO audit_entry ({COLUMNS}) SELECT {under_another_id()} FROM audit_entry WHERE true"
    refused(f"{same_place} ON CONFLICT (run, seq) DO UPDATE SET subject = 'forged'")


@pytest.fixture
def without_recursive_triggers() -> Iterator[None]:
    """A client that did not set what our own connections set, such as the sqlite3 shell."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA recursive_triggers = OFF")
        yield
        cursor.execute("PRAGMA recursive_triggers = ON")


@sqlite
def test_a_replace_by_id_is_refused_also_where_there_is_no_seq(draft: Callable[..., Draft], now: datetime, without_recursive_triggers: None) -> None:
    ledger.record([draft()], now=now)
    refused(f"INSERT OR REPLACE INTO audit_entry ({COLUMNS}) SELECT {FORGED} FROM audit_entry")


@sqlite
def test_a_replace_by_run_and_seq_is_refused(entry: Entry, without_recursive_triggers: None) -> None:
    refused(f"REPLACE INTO audit_entry ({COLUMNS}) SELECT {under_another_id()} FROM audit_entry")


@sqlite
def test_a_replace_by_a_rowid_given_on_purpose_is_refused(entry: Entry, without_recursive_triggers: None) -> None:
    other = under_another_id().replace("seq", "seq + 1")
    refused(f"REPLACE INTO audit_entry (rowid, {COLUMNS}) SELECT rowid, {other} FROM audit_entry")


@sqlite
def test_an_update_or_replace_is_refused(entry: Entry, without_recursive_triggers: None) -> None:
    refused("UPDATE OR REPLACE audit_entry SET subject = 'forged'")


@postgresql
def test_a_truncate_is_refused(entry: Entry) -> None:
    refused("TRUNCATE audit_entry")
    refused("TRUNCATE audit_message, audit_entry CASCADE")


@postgresql
@pytest.mark.parametrize("statement", ["UPDATE audit_entry SET subject = 'forged'", "DELETE FROM audit_entry", "TRUNCATE audit_entry"])
def test_a_session_that_plays_the_replica_is_refused_too(entry: Entry, statement: str) -> None:
    refused("SET LOCAL session_replication_role = replica", statement)


@postgresql
def test_a_trigger_that_replication_would_skip_counts_as_missing() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry ENABLE TRIGGER audit_entry_no_change")
    assert triggers.missing(connection) == ["audit_entry_no_change"]


def test_dropped_triggers_are_found_missing_and_can_be_made_again(entry: Entry) -> None:
    triggers.drop(connection)
    assert len(triggers.missing(connection)) >= 2
    triggers.create(connection)
    triggers.create(connection)
    assert triggers.missing(connection) == []
    refused("DELETE FROM audit_entry")


def test_migrate_puts_back_what_a_restored_dump_lacks_and_the_check_names_it_until_then(entry: Entry, caplog: pytest.LogCaptureFixture) -> None:
    assert checks.check_ledger(None) == []
    triggers.drop(connection)
    [error] = checks.check_ledger(None)
    assert (error.id, all(name in error.msg for name in triggers.missing(connection))) == ("orchestra.E009", True)
    call_command("migrate", verbosity=0)
    assert (checks.check_ledger(None), "put back" in caplog.text) == ([], True)
    refused("DELETE FROM audit_entry")


def test_the_guard_is_on_entries_only(entry: Entry, now: datetime) -> None:
    Message.objects.create(topic="t", dedupe_key="k", payload={}, created_at=now, due_at=now)
    Message.objects.update(attempts=1)
    assert Message.objects.all().delete()[0] == 1
