"""`manage.py permit`: grant permissions to an agent or a team, or withdraw them, through agents.registry. No rule lives here."""

from __future__ import annotations

from typing import Any, Final

from django.core.management.base import CommandParser

from agents.management.showing import Shown, refusals_shown
from agents.models import Agent, Team
from agents.registry import Permitted, permit
from audit.management.persons import PersonsCommand
from audit.visible import visible

EPILOG = """\
what happens:
  What is granted or withdrawn holds from now on, also for runs at work. An agent gets a version of its own for it, with the same code;
  what a team is granted each of its agents may. All that a file says of permissions can be said here, and is judged as there: every
  problem is listed, each with the number of the permission that was given, and then nothing is written. What runs and is refused from
  now on is said. A draft that waits to be published stays as it is and says its own permissions, and so do files that are applied
  later: write it there too. Whoever wrote or published the version before has a part in the new one as well.

examples:
  manage.py permit agent feed-reader --grant "allow read feed:metrics/*"
  manage.py permit agent deployer --grant "require_approval write deploy:production policy to-production"
  manage.py permit agent deployer --withdraw "allow write deploy:*" --grant "allow write deploy:staging rate 10/1h"
  manage.py permit team platform --grant "deny connect network:*" --dry-run

exit status: 0 done, 13 proposed, as people of the team have to say yes first (`publishing` in its document),
2 refused (unknown agent or team, not yours to change, a problem with what is granted, it is so already),
75 the database is busy or out of reach
"""
KINDS: Final[dict[str, type[Agent] | type[Team]]] = {"agent": Agent, "team": Team}


class Command(PersonsCommand):
    help = "Grant permissions to an agent or a team, or withdraw them, without a file."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=list(KINDS), help="whose permissions")
        parser.add_argument("name", metavar="NAME", help="its name")
        parser.add_argument("--grant", metavar="PERMISSION", action="append", default=[], help="as files write it; give one or more")
        parser.add_argument(
            "--withdraw", metavar="PERMISSION", action="append", default=[], help="as `manage.py can AGENT` says it; give one or more"
        )
        parser.add_argument("--dry-run", action="store_true", help="show what it would do, write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        kind, shown = KINDS[options["kind"]], Shown(self.stdout)
        with refusals_shown(self.stderr):
            asked = {"grant": options["grant"], "withdraw": options["withdraw"], "dry_run": options["dry_run"]}
            done = permit(kind, options["name"], **asked, actor=self.actor())
        _show(shown, done)
        if options["dry_run"]:
            shown.line("dry run: nothing was written", "hint")


def _show(shown: Shown, done: Permitted) -> None:
    version = "" if done.version is None else f" (version {done.version})"
    shown.line(f"{visible(done.holder, 120)}: {len(done.now)} permission{'s' if len(done.now) != 1 else ''}{version}", "changed")
    for rule in done.withdrawn:
        shown.line(f"    - {visible(rule, 1_000)}", "red")
    for rule in done.granted:
        shown.line(f"    + {visible(rule, 1_000)}", "green")
    shown.denied(done.denied)
    if done.asks:
        shown.line(f"it would be proposed: {visible(done.asks)}", "hint")
