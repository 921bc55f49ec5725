"""`manage.py waits`: what runs wait for, those that end soonest first, and what to type about each."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import CommandParser
from rich.console import Group
from rich.text import Text

from audit import clock
from audit.management.persons import PersonsCommand, none_seen
from audit.visible import visible
from runs import services
from runs.management.terminal import Screen, add_json
from runs.management.terminal.waiting import block
from runs.services import WantedWaits

MOST = 200

EPILOG = """\
what is listed:
  Each thing that a run waits for: the signal, the time or the person; the run and its step; since when and until when;
  what silence means; who can answer; and the command that does.

examples:
  manage.py waits
  manage.py waits --pipeline orders
  manage.py waits --run 01a1f994-20dc-7372 --json

exit status: 0, also when there is none, 2 there is no such run, 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "List what runs wait for, until when, and who can answer."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--pipeline", metavar="NAME", help="only waits of runs of this pipeline")
        parser.add_argument("--run", metavar="RUN", help="only those of this run, by its id or the beginning of it")
        add_json(parser, "print a JSON list on stdout and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        screen = Screen(options)
        with screen.refusals():
            actor = self.actor()
            run = services.find_run(options["run"], actor=actor).id if options["run"] else None
            wanted = WantedWaits(pipeline=options["pipeline"], run=run)
            rows = list(services.waits_wanted(wanted, actor=actor, now=clock.now()).order_by("expires_at", "id")[: MOST + 1])
            found = services.listed_waits(rows[:MOST])
        if screen.json:
            screen.document(found)
        elif found:
            screen.show(_blocks(found, more=len(rows) > MOST))
        else:
            screen.note(none_seen("no run waits for anything", actor))


def _blocks(found: Sequence[Mapping[str, Any]], *, more: bool) -> Group:
    parts = [part for wait in found for part in [*block(wait, wait["run"], of=f"{wait['run']} of {visible(wait['pipeline'], 80)}"), Text("")]]
    return Group(*parts[:-1], *([Text(f"\n… the first {MOST}; --pipeline and --run show fewer")] if more else []))
