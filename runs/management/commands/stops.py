"""`manage.py stops`: which stops are in force, and of one the proof that nothing is sent under it any more."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.management.base import CommandParser
from rich.console import Group
from rich.text import Text

from agents import registry
from audit import clock
from audit.management.persons import PersonsCommand, none_seen
from audit.management.typed import manage
from audit.visible import visible
from runs import services
from runs.management.terminal import Screen, add_json

MOST = 200
MOST_CALLS = 20

EPILOG = """\
what is shown:
  Each stop in force: what is stopped, since when, by whom and why, and the command that lifts it. `show ID` adds the
  proof that it has come to rest: the last call that was sent before the stop, that none was sent after it, and what has
  become so far of the calls that were out. It is counted anew each time, from the calls' own rows.

examples:
  manage.py stops
  manage.py stops --all
  manage.py stops show 01a1f994-20dc-7372-a7d0-3f0c5d6f1a11

exit status: 0, also when there is none, 2 there is no such stop, 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "List what is stopped, since when, by whom and why; `show ID` proves that it has come to rest."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("show", metavar="show", nargs="?", choices=["show"], help="show one stop, with its proof")
        parser.add_argument("stop", metavar="ID", nargs="?", help="the stop's id")
        parser.add_argument("--all", action="store_true", help=f"also those that were lifted, the newest {MOST}")
        add_json(parser, "print JSON on stdout and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        screen = Screen(options)
        with screen.refusals():
            actor = self.actor()
            if options["show"]:
                row = registry.stop_shown(options["stop"] or "", actor=actor)
                found = [services.stop_document(row, actor=actor, now=clock.now())]
            else:
                rows = services.stops_visible_to(actor, in_force=not options["all"]).order_by("-stopped_at", "-id")[:MOST]
                found = services.stop_records(list(rows))
        if screen.json:
            screen.document(found[0] if options["show"] else found)
        elif found:
            screen.show(Group(*[Text(line) for stop in found for line in _lines(stop)]))
        else:
            screen.note(none_seen("nothing is stopped", actor))


def _lines(stop: Mapping[str, Any]) -> Iterator[str]:
    yield f"{visible(stop['what'], 120)}: {'stopped' if stop['lifted_at'] is None else 'was stopped'}"
    yield f"  since {stop['stopped_at']} by {visible(stop['stopped_by'], 80)}: {visible(stop['reason'] or 'the reason was not kept', 1_000)}"
    if stop["lifted_at"] is not None:
        yield f"  until {stop['lifted_at']}, lifted by {visible(stop['lifted_by'], 80)}"
    else:
        yield f"  {manage()} resume {' '.join(filter(None, (stop['scope'], stop['name'])))}"
    yield f"  stop {stop['id']}"
    if "proof" in stop:
        yield from _proof(stop["proof"])


def _proof(proof: Mapping[str, Any]) -> Iterator[str]:
    last = proof["last_before"]
    yield "  last call before it: " + ("none" if last is None else _call(last))
    yield f"  sent after it, until {proof['until']}: {proof['sent_after'] or 'none'}"
    yield from _calls(proof["after"])
    yield f"  out at that moment: {proof['in_flight'] or 'none'}" + (f", of which {proof['still_out']} still are" if proof["still_out"] else "")
    yield from _calls(proof["calls"])
    if proof["waiting"]:
        yield f"  waiting for its end: {proof['waiting']}"
    yield f"  quiet since {proof['quiet_since']}" if proof["quiet"] else "  not quiet yet"


def _calls(calls: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from (f"    {_call(call)}: {call['fate']}" for call in calls[:MOST_CALLS])
    if len(calls) > MOST_CALLS:
        yield f"    … and {len(calls) - MOST_CALLS} more (--json has them)"


def _call(call: Mapping[str, Any]) -> str:
    return f"{call['dispatched_at']} {visible(call['agent'], 80)}, step {visible(call['step'], 80)} of run {call['run']}"
