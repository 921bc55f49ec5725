"""`manage.py decide`: parse, call approvals.services.decide as the person whose token is given, say what that means."""

from collections.abc import Mapping
from typing import Any, Final

from django.core.management.base import CommandParser
from rich.text import Text

from approvals import services
from approvals.errors import BadDecision
from approvals.models import Request
from approvals.services import proposal_documents, proposals
from audit import clock
from audit.actors import Actor
from audit.management.persons import PersonsCommand
from audit.visible import visible
from orchestra_site.shell import person_at_shell
from runs.management.terminal import Screen, say_where_nobody_works
from runs.management.terminal.inputs import value_given

EPILOG = """\
what happens:
  approve   with as many approvals as the policy asks for, exactly this call goes out, once; the run goes on
  decline   nothing is sent, and the step fails as declined with your reason
  changes   where people look at what an agent gave (approve_when): it does it again and is told your reason, as often as its
            pipeline allows; what it gives then is put to people again
  comment   your words are kept beside the request, and it stays open
  With --arguments, where the policy allows edits, what is approved is a call with these; they must fit the agent's input
  contract, and may not change what the call touches.
  Whatever changes before the call goes out (its arguments, its version, the policy) voids an approval, and it is asked anew.
  With --alike, what is decided of a call of low risk is decided of all that ask for exactly the same, each by itself.
  A proposal (manage.py proposals) is approved or declined likewise: with the last approval that its policy asks for, exactly
  what it shows is done, at once and in one piece.

examples:
  manage.py approvals --mine
  manage.py decide 0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10 approve --reason "the change window is open"
  manage.py decide 0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10 decline --reason "not on a Friday"
  manage.py decide 0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10 approve --alike --reason "the same as yesterday"
  manage.py decide 0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10 changes --reason "name the author"

exit status: 0 taken, 2 refused (no such request, not yours to decide, decided already, void, no reason),
75 the database is busy or out of reach
"""
WHO_MAY: Final = """\
whose command it is:
  A person's, with a token of theirs (manage.py token PERSON) in the environment variable ORCHESTRA_TOKEN; without it the
  command asks for one and shows nothing of it. A token never stands on the command line. The policy says whom it asks;
  whoever started the run, sent it a signal, wrote or published what it runs, or granted the permission can't decide.
"""
WORDS: Final = {"approve": "approved", "decline": "declined", "changes": "changes"}
COMMENT: Final = "comment"


class Command(PersonsCommand):
    help = "Approve or decline what waits for people's yes, ask for changes, or comment on it."
    epilog = EPILOG
    who = WHO_MAY

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("request", metavar="REQUEST", help="the id of a request or a proposal, as manage.py approvals and proposals say it")
        parser.add_argument("decision", choices=[*WORDS, COMMENT], help="see below")
        parser.add_argument("--reason", metavar="TEXT", default="", help="why, or the comment; kept in the ledger")
        edits = parser.add_mutually_exclusive_group()
        edits.add_argument("--arguments", metavar="JSON", help="approve with these arguments instead, where the policy allows edits")
        edits.add_argument("--arguments-file", metavar="F", help="the same from a file; '-' is stdin")
        parser.add_argument("--alike", action="store_true", help="with it all other calls of low risk that ask for exactly the same")
        parser.add_argument("--seen", metavar="DIGEST", help="what `manage.py approvals REQUEST` said under `shown`: nothing else is decided then")

    def actor(self) -> Actor:
        """Only a person decides, so one who sits there is asked who they are."""
        return person_at_shell()

    def handle(self, *args: Any, **options: Any) -> None:
        screen, wanted, decision = Screen(options), options["request"], options["decision"]
        with screen.refusals():
            actor = self.actor()
            if proposals.is_one(wanted):
                screen.show(Text(_decided(wanted, options, actor)))
                return
            if options["alike"]:
                screen.show(Text(_together(wanted, options, actor)))
                return
            if decision == COMMENT:
                request = services.comment(request=wanted, text=options["reason"], actor=actor)
            else:
                arguments = value_given("arguments", options["arguments"], options["arguments_file"])
                if options["arguments"] is not None or options["arguments_file"] is not None:
                    arguments = services.given_as_edits(arguments)
                said = {"reason": options["reason"], "seen": options["seen"], "arguments": arguments}
                request = services.decide(request=wanted, decision=WORDS[decision], **said, actor=actor)
        screen.show(Text(_meaning(request, decision)))
        say_where_nobody_works(screen)


def _together(request: str, options: Mapping[str, Any], actor: Actor) -> str:
    """Whatever asks for exactly the same."""
    if options["decision"] not in ("approve", "decline") or options["arguments"] is not None or options["arguments_file"] is not None:
        raise BadDecision("what is --alike is approved or declined as it is, without other arguments")
    also = services.document(services.find_request(request, actor=actor), actor=actor)["alike"]
    more = {"reason": options["reason"], "seen": options["seen"]}
    done = services.decide_alike(request=request, also=also, decision=WORDS[options["decision"]], **more, actor=actor)
    lines = [f"your decision is kept for {len(done.decided)} request{'s' if len(done.decided) != 1 else ''}"]
    return "\n".join([*lines, *(f"not for {each}: {why}" for each, why in done.refused)])


def _decided(proposal: str, options: Mapping[str, Any], actor: Actor) -> str:
    """A proposal is approved or declined, whole and as it is."""
    if options["decision"] not in ("approve", "decline"):
        raise BadDecision("a proposal is approved or declined; what is to be said of it is the reason")
    if options["arguments"] is not None or options["arguments_file"] is not None or options["alike"]:
        raise BadDecision("a proposal is approved as it is shown; decline it, and what is proposed next may be another one")
    word = WORDS[options["decision"]]
    done = proposals.decide(proposal=proposal, decision=word, reason=options["reason"], seen=options["seen"], actor=actor)
    [said] = proposal_documents.listed([done], clock.now())
    about = visible(said["about"], 300)
    return f"to {about}: your approval is kept; {said['lacks']} more must approve" if said["state"] == "open" else f"to {about}: {said['state']}"


def _meaning(request: Request, decision: str) -> str:
    [said] = services.listed([request], clock.now())
    what = f"{said['about']} in run {said['run']}"
    if said["state"] == "open":
        kept = "your comment is kept" if decision == COMMENT else "your approval is kept"
        return f"{what}: {kept}; {said['lacks']} more must approve"
    if said["state"] == "changes":
        return f"{what}: sent back; the agent does it again and is told your reason, and what it gives then is put to people again"
    return f"{what}: {said['state']}; a worker takes the run up again"
