"""`manage.py group`: groups of people whom teams are shown to; changes through agents.registry. No rule lives here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.core.management.base import CommandParser

from agents import registry
from agents.management.showing import Shown, refusals_shown
from audit.actors import Actor
from audit.errors import Invalid
from audit.management.persons import PersonsCommand
from audit.visible import visible

MOST: Final = 10_000
EPILOG = """\
what happens:
  A team that is shown to a group (manage.py members TEAM --show-group NAME) can be looked at by everybody in it, and
  changed by none of them for that. Who is taken out sees it no more from their next request on. Only a group of nobody
  that is shown nothing is deleted.

examples:
  manage.py group
  manage.py group auditors --create
  manage.py group auditors --add dora
  manage.py group auditors

exit status: 0 done, 2 refused (unknown group or person, a name that is taken, or it is so already),
75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "List groups of people, show one, make or delete one, or say who is in it."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", nargs="?", help="the group's name; without one, all are listed")
        change = parser.add_mutually_exclusive_group()
        change.add_argument("--create", action="store_true", help="make a group of nobody")
        change.add_argument("--delete", action="store_true", help="delete a group of nobody that is shown nothing")
        change.add_argument("--add", metavar="PERSON", help="put a person into it")
        change.add_argument("--remove", metavar="PERSON", help="take a person out of it")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_shown(self.stderr):
            for line in _done(options["name"], options, self.actor()):
                Shown(self.stdout).line(line)


def _listed(actor: Actor) -> Iterable[str]:
    names = registry.groups_visible_to(actor).order_by("name").values_list("name", flat=True)[:MOST]
    return [visible(name, 150) for name in names]


def _done(name: str | None, options: dict[str, Any], actor: Actor) -> Iterable[str]:
    if name is None:
        if any(options[change] for change in ("create", "delete", "add", "remove")):
            raise Invalid("say which group: manage.py group NAME …")
        return _listed(actor)
    if options["delete"]:
        registry.delete_group(name, actor=actor)
        return [f"group {name}: deleted"]
    if options["create"]:
        registry.create_group(name, actor=actor)
    if options["add"] is not None:
        registry.add_to_group(name, options["add"], actor=actor)
    if options["remove"] is not None:
        registry.take_from_group(name, options["remove"], actor=actor)
    return _shown(name, actor)


def _shown(name: str, actor: Actor) -> Iterable[str]:
    place = registry.group_shown(name, actor=actor)
    return [
        f"group {visible(place.group.name, 150)}",
        *([f"  a role       {place.role}"] if place.role else []),
        f"  people       {', '.join(place.people) or 'nobody'}",
        f"  shown teams  {', '.join(team.name for team in place.shown) or 'none'}",
    ]
