"""`manage.py reinstate`: parse, call agents.registry.reinstate, show the state. No rule lives here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from agents.management.showing import Shown, TeachingFormatter, refusals_shown
from agents.registry import reinstate
from audit.actors import Actor

EPILOG = """\
example:
  manage.py reinstate old-digest

exit status: 0 back in use, 2 refused (unknown name, not retired), 75 the database is busy or out of reach
"""


class Command(BaseCommand):
    help = "Bring a retired pipeline back into use, or a retired agent, which is suspended until it is resumed."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, epilog=EPILOG, formatter_class=TeachingFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="a retired pipeline or agent")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_shown(self.stderr):
            owner = reinstate(options["name"], actor=Actor.system("shell"))
        Shown(self.stdout).line(f"{owner.subject.replace(':', ' ')}: reinstated, {owner.state}", "changed")
