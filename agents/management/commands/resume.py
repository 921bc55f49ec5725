"""`manage.py resume`: parse, lift the stop by its name, say what that means. No rule lives here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from agents import stops
from agents.management.showing import Shown, refusals_shown
from agents.models import Scope
from agents.registry import lift_named, resume
from audit.actors import Actor
from audit.management.persons import PersonsCommand

EPILOG = """\
what happens:
  The stop is lifted. What waited for its end goes on within a second where a worker is at work, as far as it is under no
  other stop: steps that were cut short are made anew, queued runs are begun. A suspended agent works again in its
  published version, or is a draft again if it was never published.

examples:
  manage.py resume price-reader
  manage.py resume pipeline ops-digest
  manage.py resume everything

exit status: 0 resumed, 13 proposed, as people of the team have to say yes first (`resuming` in its document),
2 refused (no such thing, not stopped), 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Let a suspended agent work again, or whatever was stopped go on."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", metavar="AGENT|SCOPE", help="an agent's name, `everything`, or a scope as in `manage.py stop`")
        parser.add_argument("name", metavar="NAME", nargs="?", default="", help="what of that scope, as `manage.py stops` names it")

    def handle(self, *args: Any, **options: Any) -> None:
        scope, name = _asked(options["what"], options["name"])
        with refusals_shown(self.stderr):
            said = _resumed(scope, name, self.actor())
        Shown(self.stdout).line(said, "created")


def _asked(what: str, name: str) -> tuple[str, str]:
    """One word is an agent's name, unless it is everything."""
    return (what, name) if name or what == Scope.EVERYTHING else (str(Scope.AGENT), what)


def _resumed(scope: str, name: str, actor: Actor) -> str:
    if scope == Scope.AGENT:
        agent = resume(name, actor=actor)
        return f"agent {agent.name}: resumed, {agent.state}"
    row = lift_named(scope, name, actor=actor)
    return f"{stops.what(str(scope) if row is None else row.subject)}: resumed"
