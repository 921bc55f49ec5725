"""`manage.py resume`: parse, call agents.registry.resume, say what that means. No rule lives here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from agents.management.showing import Shown, TeachingFormatter, refusals_shown
from agents.registry import resume
from audit.actors import Actor

EPILOG = """\
what happens:
  A suspended agent works again, in its published version, or is a draft again if it was never published. Runs that
  failed meanwhile stay failed; start them anew.

example:
  manage.py resume price-reader

exit status: 0 resumed, 2 refused (unknown agent, not suspended), 75 the database is busy or out of reach
"""


class Command(BaseCommand):
    help = "Let a suspended agent work again."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, epilog=EPILOG, formatter_class=TeachingFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("agent", metavar="AGENT", help="the agent's name")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_shown(self.stderr):
            agent = resume(options["agent"], actor=Actor.system("shell"))
        Shown(self.stdout).line(f"agent {agent.name}: resumed, {agent.state}", "created")
