"""The guard of the ledger: triggers that refuse to change, replace, delete or truncate an entry.

A guard, not the proof: whoever owns the database can drop them. Used by a migration and by the tests' flush; a later
migration that alters the entry table must call `create` again, since SQLite rebuilds the table without its triggers.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "audit_entry"
# REPLACE deletes without firing DELETE triggers unless recursive_triggers is on, and that is each connection's own
# choice; so a row is also refused if it would collide: by id, by (run, seq), or by a rowid given on purpose (it reads
# -1 where SQLite is to choose it).
_SQLITE = {
    "audit_entry_no_update": """
        CREATE TRIGGER audit_entry_no_update BEFORE UPDATE ON audit_entry
        BEGIN SELECT RAISE(ABORT, 'audit_entry is append-only: UPDATE refused'); END""",
    "audit_entry_no_delete": """
        CREATE TRIGGER audit_entry_no_delete BEFORE DELETE ON audit_entry
        BEGIN SELECT RAISE(ABORT, 'audit_entry is append-only: DELETE refused'); END""",
    "audit_entry_no_replace": """
        CREATE TRIGGER audit_entry_no_replace BEFORE INSERT ON audit_entry
        WHEN EXISTS (SELECT 1 FROM audit_entry WHERE id = NEW.id)
          OR EXISTS (SELECT 1 FROM audit_entry WHERE run = NEW.run AND seq = NEW.seq)
          OR EXISTS (SELECT 1 FROM audit_entry WHERE rowid = NEW.rowid)
        BEGIN SELECT RAISE(ABORT, 'audit_entry is append-only: this entry exists already'); END""",
}

# On PostgreSQL an upsert fires the UPDATE trigger, and its own unique keys refuse the rest. A row trigger does not see
# TRUNCATE, and session_replication_role = replica skips a trigger that is not ENABLE ALWAYS.
_FUNCTION = """
    CREATE OR REPLACE FUNCTION audit_entry_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'audit_entry is append-only: % refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
    END $$"""
_POSTGRESQL = {
    "audit_entry_no_change": """
        CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR DELETE ON audit_entry
        FOR EACH ROW EXECUTE FUNCTION audit_entry_refuse()""",
    "audit_entry_no_truncate": """
        CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON audit_entry
        FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_refuse()""",
}


def create(connection: BaseDatabaseWrapper) -> None:
    """Put the triggers on the entry table, replacing what is there under their names."""
    drop(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for statement in _SQLITE.values():
                cursor.execute(statement)
            return
        cursor.execute(_FUNCTION)
        for name, statement in _POSTGRESQL.items():
            cursor.execute(statement)
            cursor.execute(f"ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER {name}")


def drop(connection: BaseDatabaseWrapper) -> None:
    """Take them off; for migrations backwards and for the tests' flush."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for name in _SQLITE:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
            return
        for name in _POSTGRESQL:
            cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON audit_entry")
        cursor.execute("DROP FUNCTION IF EXISTS audit_entry_refuse()")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """The triggers that should stand and don't, or that PostgreSQL would skip under replication; for a deploy check."""
    if connection.vendor == "sqlite":
        wanted, query = _SQLITE, "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_entry'"
    else:
        wanted, query = _POSTGRESQL, ("SELECT tgname FROM pg_trigger WHERE tgrelid = 'audit_entry'::regclass AND tgenabled = 'A'")
    with connection.cursor() as cursor:
        cursor.execute(query)
        standing = {name for (name,) in cursor.fetchall()}
    return sorted(wanted.keys() - standing)
