"""`manage.py runpipeline`: parse, call runs.services.start_run, drive the run here (or queue it), say how it ended."""

from contextlib import ExitStack
from typing import Any
from uuid import uuid4

from django.core.management.base import CommandParser

from audit.management.persons import WHO, PersonsCommand
from runs import services
from runs.errors import BadInput
from runs.management.terminal import Interrupts, Screen, add_json, attend, finish, inputs_given, instant_given

EPILOG = """\
input:
  Each --input is name=value. Where the pipeline's input schema says string, the value is taken as it is; else it is
  JSON: --input seconds=5 --input dry=true --input 'names=["a","b"]'. --input wins over the same name in --input-file.

while it runs:
  Progress goes to stderr, the summary (or with --json the one JSON document) to stdout. Ctrl-C cancels the run and
  waits for its end; a second Ctrl-C leaves at once. With --queue a worker drives the run (`make worker`).
  A run that waits for a time is waited for, and Ctrl-C leaves it to a worker. One that waits for a signal or a
  person ends the command with 13: it says for what, until when, who can answer, and what to type. Then the
  run is a worker's (with --queue --wait the command goes on waiting).

examples:
  manage.py runpipeline ops-digest --input feed=host
  manage.py runpipeline ops-digest --input feed=metrics.csv --as-of 2014-02-28T14:25:00Z
  manage.py runpipeline ops-digest --input-file input.json --json > run.json
  manage.py runpipeline my-pipeline --draft --input file=orders.csv
  manage.py runpipeline my-pipeline --input file=orders.csv --queue --wait

exit status:
   0  verified          a fresh result that an independent verifier confirmed
  10  degraded          verified, with a declared part missing
  11  rejected          the verifier said no
  12  failed            a step failed, or the deadline passed
  13  not finished      queued, still running elsewhere, or waiting for somebody
  14  cancelled
  15  unverified        no verdict could be had; also every passing --draft run
  16  broken            its rows and its ledger differ
   2  bad input         nothing was started
  75  try later         too many runs wait to be begun, and nothing was started; or the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Run a pipeline, watch it, and say whether its result is verified."
    epilog = EPILOG
    who = f"{WHO}  Whoever starts a run approves nothing of it, and settles none of its calls.\n"

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("name", metavar="NAME", help="the pipeline")
        add("--input", metavar="K=V", action="append", default=[], help="one input, see below; may be repeated")
        add("--input-file", metavar="F", help="a file with the input as one JSON object; '-' is stdin")
        add("--as-of", metavar="T", help="judge history: as if it were this instant, such as 2014-02-28T14:25:00Z")
        add("--draft", action="store_true", help="run the newest drafts, published or not; the best such a run can be is unverified")
        add("--queue", action="store_true", help="leave the run to a worker; exits with 13 at once, unless --wait")
        add("--wait", action="store_true", help="with --queue: wait until it has ended")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        screen, queue, kept = Screen(options), options["queue"], Interrupts()
        with ExitStack() as stack:
            with screen.refusals():
                actor = self.actor()
                with services.refused_starts(pipeline=options["name"], actor=actor):
                    if options["wait"] and not queue:
                        raise BadInput("--wait goes with --queue; without it the command waits anyway")
                    given = inputs_given(options["name"], pairs=options["input"], file=options["input_file"], draft=options["draft"], actor=actor)
                    as_of = instant_given(options["as_of"])
                kept_for = None if queue else uuid4()
                stack.enter_context(kept)
                run = services.start_run(pipeline=options["name"], input=given, actor=actor, draft=options["draft"], as_of=as_of, kept_for=kept_for)
            if not queue or options["wait"]:
                attend(run, screen=screen, actor=actor, drive=not queue, kept=kept)
        finish(str(run.id), screen=screen, actor=actor)
