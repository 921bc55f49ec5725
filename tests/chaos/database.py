"""A database of the long form's own: a SQLite file or a private PostgreSQL, migrated, in a temporary folder.

`opened` must come before Django is set up in this process. Used by the long form only; tests have pytest's database.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import servers

SQLITE, POSTGRESQL = "sqlite", "postgresql"


@dataclass(frozen=True, slots=True)
class Opened:
    """Where everything is, the environment in which processes of the product meet it, and the server where there is one."""

    kind: str
    folder: Path
    environment: dict[str, str]
    server: servers.Server | None = None


@contextmanager
def opened(kind: str, *, on: Path | None = None, address: str = servers.HERE) -> Iterator[Opened]:
    """Unavailable where there is no such server here. `on`: the folder of the database's own files, if they are to be elsewhere.

    `address`: where a server listens.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestra-chaos-", ignore_cleanup_errors=True)))
        server = stack.enter_context(servers.postgresql(within=on, address=address)) if kind == POSTGRESQL else None
        said = {"ORCHESTRA_HOME": str(folder / "home"), "ORCHESTRA_SECRET_KEY": "only-for-chaos-only-for-chaos-only-for-chaos"}
        said["ORCHESTRA_DATABASE_URL"] = server.url if server is not None else f"sqlite:///{on or folder}/orchestra.sqlite3"
        said["DJANGO_SETTINGS_MODULE"] = "orchestra_site.settings"
        os.environ.update(said)
        _set_up()
        yield Opened(kind, folder, {**os.environ, **said}, server)


def _set_up() -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0, interactive=False)
    connections.close_all()
