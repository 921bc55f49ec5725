"""What `manage.py` says where no command is given: Orchestra's own commands with a line each, and Django's by name.

Knows no command: each says its own line. Called by manage.py.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from textwrap import wrap
from typing import Final

from django.core.management import BaseCommand, ManagementUtility, get_commands, load_command_class

from audit.errors import NotSetUp, Unavailable
from audit.management.database import database_expected, exit_status
from audit.management.typed import manage, typeable

TRACEBACK: Final = "--traceback"
INTERRUPTED: Final = 128 + signal.SIGINT
MAKES_TABLES: Final = "migrate"
APPS: Final = ("agents", "runs", "approvals", "audit", "orchestra_site")
SERVED: Final = (MAKES_TABLES, "check", "shell")
"""Of Django's: those that an installation needs."""


class Utility(ManagementUtility):
    """Django's, with our words for help without a command, and a sentence where the database is what fails a command."""

    def execute(self) -> None:
        """Also for Django's own commands, and for what ours do before and after their use-case."""
        if TRACEBACK in self.argv:
            return super().execute()
        try:
            with database_expected():
                return super().execute()
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except (NotSetUp, Unavailable) as error:
            if isinstance(error, NotSetUp) and MAKES_TABLES in self.argv[1:2]:
                raise  # it would tell somebody to type what they have just typed
            sys.stderr.write(f"{typeable(error.message)}\n")
            sys.exit(exit_status(error))

    def fetch_command(self, subcommand: str) -> BaseCommand:
        """From here on it is the command's to say what Ctrl-C does; before, it just ends the process (manage.py)."""
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return super().fetch_command(subcommand)

    def main_help_text(self, commands_only: bool = False) -> str:
        return super().main_help_text(commands_only=True) if commands_only else "\n".join(_lines())


def _lines() -> Iterator[str]:
    commands = get_commands()
    ours = {name: app for name, app in sorted(commands.items()) if app in APPS}
    others = sorted(commands.keys() - ours.keys() - set(SERVED))
    yield f"{manage()} COMMAND …; {manage()} COMMAND --help says how, with examples."
    for app in APPS:
        yield ""
        yield from (f"  {name:<18}{_line(app, name)}" for name in ours if ours[name] == app)
    yield ""
    yield from wrap(f"Of Django: {', '.join(SERVED)}; also {', '.join(others)}.", 100)


def _line(app: str, name: str) -> str:
    """The first sentence of a command's help."""
    said = " ".join(load_command_class(app, name).help.split())
    return said.partition(". ")[0].rstrip(".")
