"""`manage.py person`: accounts and what they may do beyond their teams; changes through agents.registry. No rule lives here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from agents import registry
from agents.management.showing import Shown, refusals_shown
from agents.registry import create_person, permit_person, reset_password, set_active
from agents.registry.roles import PERMISSIONS
from audit import clock
from audit.actors import Actor
from audit.errors import Invalid
from audit.management.persons import PersonsCommand
from audit.visible import visible

EPILOG = """\
what happens:
  A new person may sign in and sees nothing until they belong to a team (manage.py members) or are given something here.
  see-everything shows all teams' things, for auditors; it lets nobody change anything. manage-people is for whoever
  says who belongs where. A deactivated person's sessions and tokens end at their next request. To the e-mail address
  goes what waits for the person, where the installation sends e-mail; everybody may set their own. Who has several
  accounts is one person where something is approved, once it is said (--same-as).

examples:
  manage.py person alice
  manage.py person alice --create
  manage.py person root --create --administrator
  manage.py person dora --give see-everything
  manage.py person alice --email alice@example.com
  manage.py person alice --email ""
  manage.py person alice-admin --same-as alice
  manage.py person alice --deactivate

exit status: 0 done, 2 refused (unknown person, a name or an address that is taken, or it is so already),
75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Show an account, make one, or change what a person may do."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="what the person signs in with")
        change = parser.add_mutually_exclusive_group()
        change.add_argument("--create", action="store_true", help="make an account with a random password, shown once")
        parser.add_argument("--administrator", action="store_true", help="with --create: may do everything, for every team")
        change.add_argument("--password", action="store_true", help="set a new random password, shown once")
        change.add_argument("--activate", action="store_true", help="let the person sign in again")
        change.add_argument("--deactivate", action="store_true", help="end all access at once")
        change.add_argument("--email", metavar="ADDRESS", help="where the person is told what waits for them; an empty one takes it away")
        change.add_argument("--same-as", metavar="OTHER", help="another account of the same person: what they did with one, neither approves")
        change.add_argument("--nobody-else", action="store_true", help="the account is nobody else's, other than was said before")
        change.add_argument("--give", choices=sorted(PERMISSIONS), help="a permission beyond the person's teams")
        change.add_argument("--take", choices=sorted(PERMISSIONS), help="take such a permission back")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_shown(self.stderr):
            for line in _done(options["name"], options, self.actor()):
                Shown(self.stdout).line(line)


def _done(name: str, options: dict[str, Any], actor: Actor) -> list[str]:
    if options["administrator"] and not options["create"]:
        raise Invalid("--administrator goes with --create: nobody is made one later, and nobody stops being one")
    if options["create"] or options["password"]:
        made = create_person(name, actor=actor, administrator=options["administrator"]) if options["create"] else reset_password(name, actor=actor)
        password = made[1]
        return [f"Sign in as '{name}' with the password {password}", "It is shown this once."]
    if options["activate"] or options["deactivate"]:
        person = set_active(name, active=options["activate"], actor=actor)
        return [f"person {name}: {'active' if person.is_active else 'inactive'}"]
    if options["email"] is not None:
        person = registry.set_email(name, options["email"], actor=actor)
        return [f"person {name}: {f'is written to at {person.email}' if person.email else 'is written to no more'}"]
    if options["same_as"] is not None:
        registry.same_person(name, options["same_as"], actor=actor)
        return [f"person {name}: the same person as {options['same_as']}"]
    if options["nobody_else"]:
        registry.somebody_else(name, actor=actor)
        return [f"person {name}: nobody else"]
    permission = options["give"] or options["take"]
    if permission is None:
        return _shown(name, actor)
    permit_person(name, permission, allowed=options["give"] is not None, actor=actor)
    return [f"person {name}: {'may' if options['give'] else 'may not'} {permission.replace('-', ' ')}"]


def _shown(name: str, actor: Actor) -> list[str]:
    person = registry.person_shown(name, actor=actor)
    place = registry.place_of(person, actor=actor)
    signed_in = "never signed in" if person.last_login is None else f"signed in last {clock.to_text(person.last_login)}"
    return [
        f"person {person.username}: {'active' if person.is_active else 'inactive'}{', administrator' if person.is_superuser else ''}, {signed_in}",
        f"  teams        {', '.join(team.name for team in place.teams) or 'none'}",
        f"  shown teams  {', '.join(team.name for team in place.shown) or 'none'}",
        f"  e-mail       {visible(person.email, 254) or 'none'}",
        *([f"  accounts     the same person as {', '.join(place.accounts)}"] if place.accounts else []),
        f"  permissions  {', '.join(place.permissions) or 'none beyond their teams'}",
        f"  groups       {', '.join(visible(group.name, 150) for group in place.groups) or 'none'}",
    ]
