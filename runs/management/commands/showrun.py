"""`manage.py showrun`: the summary of a run, or its document, as it reads now."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from audit.actors import Actor
from runs.management.terminal import Screen, add_json, finish, teaching_parser

EPILOG = """\
examples:
  manage.py showrun 01a1f994-20dc-7372
  manage.py showrun 01a1f994-20dc-7372 --json

exit status: the run's own, as runpipeline's (0 verified, 10 degraded, 11 rejected, 12 failed, 13 not finished,
14 cancelled, 15 unverified, 16 broken), 2 there is no such run, 75 the database is busy or out of reach
"""


class Command(BaseCommand):
    help = "Show a run: how it stands, its steps, its verdict with evidence, its failure with owner."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, **teaching_parser(EPILOG), **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", metavar="RUN", help="the run's id, or the beginning of it (eight characters or more)")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        finish(options["run"], screen=Screen(options), actor=Actor.system("shell"))
