"""`manage.py key`: make a key for an agent, or revoke one, through agents.registry. No rule lives here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from agents.management.showing import Shown, refusals_shown
from agents.registry import make_key, revoke_key
from agents.registry.keys import LASTS
from audit import clock
from audit.management.persons import PersonsCommand
from audit.visible import visible

EPILOG = """\
what happens:
  The program that is the agent sends the key as `Authorization: Bearer …` and acts over REST as this agent: only what the
  scopes open, and nothing of other teams. It is shown this once and kept only as a keyed hash. It is yours: it works while you
  may change what the agent's team owns, and while the agent isn't suspended, stopped or retired. What it starts counts as
  started by you where an approval is decided. Making and revoking are entries of the ledger. A shell without a token of
  yours makes none, since a key has an owner.

scopes:
  read              its own record, versions and permissions, and the runs that it started
  can               whether it may do something, asked before it does it
  start:PIPELINE    start runs of this pipeline of its team, follow and cancel them; start:* for all of its team's

examples:
  manage.py key feed-reader --scope read --scope can
  manage.py key digest-bot --scope start:ops-digest --expires 30d --name "the digest's own server"
  manage.py key digest-bot --revoke 3f9aK2mQ7xZ1

exit status: 0 done, 2 refused (unknown agent or key, not yours to do, no scope, too long),
75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Make a key with which the program that is an agent acts over REST as that agent."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("agent", metavar="AGENT", help="the agent's name")
        parser.add_argument("--scope", dest="scopes", metavar="SCOPE", action="append", default=[], help="what it opens; give one or more")
        parser.add_argument("--expires", metavar="TIME", default=None, help=f"after how long it ends: 30d, 12h; by default {LASTS}, at most 365d")
        parser.add_argument("--name", metavar="TEXT", default="", help="what it is for")
        parser.add_argument("--revoke", metavar="ID", help="make none; revoke this one of the agent's")

    def handle(self, *args: Any, **options: Any) -> None:
        shown = Shown(self.stdout)
        if options["revoke"] is not None:
            if options["scopes"] or options["expires"] or options["name"]:
                raise CommandError("--revoke makes no key: leave out --scope, --expires and --name", returncode=2)
            with refusals_shown(self.stderr):
                key = revoke_key(options["revoke"], actor=self.actor(), of=options["agent"])
            shown.line(f"key {key.id}: revoked", "changed")
            return
        with refusals_shown(self.stderr):
            lasts, name = options["expires"] or LASTS, options["name"]
            made = make_key(options["agent"], actor=self.actor(), scopes=options["scopes"], expires=lasts, name=name)
        shown.line(made.text)
        until = clock.to_text(made.key.expires_at)
        opens = ", ".join(made.key.scopes)
        self.stderr.write(f"The key acts as agent '{visible(made.key.agent.name)}' until {until} ({opens}). It is shown this once.")
