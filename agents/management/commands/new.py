"""`manage.py new pipeline NAME`: parse, call agents.registry.new_pipeline, say what to type next. No rule lives here."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from agents.management.showing import Shown, refusals_shown
from agents.registry import new_pipeline
from audit.management.teaching import TeachingCommand
from audit.management.typed import manage
from audit.visible import visible

EPILOG = """\
names:
  Lower-case letters, digits and hyphens, beginning with a letter, at most 55 characters. Agents are named after
  the pipeline: monthly-report gets monthly-report-reader, monthly-report-adder and monthly-report-auditor.

example:
  manage.py new pipeline monthly-report

exit status: 0 written, 2 refused (the folder exists, the name won't do)
"""


class Command(TeachingCommand):
    help = "Write a folder with a small pipeline, verifier included, that applies, runs and verifies as it is."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=["pipeline"], help="what to write")
        parser.add_argument("name", metavar="NAME", help="see below")
        parser.add_argument("--folder", metavar="DIR", type=Path, help="where; by default a new folder NAME")
        parser.add_argument("--team", metavar="TEAM", default="dev", help="who owns it; by default dev, which a fresh installation only observes")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        folder = options["folder"] or Path(name)
        with refusals_shown(self.stderr):
            written = new_pipeline(name, folder=folder, team=options["team"])
        shown = Shown(self.stdout)
        for path in written:
            shown.line(f"wrote {visible(path)}", "created")
        shown.line("next:")
        shown.line(f"  {manage()} apply -f {shlex.quote(str(folder))} --publish")
        shown.line(f"  {manage()} runpipeline {name} --input file={shlex.quote(str(folder / 'orders.csv'))}")
        shown.line(f"  less {shlex.quote(str(folder / 'README.md'))}")
