"""`manage.py suspend`: parse, call agents.registry.suspend, say what that means. No rule lives here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from agents.management.showing import Shown, refusals_shown
from agents.registry import suspend
from audit.management.persons import PersonsCommand
from audit.management.typed import manage

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


class Command(PersonsCommand):
    help = "Stop an agent: whatever it is asked to do waits until it is resumed."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("agent", metavar="AGENT", help="the agent's name")
        parser.add_argument("--reason", metavar="TEXT", required=True, help="why; whoever finds it stopped will ask")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_shown(self.stderr):
            agent = suspend(options["agent"], actor=self.actor(), reason=options["reason"])
        shown = Shown(self.stdout)
        shown.line(f"agent {agent.name}: suspended", "changed")
        shown.line(f"{manage()} resume {agent.name} lets it work again", "hint")
