"""`manage.py showrun`: the summary of a run, or its document, as it reads now."""

from typing import Any

from django.core.management.base import CommandParser

from audit.management.persons import PersonsCommand
from runs.management.terminal import Screen, add_json, finish

EPILOG = """\
examples:
  manage.py showrun 01a1f994-20dc-7372
  manage.py showrun 01a1f994-20dc-7372 --json

exit status: the run's own, as runpipeline's (0 verified, 10 degraded, 11 rejected, 12 failed, 13 not finished,
14 cancelled, 15 unverified, 16 broken), 2 there is no such run, 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Show a run: how it stands, its steps, its verdict with evidence, its failure with owner."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", metavar="RUN", help="the run's id, or the beginning of it (eight characters or more)")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        screen = Screen(options)
        with screen.refusals():
            actor = self.actor()
        finish(options["run"], screen=screen, actor=actor)
