"""`manage.py locks`: where wrong passwords keep somebody from signing in at this moment; lifted through orchestra_site.tries. No rule lives here."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from agents.management.showing import Shown, refusals_shown
from audit import clock
from audit.actors import Actor
from audit.management.persons import PersonsCommand, none_seen
from audit.visible import visible
from orchestra_site.models import Tries
from orchestra_site.tries import lift_lock

MOST = 200
EPILOG = """\
what happens:
  After too many wrong passwords for a user name from one address, or from one address for any names, no password is
  looked at from there for a while. After too many for one name from many addresses, none is looked at for it from
  wherever it has not signed in lately. Sessions and tokens go on. A lock ends by itself; lifting one is an entry of the ledger.

examples:
  manage.py locks
  manage.py locks --lift 0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10

exit status: 0 done, 2 refused (no such lock, or it has ended), 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Show where wrong passwords keep somebody from signing in, and lift that."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--lift", metavar="ID", type=UUID, help="let passwords be tried again")

    def handle(self, *args: Any, **options: Any) -> None:
        shown = Shown(self.stdout)
        with refusals_shown(self.stderr):
            actor = self.actor()
            if options["lift"] is not None:
                shown.line(f"{visible(lift_lock(options['lift'], actor=actor), 300)}: allowed again")
                return
            for line in _listed(actor):
                shown.line(line)


def _listed(actor: Actor) -> list[str]:
    rows = Tries.objects.locks(clock.now()).visible_to(actor).select_related("person")[:MOST]
    return [f"{row.id}  until {clock.to_text(row.ends)}  {visible(row.subject, 300)}" for row in rows] or [none_seen("nothing is locked", actor)]
