"""`manage.py proposals`: changes that wait for people's yes before they are made, one in full, and taking one back. Decides nothing."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Group, RenderableType
from rich.text import Text

from agents import registry
from agents.models import Proposal
from agents.registry import FieldChange
from agents.registry.differences import differences
from approvals.services import proposal_documents, proposals
from audit import clock
from audit.actors import Actor
from audit.management.persons import PersonsCommand, none_seen
from audit.management.typed import manage
from audit.visible import visible
from orchestra_site.management.commands.approvals import table, you
from runs.management.terminal import Screen, add_json
from runs.management.terminal.words import instant

MOST = 200

EPILOG = """\
what is listed:
  Where a team's document says `publishing: POLICY` or `resuming: POLICY`, what would publish or grant something, or let go
  on what was stopped, is put to people first. Each is listed with what would be done, who proposed it, under which policy, how
  many more must approve, and until when. With PROPOSAL that one in full: every field that differs from what runs.
  Exactly what is shown is done, in one piece, with the last approval; where that can't be any more it is void.
  With a token of yours in ORCHESTRA_TOKEN, --mine leaves what you may decide now.

examples:
  manage.py proposals
  manage.py proposals 0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10
  manage.py decide 0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10 approve --reason "read the diff"
  manage.py proposals 0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10 --withdraw

exit status: 0, also when there is none, 2 refused (no such proposal, not yours to take back, over already),
75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "List what waits for people's yes before it is published or goes on, show one, or take one back."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("proposal", nargs="?", metavar="PROPOSAL", help="one proposal, by its id")
        parser.add_argument("--withdraw", action="store_true", help="take it back: nobody decides it any more")
        parser.add_argument("--mine", action="store_true", help="only what you may decide now (with ORCHESTRA_TOKEN)")
        parser.add_argument("--ended", action="store_true", help="those that are open no more")
        add_json(parser, "print a JSON document on stdout and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        screen = Screen(options)
        if options["withdraw"] and not options["proposal"]:
            raise CommandError("say which: PROPOSAL --withdraw", returncode=2)
        with screen.refusals():
            actor = self.actor()
            if options["withdraw"]:
                registry.withdraw(options["proposal"], actor=actor)
            if options["proposal"]:
                _show(screen, proposals.find(options["proposal"], actor=actor), actor)
            else:
                _list(screen, _wanted(actor, options), actor)


def _wanted(actor: Actor, options: Mapping[str, Any]) -> list[Proposal]:
    found = proposals.wanted(actor=actor, state="ended" if options["ended"] else "open", mine=options["mine"])
    return list(found.prefetch_related("decisions").order_by("created_at", "id")[: MOST + 1])


def _list(screen: Screen, found: list[Proposal], actor: Actor) -> None:
    listed = proposal_documents.listed(found[:MOST], clock.now())
    if screen.json:
        screen.document(listed)
    elif listed:
        parts = [part for said in listed for part in (*_block(said), Text(""))]
        screen.show(Group(*parts[:-1], *([Text(f"\n… the first {MOST}")] if len(found) > MOST else [])))
        if actor.kind == "system":
            screen.note(f"\nA person decides: with a token of theirs ({manage()} token PERSON) in ORCHESTRA_TOKEN, or in the admin.", "dim")
    else:
        screen.note(none_seen("nothing is proposed", actor))


def _show(screen: Screen, proposal: Proposal, actor: Actor) -> None:
    said = proposal_documents.document(proposal, actor=actor)
    if screen.json:
        screen.document(said)
    else:
        screen.show(Group(*_block(said), Text(""), *_in_full(said)))


def _block(said: Mapping[str, Any]) -> list[RenderableType]:
    is_open = said["state"] == "open"
    lacks = f"; {said['lacks']} more must approve" if is_open else ""
    why = f": {visible(said['why'], 300)}" if said["why"] else ""
    rows = [
        ("team", visible(said["team"], 80)),
        ("proposed by", f"{visible(said['by'], 160)}, {instant(said['created_at'])}"),
        ("asks", f"{visible(said['asks'], 300)} ({visible(said['policy']['said'], 120)}){lacks}"),
        ("until", f"{instant(said['expires_at'])}, then denied") if is_open else ("state", f"{said['state']}{why}"),
        ("type", _typed(said) if is_open else ""),
    ]
    return [Text.assemble("to ", (visible(said["about"], 300), "bold")), table(rows)]


def _typed(said: Mapping[str, Any]) -> str:
    return f"{manage()} proposals {said['id']}\n{manage()} decide {said['id']} DECISION --reason TEXT\nDECISION is approve or decline"


def _in_full(said: Mapping[str, Any]) -> Iterable[RenderableType]:
    authors = [("a command without a person's token" if each == "system" else visible(each, 120)) for each in said["authors"]]
    yield table(
        [
            ("written by", ", ".join(authors)),
            ("shown", said["shown"]),
            ("you", visible(you(said), 400)),
            ("can decide", visible(", ".join(said["deciders"]), 400)),
            ("stuck", visible(said["stuck"] or "", 2_000)),
        ]
    )
    for item in said["changes"]:
        yield from _item(item)
    for change in said["code"]:
        yield from _code(change)
    for each in said["decisions"]:
        stead = f" in the stead of {visible(each['instead_of'], 120)}" if each["instead_of"] else ""
        yield Text(f"{visible(each['person'], 120)}{stead} {each['decision']} at {instant(each['at'])}: {visible(each['reason'] or '–', 500)}")


def _code(change: Mapping[str, Any]) -> Iterable[RenderableType]:
    was = change["old"][:12] if change["old"] else "none"
    yield Text(f"code of {visible(', '.join(change['agents']), 300)}: {was} → {change['new'][:12]}", style="bold")
    if change["unreadable"]:
        yield Text("  the code of one of them is not there, or can't be read", style="yellow")
    for file in change["files"]:
        note = f" ({file['note']})" if file["note"] else ""
        yield Text(f"  {visible(file['path'], 300)} {file['what']}{note}")
        yield from (Text(f"    {line}") for line in file["lines"])
        if file["left_out"]:
            yield Text(f"    … and {file['left_out']} more lines", style="dim")
    if change["more_files"]:
        yield Text(f"  … and {change['more_files']} more files", style="dim")


def _item(item: Mapping[str, Any]) -> Iterable[RenderableType]:
    version = "" if item["to_version"] is None else f" version {item['to_version']}"
    was = "" if item["from_version"] is None else f" in the place of {item['from_version']}"
    yield Text(f"{visible(item['subject'], 120)}{version}{was}", style="bold")
    if item["stop"] is not None:
        stop = item["stop"]
        why = visible(stop["reason"], 1_000) if stop["reason"] else "why is not kept"
        yield Text(f"  stopped by {visible(stop['stopped_by'], 160)} at {instant(stop['stopped_at'])}: {why}")
    if item["hidden"]:
        yield Text("  it belongs to a team that is not shown to you", style="dim")
    for said in item["denied"]:
        yield Text(f"  runs already, and will be refused: {visible(said, 500)}", style="yellow")
    differing = differences(FieldChange(**field) for field in item["fields"])
    for each in differing.rows:
        yield Text(f"  {visible(each.path, 200)}")
        for sign, value in (("-", each.old), ("+", each.new)):
            if value is not None:
                yield Text("\n".join(f"    {sign} {line}" for line in value.split("\n")))
    if differing.more:
        yield Text(f"  … and {differing.more} more fields of input and output: --json has all of them")
