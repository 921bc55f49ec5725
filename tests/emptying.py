"""How the database is emptied after a test that commits: only tables that hold rows, and the ledger's triggers stand aside for as long.

Django's own flush empties every table and tells every app that it was migrated: a third of a second, after each of two thousand tests.
What a migration has shipped and a test may have changed is made anew (roles); content types and permissions are nobody's to change.
"""

import functools
from typing import Any

from django.db import connection, transaction

from audit.models import triggers
from tests import factories

KEPT = ("django_migrations", "django_content_type", "auth_permission")


def empty_database(_case: Any = None) -> None:
    """As `flush` does, on the default database; whoever has something open in it is waited for."""
    with connection.cursor() as cursor:
        cursor.execute(_those_with_rows(connection.vendor))
        tables = [name for (name,) in cursor.fetchall()]
    if not tables:
        return
    if triggers.TABLE in tables:
        triggers.drop(connection)
    try:
        _delete(tables)
    finally:
        if triggers.TABLE in tables:
            triggers.create(connection)
    factories.make_roles()


@functools.cache
def _those_with_rows(_vendor: str) -> str:
    names = [name for name in connection.introspection.django_table_names(only_existing=True, include_views=False) if name not in KEPT]
    return " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM \"{name}\")" for name in sorted(names))


def _delete(tables: list[str]) -> None:
    """In any order: what refers to what is looked at when all of them are gone."""
    with transaction.atomic(), connection.cursor() as cursor:
        for name in tables:
            cursor.execute(f'DELETE FROM "{name}"')
