"""`manage.py keys`: the keys of agents and how each stands, through agents.registry. No rule lives here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from agents.management.showing import Shown, refusals_shown
from agents.registry import Stands, keys_found, keys_stand
from audit.instants import to_the_second
from audit.management.persons import PersonsCommand, none_seen
from audit.visible import visible

MOST = 1_000
EPILOG = """\
what it says:
  Of each key its id, its agent, whose it is, until when, when it was used last (to the minute), its scopes, and why it doesn't
  work where it doesn't: it ended or was revoked, its owner may not change what the agent's team owns any more, or the agent
  is suspended, retired or stopped. Keys that ended stay listed for 90 days. A key's text is shown nowhere again.

examples:
  manage.py keys
  manage.py keys feed-reader
  manage.py keys --owner bob          what would stop working if bob left, and what he should have revoked

exit status: 0, also when there is none, 2 there is no such agent, 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "List the keys of agents: whose each is, what it opens, and whether it works."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("agent", metavar="AGENT", nargs="?", help="only this agent's")
        parser.add_argument("--owner", metavar="PERSON", help="only those that this person owns, by their user name")

    def handle(self, *args: Any, **options: Any) -> None:
        shown = Shown(self.stdout)
        with refusals_shown(self.stderr):
            actor = self.actor()
            found = keys_stand(keys_found(actor, agent=options["agent"], owner=options["owner"])[:MOST])
        for each in found:
            shown.line(_line(each), "" if each.why_not is None else "dim")
            for more in _more(each):
                shown.line(f"    {more}", "hint")
        if not found:
            shown.line(none_seen("there is no key", actor), "hint")


def _line(stands: Stands) -> str:
    key = stands.key
    used = "never used" if key.used_at is None else f"used {to_the_second(key.used_at)}"
    whose = f"{visible(key.agent.name)}  of {visible(key.owner.username)}"
    return f"{key.id}  {whose}  until {to_the_second(key.expires_at)}  {used}  {', '.join(key.scopes)}  {visible(key.name, 100)}".rstrip()


def _more(stands: Stands) -> list[str]:
    if stands.why_not is not None:
        return [f"doesn't work: {visible(stands.why_not, 300)}"]
    lost = sorted(set(stands.key.scopes) - stands.opens)
    return [f"opens no {', '.join(lost)} now: {visible(stands.key.owner.username)} may not start runs of the agent's team"] if lost else []
