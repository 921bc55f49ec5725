"""`manage.py can`: parse, ask agents.registry.may, say the answer. No rule lives here."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser

from agents.grants import ALLOW, DENY, REQUIRE_APPROVAL
from agents.management.showing import Shown, TeachingFormatter, refusals_shown
from agents.registry import may
from audit.actors import Actor
from audit.visible import visible

EPILOG = """\
what it says:
  The first word is the answer that the boundary would give now: allow, require_approval or deny. Then which of the agent's
  permissions decides, and what would change that. Deny wins over require_approval, and that over allow; what no permission
  names is denied. Whether a price, a rate or an account would refuse the call as well depends on the call.

examples:
  manage.py can feed-reader read feed:metrics
  manage.py can feed-reader read network:api.example.com --json

exit status: 0 allow, 13 require_approval, 12 deny (also for what is no verb), 2 there is no such agent,
75 the database is busy or out of reach
"""
STATUS: Final = {ALLOW: 0, REQUIRE_APPROVAL: 13, DENY: 12}
_STYLES: Final = {ALLOW: "green", REQUIRE_APPROVAL: "yellow", DENY: "red"}


class Command(BaseCommand):
    help = "Say whether an agent may do something, by which permission, and what would change the answer."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, epilog=EPILOG, formatter_class=TeachingFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("agent", metavar="AGENT", help="the agent's name")
        parser.add_argument("verb", metavar="VERB", help="such as read, write, call or connect")
        parser.add_argument("resource", metavar="RESOURCE", help="kind and name, such as feed:metrics")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines for people")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_shown(self.stderr):
            answer = may(options["agent"], options["verb"], options["resource"], actor=Actor.system("shell"))
        shown = Shown(self.stdout)
        if options["json"]:
            shown.line(json.dumps(answer.as_record(), ensure_ascii=False))
        else:
            shown.line(f"{answer.effect}  {answer.agent.name} {visible(answer.verb)} {visible(answer.resource, 300)}", _STYLES[answer.effect])
            shown.line(f"    {visible(answer.why, 1_000)}")
            shown.line(f"    To change that: {visible(answer.change, 1_000)}", "hint")
        if STATUS[answer.effect]:
            sys.exit(STATUS[answer.effect])
