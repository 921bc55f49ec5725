"""`manage.py reinstate`: parse, call agents.registry.reinstate, show the state. No rule lives here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from agents.management.showing import Shown, refusals_shown
from agents.registry import reinstate
from audit.management.persons import PersonsCommand

EPILOG = """\
example:
  manage.py reinstate old-digest

exit status: 0 back in use, 2 refused (unknown name, not retired), 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Bring a retired pipeline back into use, or a retired agent, which is suspended until it is resumed."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="a retired pipeline or agent")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_shown(self.stderr):
            owner = reinstate(options["name"], actor=self.actor())
        Shown(self.stdout).line(f"{owner.subject.replace(':', ' ')}: reinstated, {owner.state}", "changed")
