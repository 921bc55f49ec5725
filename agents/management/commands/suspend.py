"""`manage.py suspend`: parse, call agents.registry.suspend, say what that means. No rule lives here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from agents.management.showing import Shown, TeachingFormatter, refusals_shown
from agents.registry import suspend
from audit.actors import Actor

EPILOG = """\
what happens:
  From now on no call of the agent is sent, in no run and for no release. Workers feel it within a second and cut short what
  is in flight. A run that needs the agent waits until it is resumed. The reason is kept in the ledger. `manage.py stop`
  stops other things in the same way, and `manage.py stops` proves that nothing is sent any more.

example:
  manage.py suspend price-reader --reason "reads a page that is wrong since Monday"
  manage.py resume price-reader

exit status: 0 suspended, 2 refused (unknown agent, suspended already, no reason),
75 the database is busy or out of reach
"""


class Command(BaseCommand):
    help = "Stop an agent: whatever it is asked to do waits until it is resumed."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, epilog=EPILOG, formatter_class=TeachingFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("agent", metavar="AGENT", help="the agent's name")
        parser.add_argument("--reason", metavar="TEXT", required=True, help="why; whoever finds it stopped will ask")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_shown(self.stderr):
            agent = suspend(options["agent"], actor=Actor.system("shell"), reason=options["reason"])
        shown = Shown(self.stdout)
        shown.line(f"agent {agent.name}: suspended", "changed")
        shown.line(f"manage.py resume {agent.name} lets it work again", "hint")
