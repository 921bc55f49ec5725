"""`manage.py members`: who belongs to a team and whom it is shown to; changes through agents.registry. No rule lives here."""

from __future__ import annotations

from typing import Any, Final

from django.core.management.base import CommandParser

from agents.management.showing import Shown, refusals_shown
from agents.registry import add_member, hide_team, hide_team_from_group, people_of, remove_member, show_team, show_team_to_group
from audit.management.persons import PersonsCommand
from audit.visible import visible

EPILOG = """\
what happens:
  Members see what the team owns and act for it: start and cancel runs, publish, roll back. People whom the team is
  shown to, by name or in a group (manage.py group), see the same and can change nothing. It takes effect at each
  person's next request.

examples:
  manage.py members platform
  manage.py members platform --add alice
  manage.py members platform --show dora
  manage.py members platform --show-group auditors

exit status: 0 done, 2 refused (unknown team, person or group, or it is so already),
75 the database is busy or out of reach
"""
CHANGES: Final = {
    "add": add_member,
    "remove": remove_member,
    "show": show_team,
    "hide": hide_team,
    "show_group": show_team_to_group,
    "hide_group": hide_team_from_group,
}


class Command(PersonsCommand):
    help = "Show or change who belongs to a team, and whom it is shown to."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("team", metavar="TEAM", help="the team's name")
        change = parser.add_mutually_exclusive_group()
        change.add_argument("--add", metavar="PERSON", help="make a person a member")
        change.add_argument("--remove", metavar="PERSON", help="end a membership")
        change.add_argument("--show", metavar="PERSON", help="let a person look at what the team owns")
        change.add_argument("--hide", metavar="PERSON", help="take that back")
        change.add_argument("--show-group", metavar="GROUP", help="let everybody in a group look at what the team owns")
        change.add_argument("--hide-group", metavar="GROUP", help="take that back")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_shown(self.stderr):
            actor = self.actor()
            for name, change in CHANGES.items():
                if options[name] is not None:
                    change(options["team"], options[name], actor=actor)
            people = people_of(options["team"], actor=actor)
        shown = Shown(self.stdout)
        shown.line(f"team {people.team}")
        shown.line(f"  members   {', '.join(people.members) or 'none'}")
        onlookers = [*people.shown_to, *(f"group {visible(group.name, 150)}" for group in people.groups)]
        shown.line(f"  shown to  {', '.join(onlookers) or 'nobody else'}")
