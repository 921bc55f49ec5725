"""`manage.py workers`: the processes at work, one line each."""

from typing import Any

from django.core.management.base import CommandParser
from rich.table import Table
from rich.text import Text

from audit import clock
from audit.instants import readable
from audit.management.teaching import TeachingCommand
from audit.management.typed import manage
from audit.visible import visible
from audit.wording import lasting
from runs.management.terminal import Screen, add_json
from runs.models import Engine

MOST = 200

EPILOG = """\
what the words mean:
  at work   it has said so within three heartbeats
  silent    it has not: it was killed, or can't reach the database. Its runs are taken over when their leases run out
  left      it ended as it was told to, or its supervisor found it dead and replaced it (shown with --all)

examples:
  manage.py workers
  manage.py workers --all --json

exit status: 0 where an engine that takes any run is at work, 1 where none is, 2 bad input,
75 the database is busy or out of reach
"""


class Command(TeachingCommand):
    help = "List the engines and queues at work: where, since when, when they were last heard of, how many runs each drives."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="also those that have left within the last day")
        add_json(parser, "print a JSON list on stdout and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        screen, now = Screen(options), clock.now()
        with screen.refusals():
            rows = Engine.objects.all() if options["all"] else Engine.objects.filter(stopped_at__isnull=True)
            found, serving = list(rows[:MOST]), Engine.objects.serving(now).exists()
        if screen.json:
            screen.document([as_record(one, one.stands(now)) for one in found])
        elif found:
            screen.show(_table(found))
        else:
            screen.note(f"nobody is at work: {manage()} worker starts a worker")
        if not serving:
            raise SystemExit(1)


def as_record(one: Engine, stands: str) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "kind": one.kind,
        "host": one.host,
        "pid": one.pid,
        "state": stands,
        "serves_all": one.serves_all,
        "driving": one.driving,
        "started_at": clock.to_text(one.started_at),
        "beat_at": clock.to_text(one.beat_at),
        "stopped_at": None if one.stopped_at is None else clock.to_text(one.stopped_at),
    }


def _table(found: list[Engine]) -> Table:
    now = clock.now()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for title in ("what", "where", "process", "is", "drives", "started (UTC)", "heard of"):
        table.add_column(title, no_wrap=title != "where")
    for one in found:
        stands = one.stands(now)
        serves = "" if one.serves_all else " (one run)"
        state = Text(stands, style={"at work": "green", "silent": "bold red"}.get(stands, "dim"))
        heard = f"{lasting((now - one.beat_at).total_seconds())} ago"
        started = readable(one.started_at)
        cells = (f"{one.kind}{serves}", Text(visible(one.host, 60)), str(one.pid), state, str(one.driving), started, heard)
        table.add_row(*cells)
    return table
