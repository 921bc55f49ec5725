"""`manage.py people`: the accounts that there are, through agents.registry. No rule lives here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from agents.management.showing import Shown, refusals_shown
from agents.registry import people_visible_to
from audit import clock
from audit.management.persons import PersonsCommand
from audit.management.typed import manage

MOST = 10_000


EPILOG = """\
examples:
  manage.py people
  manage.py people --inactive

exit status: 0, also when there is nobody, 2 bad input, 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "List accounts by name: whether they may sign in, who administers, when they signed in last."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--inactive", action="store_true", help="only those who may not sign in")

    def handle(self, *args: Any, **options: Any) -> None:
        shown = Shown(self.stdout)
        with refusals_shown(self.stderr):
            rows = people_visible_to(self.actor()).order_by("username")
            people = list(rows.filter(is_active=False)[:MOST] if options["inactive"] else rows[:MOST])
        for person in people:
            state = "active  " if person.is_active else "inactive"
            when = "never" if person.last_login is None else clock.to_text(person.last_login)
            shown.line(f"{state}  {person.username}{' (administrator)' if person.is_superuser else ''}  signed in last: {when}")
        if not people:
            shown.line(f"nobody: `{manage()} person NAME --create` makes an account", "hint")
