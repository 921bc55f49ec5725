"""`manage.py runs`: the newest runs, one line each."""

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandParser
from rich.table import Table
from rich.text import Text

from agents import registry
from audit.management.persons import PersonsCommand, none_seen
from audit.management.typed import manage
from audit.visible import visible
from audit.wording import instant, lasting
from runs.management.terminal import Screen, add_json, say_where_nobody_works
from runs.management.terminal.listing import WORDS, Listed, as_record, recent
from runs.management.terminal.words import styled, whose
from runs.models import Cause

MOST = 1_000
SHORT_ID = 18
"""Half of an id: enough to name one run among millions, and short enough for a line."""

EPILOG = """\
examples:
  manage.py runs
  manage.py runs --pipeline ops-digest --outcome rejected --limit 5
  manage.py runs --cause stale

exit status: 0, also when there is none, 2 bad input, 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "List the newest runs: what they read as now, when they started, how long they took."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--pipeline", metavar="NAME", help="only runs of this pipeline")
        parser.add_argument("--outcome", choices=WORDS, help="only runs that read so now")
        parser.add_argument("--cause", choices=[str(cause) for cause in Cause], metavar="CAUSE", help="only runs that failed for this cause")
        parser.add_argument("--limit", metavar="N", type=_limit, default=20, help="how many at most; by default 20")
        parser.add_argument("--all", action="store_true", help="also runs that a step of another run has started")
        add_json(parser, "print a JSON list on stdout and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        screen = Screen(options)
        with screen.refusals():
            actor = self.actor()
            if options["pipeline"]:
                registry.pipeline_named(options["pipeline"], actor)
            asked = {"pipeline": options["pipeline"], "word": options["outcome"], "cause": options["cause"]}
            found = recent(actor=actor, limit=options["limit"], children=options["all"], **asked)
        if screen.json:
            screen.document([as_record(listed) for listed in found])
        elif found:
            screen.show(_table(found))
            screen.note(f"{manage()} showrun ID shows one (the beginning of an id will do)", "dim")
            if any(one.word == "queued" for one in found):
                say_where_nobody_works(screen)
        else:
            hint = "" if any(asked.values()) else f": {manage()} runpipeline NAME starts one"
            screen.note(none_seen("no such run yet" if any(asked.values()) else "no run yet", actor) + hint)


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise ArgumentTypeError(f"{text!r} is no number from 1 to {MOST}")
    return int(text)


def _table(found: list[Listed]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for title in ("run", "pipeline", "reads as", "started (UTC)"):
        table.add_column(title, overflow="fold", no_wrap=title in ("run", "started (UTC)"))
    table.add_column("took", justify="right", no_wrap=True)
    for each in found:
        started = "–" if each.started_at is None else instant(each.started_at)
        reads_as = styled(each.word, each.label)
        if each.draft:
            reads_as.append(" (draft)", style="dim")
        if each.cause:
            reads_as.append(f" {each.cause}")
        if each.owner:
            reads_as.append(f", {whose(each.owner, each.team)}", style="dim")
        took = "–" if each.seconds is None else lasting(each.seconds)
        table.add_row(each.id[:SHORT_ID], Text(visible(each.pipeline, 80)), reads_as, started, took)
    return table
