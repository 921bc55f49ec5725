"""`manage.py approvals`: what waits for people's yes, one request in full, and what to type about it. Decides nothing."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.management.base import CommandParser
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from approvals import services
from approvals.models import Request
from approvals.services import Inbox
from audit import clock
from audit.actors import Actor
from audit.management.persons import PersonsCommand, none_seen
from audit.management.typed import manage
from audit.visible import visible
from audit.wording import lasting, money
from runs.management.terminal import Screen, add_json
from runs.management.terminal.words import instant

MOST = 200
LONGEST = 4_000

EPILOG = """\
what is listed:
  Each call that waits for somebody's yes: who would do what, for which run, under which policy, how many more must
  approve, until when, and what silence means. With REQUEST that one in full: the arguments as Orchestra would send them,
  the evidence so far with its age, what it has cost, and what has been said about it.
  With a token of yours in ORCHESTRA_TOKEN, --mine leaves what you may decide now.

examples:
  manage.py approvals
  manage.py approvals --mine
  manage.py approvals 0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10
  manage.py decide 0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10 approve --reason "the change window is open"

exit status: 0, also when there is none, 2 there is no such request, 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "List what waits for an approval, or show one request in full."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("request", nargs="?", metavar="REQUEST", help="one request, by its id")
        parser.add_argument("--mine", action="store_true", help="only what you may decide now (with ORCHESTRA_TOKEN)")
        parser.add_argument("--decided", action="store_true", help="those that are open no more, newest first")
        add_json(parser, "print a JSON document on stdout and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        screen = Screen(options)
        with screen.refusals():
            actor = self.actor()
            if options["request"]:
                _show(screen, services.find_request(options["request"], actor=actor), actor)
            else:
                _list(screen, _wanted(actor, options), actor)


def _wanted(actor: Actor, options: Mapping[str, Any]) -> list[Request]:
    services.tend()
    if options["mine"]:
        return services.waiting_for(actor, most=MOST + 1)
    if options["decided"]:
        return list(services.decided(actor).order_by("-wait__ended_at", "-pk")[: MOST + 1])
    open_now = services.requests_wanted(Inbox(state="open"), actor=actor, now=clock.now())
    return list(open_now.order_by("wait__expires_at", "pk")[: MOST + 1])


def _list(screen: Screen, requests: list[Request], actor: Actor) -> None:
    found = services.listed(requests[:MOST], clock.now())
    if screen.json:
        screen.document(found)
    elif found:
        parts = [part for said in found for part in (*_block(said), Text(""))]
        screen.show(Group(*parts[:-1], *([Text(f"\n… the first {MOST}")] if len(requests) > MOST else [])))
        if actor.kind == "system":
            screen.note(f"\nA person decides: with a token of theirs ({manage()} token PERSON) in ORCHESTRA_TOKEN, or in the admin.", "dim")
    else:
        screen.note(none_seen("nothing waits for an approval", actor))


def _show(screen: Screen, request: Request, actor: Actor) -> None:
    said = services.document(request, actor=actor)
    if screen.json:
        screen.document(services.as_json(said))
        return
    screen.show(Group(*_block(said), Text(""), *_in_full(said)))


def _block(said: Mapping[str, Any]) -> list[RenderableType]:
    lacks = f"; {said['lacks']} more must approve" if said["state"] == "open" else ""
    rows = [
        ("run", f"{said['run']} of {visible(said['pipeline'], 80)}"),
        ("step", visible(said["step"], 120)),
        ("since", instant(said["opened_at"])),
        ("asks", f"{visible(said['asks'], 300)} ({visible(said['policy']['said'], 120)}){lacks}"),
        ("until", _until(said)) if said["state"] == "open" else ("state", said["state"]),
        ("type", _typed(said) if said["state"] == "open" else ""),
    ]
    return [Text.assemble("for ", (said["about"], "bold")), table(rows)]


def _until(said: Mapping[str, Any]) -> str:
    """When it ends, and what silence means: at the last stage that is denied then, and before it another is asked."""
    silence = ", then denied" if said["stage"] == said["stages"] else f"; {visible(said['silence'], 200)}"
    return f"{instant(said['expires_at'])}{silence}"


def _typed(said: Mapping[str, Any]) -> str:
    """What to type about it; only one request in full says whether it can be sent back."""
    decisions = "approve, decline or changes" if said.get("rounds_left") else "approve or decline"
    return f"{manage()} approvals {said['id']}\n{manage()} decide {said['id']} DECISION --reason TEXT\nDECISION is {decisions}"


def _in_full(said: Mapping[str, Any]) -> Iterable[RenderableType]:
    uses = "; ".join(f'{visible(use["verb"], 60)} {visible(use["resource"], 200)} ("{visible(use["permission"], 200)}")' for use in said["uses"])
    cost = said["cost_nano"]
    spent = f"{money(cost['spent'] + cost['reserved'])} so far" + (f"; this call at most {money(cost['this'])}" if said["kind"] == "call" else "")
    age = [f"{each['step']} as of {instant(each['as_of'])}, {lasting(each['age_s'])} old" for each in said["evidence"] if each["as_of"]]
    yield table(
        [
            ("would", uses),
            ("version", f"{said['version']} ({said['version_digest']})" if said["version"] else ""),
            ("purpose", visible(said["purpose"] or "", 300)),
            ("uncontained", "nothing kept its code from the network when it was last called" if said["uncontained"] else ""),
            ("started by", visible(said["started_by"], 120)),
            ("on behalf of", visible(said["on_behalf_of"] or "", 160)),
            ("cost", spent),
            ("evidence", "; ".join(visible(each, 200) for each in age)),
            ("bound to", said["binding"]),
            ("shown", said["shown"]),
            ("you", visible(you(said), 400)),
            ("alike", f"{len(said['alike'])} more ask for exactly this: --alike decides them with it" if said["alike"] else ""),
            ("can decide", visible(", ".join(said["deciders"]), 400)),
            ("stuck", visible(said["stuck"] or "", 2_000)),
        ]
    )
    yield Text("arguments" if said["kind"] == "call" else "what is asked about", style="dim")
    yield Text(visible_lines(said["arguments"]))
    for each in said["decisions"]:
        for edit in each["edits"] or ():
            yield Text(f"  {visible(edit['path'], 120)}: {visible(json.dumps(edit['new']), 300)} instead of {visible(json.dumps(edit['old']), 300)}")
        stead = f" in the stead of {visible(each['instead_of'], 120)}" if each["instead_of"] else ""
        yield Text(f"{visible(each['person'], 120)}{stead} {each['decision']} at {instant(each['at'])}: {visible(each['reason'] or '–', 500)}")
    for each in said["comments"]:
        yield Text(f"{visible(each['person'], 120)} said at {instant(each['at'])}: {visible(each['text'] or '–', 500)}")


def you(said: Mapping[str, Any]) -> str:
    """What whoever looks may do."""
    stead = f", in the stead of {said['instead_of']}" if said["instead_of"] else ""
    return str(said["why_not"] or f"may decide this{stead}")


def visible_lines(value: Any) -> str:
    """JSON for reading, as much as a person reads; no line of it can do anything to a terminal."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    shown = [visible(line, 300) for line in text[:LONGEST].splitlines()]
    cut = len(text) > LONGEST or any(len(line) > 300 for line in text.splitlines())
    return "\n".join([*shown, *(["… cut here: --json says all of it; decide on nothing that you haven't read"] if cut else [])])


def table(rows: Iterable[tuple[str, str]]) -> Padding:
    """Names and what is said of them; what is empty is left out."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, said in rows:
        if said:
            table.add_row(name, Text(said))
    return Padding(table, (0, 0, 0, 2))
