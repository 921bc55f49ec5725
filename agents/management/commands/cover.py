"""`manage.py cover`: who decides in whose stead while they are away; changes through agents.registry. No rule lives here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser

from agents.errors import NotGranted
from agents.management.showing import Shown, refusals_shown
from agents.models import Cover
from agents.registry import arrange_cover, covers_visible_to, end_cover
from agents.registry.covering import LONGEST
from audit import clock
from audit.actors import Actor
from audit.instants import to_the_second
from audit.management.persons import PersonsCommand, none_seen
from audit.visible import visible

MOST = 1_000
EPILOG = f"""\
what happens:
  While the cover lasts, the deputy finds in their list what a policy asks the person, is told of it, and decides it in their
  stead; each decision says in whose. The person may still decide; whoever is first has had that say, so it counts once.
  The deputy decides nothing that either of the two had a part in, and hands nothing on to a deputy of their own.
  It holds while both are active and in a team together, ends by itself (after {LONGEST.days} days at most), and is an entry of
  the ledger. You arrange it for yourself; whoever manages people may for others, and never with themselves as deputy.

examples:
  manage.py cover                                              who stands in for whom
  manage.py cover bob --until 2026-12-28                       from now on, for you
  manage.py cover bob --person alice --since 2026-12-19 --until 2026-12-28
  manage.py cover --end 0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10   before its time

exit status: 0 done, 2 refused (no such person or cover, not yours to arrange, no colleague, no time),
75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Have a colleague decide approvals in your stead while you are away; without arguments, list who stands in for whom."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("deputy", metavar="DEPUTY", nargs="?", help="who decides, by their user name")
        parser.add_argument("--until", metavar="TIME", help="when it ends: a day, which begins at midnight UTC, or an instant")
        parser.add_argument("--since", metavar="TIME", default="", help="when it begins; by default now")
        parser.add_argument("--person", metavar="PERSON", help="who is away; by default whose token it is")
        parser.add_argument("--end", metavar="ID", help="arrange none; end this one before its time")
        parser.add_argument("--all", action="store_true", help="in the list, those that are over too")

    def handle(self, *args: Any, **options: Any) -> None:
        deputy, until, end = options["deputy"], options["until"], options["end"]
        if (deputy is None) != (until is None) or (end is not None and deputy is not None):
            raise CommandError("give a DEPUTY with --until, or --end ID, or nothing for the list", returncode=2)
        with refusals_shown(self.stderr):
            actor = self.actor()
            if deputy is not None:
                if options["person"] is None and actor.kind != "person":
                    raise NotGranted("say who is away: --person NAME; without a token of yours this shell is nobody's")
                done = arrange_cover(options["person"] or actor.id, deputy, until=until, since=options["since"], actor=actor)
            elif end is not None:
                done = end_cover(end, actor=actor)
            else:
                self._list(actor, everything=options["all"])
                return
        Shown(self.stdout).line(_line(done, clock.now()), "changed")

    def _list(self, actor: Actor, *, everything: bool) -> None:
        shown, now = Shown(self.stdout), clock.now()
        rows = covers_visible_to(actor)
        found = list((rows if everything else rows.ahead(now)).order_by("-created_at", "-id")[:MOST])
        for each in found:
            shown.line(_line(each, now), "" if each.stands(now) in ("in force", "ahead") else "dim")
        if not found:
            shown.line(none_seen("nobody stands in for anybody", actor), "hint")


def _line(cover: Cover, now: datetime) -> str:
    who = f"{visible(cover.deputy.username)} for {visible(cover.person.username)}"
    return f"{cover.pk}  {who}  from {to_the_second(cover.since)} until {to_the_second(cover.until)}  {cover.stands(now)}"
