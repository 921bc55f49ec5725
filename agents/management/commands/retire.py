"""`manage.py retire`: parse, call agents.registry.retire, say what that means. No rule lives here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from agents.management.showing import Shown, refusals_shown
from agents.registry import retire
from audit.management.persons import PersonsCommand
from audit.management.typed import manage

EPILOG = """\
what happens:
  A retired pipeline starts no runs any more; runs at work go on to their end. A retired agent is sent nothing; one that
  a pipeline in use needs can't be retired. What they did stays, with their versions and the reason.

example:
  manage.py retire old-digest --reason "replaced by ops-digest"
  manage.py reinstate old-digest

exit status: 0 retired, 2 refused (unknown name, retired already, still needed, no reason),
75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Take a pipeline or an agent out of use."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="a pipeline or an agent")
        parser.add_argument("--reason", metavar="TEXT", required=True, help="why; whoever misses it will ask")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_shown(self.stderr):
            owner = retire(options["name"], actor=self.actor(), reason=options["reason"])
        shown = Shown(self.stdout)
        shown.line(f"{owner.subject.replace(':', ' ')}: retired", "changed")
        shown.line(f"{manage()} reinstate {owner.name} brings it back", "hint")
