"""`manage.py stop`: parse, call runs.services.set_stop, say what that means. No rule lives here."""

from typing import Any

from django.core.management.base import CommandParser
from rich.text import Text

from agents import stops
from audit.management.persons import PersonsCommand
from audit.management.typed import manage
from runs import services
from runs.management.terminal import Screen

EPILOG = """\
what can be stopped:
  everything          every call of every run
  team NAME           the runs of a team's pipelines, and the calls of its agents wherever they work
  pipeline NAME       its runs, and what runs below them
  agent NAME          its calls, in every run (as `manage.py suspend NAME`)
  version NAME@3      one version of an agent or a pipeline, whatever release names it
  alias NAME          the questions to a model alias
  tool NAME           the calls of a tool, such as fetch
  run RUN             one run, by its id or the beginning of it, and what runs below it

what happens:
  From now on no call in its scope is sent. Workers feel it within a second and cut short what is in flight: what may be
  made anew waits for the end of the stop, what acts at most once waits for somebody who says whether it was done.
  Queued runs wait, and no new one is started. The clock of what waits stands still.

examples:
  manage.py stop everything --reason "a leak"
  manage.py stop pipeline ops-digest --reason "its source is wrong since Monday"
  manage.py resume pipeline ops-digest

exit status: 0 stopped, 2 refused (no such thing, stopped already, no reason), 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Stop everything, or a team, pipeline, agent, version, alias, tool or run: nothing of it is sent until it is resumed."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("scope", metavar="SCOPE", help="everything, team, pipeline, agent, version, alias, tool or run")
        parser.add_argument("name", metavar="NAME", nargs="?", default="", help="of what there is more than one")
        parser.add_argument("--reason", metavar="TEXT", required=True, help="why; whoever finds it stopped will ask")

    def handle(self, *args: Any, **options: Any) -> None:
        screen = Screen(options)
        with screen.refusals():
            row = services.set_stop(scope=options["scope"], name=options["name"], reason=options["reason"], actor=self.actor())
        screen.show(Text(f"{stops.what(row.subject)}: stopped"))
        screen.note(f"{manage()} stops show {row.id} proves that nothing is sent any more")
        screen.note(f"{manage()} resume {services.how_to_name(row)} lets it go on")
