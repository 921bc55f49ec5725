"""`manage.py settle`: parse, call runs.services.settle_call as the person whose token the environment holds, say what that means."""

from typing import Any, Final

from django.core.management.base import CommandParser
from rich.text import Text

from audit.management.persons import PersonsCommand
from runs import services
from runs.management.terminal import Screen, say_where_nobody_works
from runs.management.terminal.inputs import value_given
from runs.models import Resolution
from runs.services import Settlement

EPILOG = """\
what happens:
  A call that acts at most once got no answer, so nobody knows whether it acted, and it is never sent again by itself.
  Look at the system that it acts on, then say it:
    done       it was carried out; --result is what its agent would have given, and its step returns that
    not-done   it was not; it is made anew, once
    unknown    nobody can say; its step fails as unresolved. Whoever finds out later may still say it

examples:
  manage.py waits
  manage.py settle 0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10 done --result '{"paid": true}' --reason "today's bank statement"
  manage.py settle 0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10 not-done --reason "the bank has no such transfer"

exit status: 0 taken, 2 refused (no such call, not you, too early, answered already, not what the agent gives),
75 the database is busy or out of reach
"""
WHO_MAY: Final = """\
whose command it is:
  A person's: put a token of yours (manage.py token PERSON) into the environment variable ORCHESTRA_TOKEN, never on the
  command line. You must be a member of the run's team, and neither have started the run nor answer for the agent.
"""
_SAID: Final = {
    Resolution.DONE: "carried out; its step returns the result",
    Resolution.NOT_DONE: "not carried out; it is made anew",
    Resolution.UNKNOWN: "nobody can say; its step fails as unresolved",
}


class Command(PersonsCommand):
    help = "Say what became of a call whose fate nobody knows."
    epilog = EPILOG
    who = WHO_MAY

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("call", metavar="CALL", help="the call's id, as manage.py waits says it")
        parser.add_argument("decision", choices=[str(one).replace("_", "-") for one in Resolution], help="what became of it, see below")
        result = parser.add_mutually_exclusive_group()
        result.add_argument("--result", metavar="JSON", help="of a call that was done: what its agent would have given")
        result.add_argument("--result-file", metavar="F", help="the same from a file; '-' is stdin")
        parser.add_argument("--reason", metavar="TEXT", required=True, help="how you know; kept in the ledger")

    def handle(self, *args: Any, **options: Any) -> None:
        screen, decision = Screen(options), Resolution(options["decision"].replace("-", "_"))
        with screen.refusals():
            actor = self.actor()
            result = value_given("result", options["result"], options["result_file"])
            call = services.settle_call(call=options["call"], settlement=Settlement(decision, result, options["reason"]), actor=actor)
        screen.show(Text(f"call {call.id}: {_SAID[decision]}"))
        say_where_nobody_works(screen)
