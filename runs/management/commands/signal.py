"""`manage.py signal`: parse, call runs.services.send_signal, say what that means."""

from typing import Any

from django.core.management.base import CommandParser
from rich.text import Text

from audit.management.persons import PersonsCommand
from audit.visible import visible
from runs import services
from runs.management.terminal import Screen, say_where_nobody_works
from runs.management.terminal.inputs import value_given

EPILOG = """\
what happens:
  The payload becomes the result of the step that waits for this signal, and the run goes on with the work time that was
  left to it. It must satisfy the contract that the pipeline gives the signal; without --payload it is null. The first
  signal counts.

examples:
  manage.py waits
  manage.py signal 01a1f994-20dc-7372 payment --payload '{"amount": 1250}'
  manage.py signal 01a1f994-20dc-7372 payment --payload-file payment.json

exit status: 0 taken, 2 refused (no such run, it doesn't wait for this, answered already, not what it takes),
75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Send a run the signal that it waits for."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", metavar="RUN", help="the run's id, or the beginning of it (eight characters or more)")
        parser.add_argument("name", metavar="NAME", help="the signal's name")
        payload = parser.add_mutually_exclusive_group()
        payload.add_argument("--payload", metavar="JSON", help="what the waiting step is to give, as JSON")
        payload.add_argument("--payload-file", metavar="F", help="the same from a file; '-' is stdin")

    def handle(self, *args: Any, **options: Any) -> None:
        screen = Screen(options)
        with screen.refusals():
            actor = self.actor()
            payload = value_given("payload", options["payload"], options["payload_file"])
            wait = services.send_signal(run=options["run"], signal=options["name"], payload=payload, actor=actor)
        screen.show(
            Text(f"run {wait.run_id}: step {visible(wait.step, 120)} has its signal '{visible(wait.subject, 80)}'; a worker takes the run up again")
        )
        say_where_nobody_works(screen)
