"""`manage.py cancel`: parse, call runs.services.cancel_run, say what that means."""

from typing import Any

from django.core.management.base import CommandParser
from rich.text import Text

from audit.management.persons import PersonsCommand
from runs import services
from runs.management.terminal import Screen

EPILOG = """\
what happens:
  The request is recorded at once. Whoever drives the run feels it within two seconds, kills what is at work and
  ends the run as cancelled; a run that nobody drives ends here and now. Asking twice is the same as once.

example:
  manage.py cancel 01a1f994-20dc-7372

exit status: 0 asked (or ended), 2 refused (no such run, or it has finished already: finished is final),
75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Cancel a run."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", metavar="RUN", help="the run's id, or the beginning of it (eight characters or more)")

    def handle(self, *args: Any, **options: Any) -> None:
        screen = Screen(options)
        with screen.refusals():
            run = services.cancel_run(run=options["run"], actor=self.actor())
        said = "asked; the worker that drives it ends it within two seconds" if run.outcome is None else str(run.outcome)
        screen.show(Text(f"run {run.id}: {said}"))
