"""`manage.py rollback`: parse, call agents.registry.rollback, show what it did. No rule lives here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from agents.management.showing import Shown, TeachingFormatter, refusals_shown
from agents.registry import rollback
from audit.actors import Actor

EPILOG = """\
what happens:
  A pipeline runs again what it ran before: the same pipeline version with the same agent versions and their code.
  An agent's older version goes into every pipeline that runs its present one. Runs that were started keep what they
  were started with. A second rollback takes the first one back.

examples:
  manage.py rollback my-pipeline
  manage.py rollback my-pipeline --to 3

exit status: 0 rolled back, 2 refused (nothing to roll back to, unknown name or number)
"""


class Command(BaseCommand):
    help = "Publish the version of a pipeline or an agent that was published before, code included."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, epilog=EPILOG, formatter_class=TeachingFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="a pipeline or an agent")
        parser.add_argument("--to", metavar="N", type=int, help="the number of the version; by default the one published before")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_shown(self.stderr):
            done = rollback(options["name"], actor=Actor.system("shell"), to=options["to"])
        shown = Shown(self.stdout)
        same = done.from_version == done.to_version
        moved = f"version {done.to_version} stays, its agents go back" if same else f"from version {done.from_version} to version {done.to_version}"
        shown.line(f"{done.kind} {done.name}: rolled back, {moved}", "changed")
        for release in done.releases:
            shown.release(release)
