"""`manage.py can`: parse, ask agents.registry.may, say the answer. No rule lives here."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from agents.grants import ALLOW, DENY, REQUIRE_APPROVAL
from agents.management.showing import Shown, refusals_shown
from agents.registry import May, Right, arguments_of, last_used, may, rights
from audit.instants import readable
from audit.management.persons import PersonsCommand
from audit.visible import visible

EPILOG = """\
what it says:
  The first word is the answer that the boundary would give now: allow, require_approval or deny. Then which permission of the
  agent or its team decides, and what would change that. Deny wins over require_approval, and that over allow; what no permission
  names is denied, and so is a verb or a kind of resource that nobody registered. Where the agent's team is only observed, what no
  permission names is allowed, and the answer says so. A permission with a condition is judged by --args.
  Of a permission with a rate it says how much is used, and when the next call fits where none fits now; that doesn't change the
  first word. Whether a price or an account would refuse the call as well depends on the call.

  A call has no more rights than its agent, than the pipelines that its run is made for, and than the person who started that. With
  --pipeline and --as the answer is for such a run: the strictest of them decides, and a line for each says what it says by itself.

  Without VERB and RESOURCE it lists all that the agent may: what each permission says now (none: nothing), who holds it, why, what
  is used of a rate, and when it was last used: exactly where there is a rate, else to the hour.

examples:
  manage.py can feed-reader
  manage.py can feed-reader read feed:metrics
  manage.py can feed-reader read network:api.example.com --json
  manage.py can deployer write deploy:staging --args '{"version": "1.4.2"}'
  manage.py can deployer write deploy:staging --pipeline deploy --as alice

exit status: 0 allow or a list, 13 require_approval, 12 deny (also for an unknown verb or kind), 2 there is no such agent,
pipeline or person, or what was given can't be read, 75 the database is busy or out of reach
"""
STATUS: Final = {ALLOW: 0, REQUIRE_APPROVAL: 13, DENY: 12}
_OF_ONE_CALL: Final = {"--args": "arguments", "--as": "person", "--pipeline": "pipeline"}
_STYLES: Final = {ALLOW: "green", REQUIRE_APPROVAL: "yellow", DENY: "red"}


class Command(PersonsCommand):
    help = "Say whether an agent may do something, by which permission, and what would change the answer."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("agent", metavar="AGENT", help="the agent's name")
        parser.add_argument(
            "verb", metavar="VERB", nargs="?", help="such as read, write, call or connect; without it, all that the agent may is listed"
        )
        parser.add_argument("resource", metavar="RESOURCE", nargs="?", help="kind and name, such as feed:metrics")
        parser.add_argument("--args", dest="arguments", metavar="JSON", help="what the call would be given, for permissions with a condition")
        parser.add_argument("--as", dest="person", metavar="PERSON", help="in a run that this person has started, with what they may at this moment")
        parser.add_argument("--pipeline", metavar="NAME", help="in a run of this pipeline, which may bound what its runs do")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines for people")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verb"] is None:
            said = next((name for name, key in _OF_ONE_CALL.items() if options[key] is not None), None)
            if said is not None:
                raise CommandError(f"{said} is about one call: say VERB and RESOURCE too", returncode=2)
            self._list(options["agent"], as_json=options["json"])
            return
        if options["resource"] is None:
            raise CommandError("say what it is about too, as in: can feed-reader read feed:metrics", returncode=2)
        with refusals_shown(self.stderr):
            given = None if options["arguments"] is None else arguments_of(options["arguments"])
            of = {"person": options["person"], "pipeline": options["pipeline"]}
            answer = may(options["agent"], options["verb"], options["resource"], actor=self.actor(), args=given, **of)
        shown = Shown(self.stdout)
        if options["json"]:
            shown.line(json.dumps(answer.as_record(), ensure_ascii=False))
        else:
            self._answer(shown, answer)
        if STATUS[answer.effect]:
            sys.exit(STATUS[answer.effect])

    def _answer(self, shown: Shown, answer: May) -> None:
        held = f" It is held by {visible(answer.source)}." if answer.source is not None else ""
        shown.line(f"{answer.effect}  {answer.agent.name} {visible(answer.verb)} {visible(answer.resource, 300)}", _STYLES[answer.effect])
        shown.line(f"    {visible(answer.why, 1_000)}{held}")
        for each in answer.layers if len(answer.layers) > 1 else ():
            shown.line(f"    {each.effect:<17}{visible(each.holder, 200)}: {visible(each.why, 500)}", _STYLES[each.effect])
        shown.line(f"    To change that: {visible(answer.change, 1_000)}", "hint")

    def _list(self, agent: str, *, as_json: bool) -> None:
        with refusals_shown(self.stderr):
            found = rights(agent, actor=self.actor())
        shown = Shown(self.stdout)
        if as_json:
            shown.line(json.dumps(found.as_record(), ensure_ascii=False))
            return
        known = readable(found.known_since)
        other = "is allowed and recorded, for its team is only observed" if found.observed else "is denied"
        many = f"{len(found.every)} permission{'' if len(found.every) == 1 else 's'}"
        shown.line(f"{found.agent.name} ({found.agent.state}): {many}; what none names {other}. Uses are known since {known}")
        for each in found.every:
            shown.line(f"{each.effect:<17}{visible(each.rule, 300)}", _STYLES.get(each.effect, "hint"))
            shown.line(f"    {visible(each.source)}; {visible(each.why, 300)}{'' if each.room is None else f'; {each.room}'}{_last(each)}")


def _last(right: Right) -> str:
    if right.used_at is None and not right.is_unused:
        return ""
    used = f"; last {'used' if right.effect != 'none' else 'met'} {last_used(right)}" if right.used_at is not None else "; never used"
    return f"{used}: unused for 90 days, take it out if nobody misses it" if right.is_unused else used
