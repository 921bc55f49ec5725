"""`manage.py token`: a person's credentials for programs; made, listed and revoked through orchestra_site.tokens. No rule lives here."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from agents.management.showing import Shown, refusals_shown
from audit import clock
from audit.actors import Actor
from audit.instants import to_the_second
from audit.management.persons import PersonsCommand
from audit.visible import visible
from orchestra_site.models import Token
from orchestra_site.tokens import DAYS, MOST_DAYS, create_token, revoke_token, revoke_tokens, tokens_of

EPILOG = """\
what happens:
  Whoever sends the token acts over REST as this person, with the teams and permissions that they have at that moment.
  It is shown this once and kept only as a hash; it ends by itself, and at once when it is revoked or the person
  deactivated. Making and revoking are entries of the ledger.

examples:
  manage.py token alice --days 7 --name "nightly job"
  manage.py token alice --list
  manage.py token alice --revoke 0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10

exit status: 0 done, 2 refused (unknown person or token, too long), 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Make a token with which a program acts over REST as a person."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("person", metavar="PERSON", help="what the person signs in with")
        parser.add_argument("--days", metavar="N", type=int, help=f"how long it lasts; by default {DAYS}, at most {MOST_DAYS}")
        parser.add_argument("--name", metavar="TEXT", default="", help="what it is for")
        other = parser.add_mutually_exclusive_group()
        other.add_argument("--list", action="store_true", help="make none; list the person's tokens that have not ended")
        other.add_argument("--revoke", metavar="ID", type=UUID, help="make none; revoke this one of the person's")
        other.add_argument("--revoke-all", action="store_true", help="make none; revoke all of the person's")

    def handle(self, *args: Any, **options: Any) -> None:
        shown = Shown(self.stdout)
        with refusals_shown(self.stderr):
            actor = self.actor()
            if options["list"]:
                for line in _listed(options["person"], actor):
                    shown.line(line)
            elif options["revoke"] is not None:
                revoke_token(options["revoke"], actor=actor, of=options["person"])
                shown.line(f"token {options['revoke']}: revoked")
            elif options["revoke_all"]:
                number = revoke_tokens(options["person"], actor=actor)
                shown.line(f"{options['person']}: {number} token{'' if number == 1 else 's'} revoked")
            else:
                made = create_token(options["person"], actor=actor, days=options["days"], name=options["name"])
                shown.line(made.text)
                self.stderr.write(f"The token acts as '{made.token.user.username}' until {clock.to_text(made.token.expiry)}. It is shown this once.")


def _listed(person: str, actor: Actor) -> list[str]:
    rows = tokens_of(person, actor=actor, now=clock.now())
    return [f"{row.id}  until {clock.to_text(row.expiry)}  {_used(row)}  {visible(row.name, 100)}" for row in rows] or [
        f"'{visible(person, 80)}' has no token"
    ]


def _used(token: Token) -> str:
    """Kept to the hour: a use within an hour of the one that is written is not written."""
    return "never used" if token.used_at is None else f"used within the hour from {to_the_second(token.used_at)}"
