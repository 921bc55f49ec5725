"""`manage.py reverify`: parse, call runs.services.reverify, drive the new judgement here, say how it ended."""

from contextlib import ExitStack
from typing import Any
from uuid import uuid4

from django.core.management.base import CommandParser

from audit.management.persons import PersonsCommand
from runs import services
from runs.management.terminal import Interrupts, Screen, add_json, attend, finish

EPILOG = """\
what happens:
  A new run of the verify node alone judges the stored result of RUN, as of the time that RUN finished. RUN keeps
  its outcome and shows the newer verdict beside it. For a run that was unverified because its verifier failed or
  its source was gone, or to have an old verdict checked.

example:
  manage.py reverify 01a1f994-20dc-7372

exit status: that of the new run, as runpipeline's (0 verified, 10 degraded, 11 rejected, 12 failed,
13 not finished, 14 cancelled, 15 unverified, 16 broken), 2 RUN has no result that could be judged,
75 too many runs wait to be begun, or the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Judge a finished run's stored result again."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", metavar="RUN", help="the run's id, or the beginning of it (eight characters or more)")
        add_json(parser, "print the new run as one JSON document on stdout and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        screen, kept = Screen(options), Interrupts()
        with ExitStack() as stack:
            with screen.refusals():
                actor = self.actor()
                stack.enter_context(kept)
                run = services.reverify(run=options["run"], actor=actor, kept_for=uuid4())
            attend(run, screen=screen, actor=actor, drive=True, kept=kept)
        finish(str(run.id), screen=screen, actor=actor)
