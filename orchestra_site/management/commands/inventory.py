"""`manage.py inventory`: parse, ask orchestra_site.stock, show it in columns or as JSON. No rule lives here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from django.core.management.base import CommandParser
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from audit.actors import Actor
from audit.errors import Invalid
from audit.management.persons import PersonsCommand, none_seen
from audit.management.typed import manage
from audit.visible import visible
from orchestra_site import stock
from runs.management.terminal import Screen, add_json

EPILOG = """\
what is shown:
  Without a word all four kinds, at most a thousand of each. Instants are days, in UTC; --json has them whole, and the
  ids of runs. The day by which an agent is reviewed is shown where one has such a day, and which agents will be
  suspended is said on stderr; "uncontained", where there is one of which nothing kept the code from the network when it
  was last called. Of an agent "verified" is the day on which it last took part in a verified run, of its
  newest ones, and "version" is what runs; where a pipeline runs another one than the published, that is said in brackets.
  A NAME shows one agent or pipeline with its newest versions, and of a pipeline the releases: their first digits are
  what `manage.py rollback NAME --release` takes. That of a team shows what the team owns.

examples:
  manage.py inventory
  manage.py inventory agents --team platform
  manage.py inventory my-pipeline
  manage.py inventory pipelines --json

exit status: 0, also where there is nothing, 2 there is no such agent, pipeline or team,
75 the database is busy or out of reach
"""
MOST_NOTICES: Final = 20
TITLES: Final = {
    "agents": ("agent", "team", "role", "state", "version", "last run", "verified", "review by", "uncontained"),
    "pipelines": ("pipeline", "team", "state", "release", "version", "last run", "reads as"),
    "teams": ("team", "accountable", "agents", "pipelines"),
    "aliases": ("alias", "team", "provider", "model"),
    "releases": ("release", "version", "published", "runs now"),
    "versions": ("version", "state", "published", "digest", "author"),
}
_WHERE_ANY: Final = {"review by": "review_by", "uncontained": "uncontained"}
"""Columns that stand there only where there is something in one of the rows."""
_FOLDED: Final = {"agent", "pipeline", "team", "accountable", "alias", "provider", "model", "author"}


class Command(PersonsCommand):
    help = "Show what there is: agents, pipelines, teams, model aliases; or one of them with its versions and releases."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", nargs="?", metavar="WHAT", help="agents, pipelines, teams, aliases; or the NAME of an agent, a pipeline, a team")
        parser.add_argument("--team", metavar="T", help="only what this team owns")
        add_json(parser, "print one JSON document on stdout and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        screen = Screen(options)
        with screen.refusals():
            actor = self.actor()
            found = _found(options["what"], options["team"], actor)
        if screen.json:
            screen.document(found)
        else:
            screen.show(Group(*_parts(found)))
            for said in list(_notices(found))[:MOST_NOTICES]:
                screen.note(said, style="bold red")
        if not any(found.values()):
            screen.note(f"{none_seen('nothing yet', actor)}: {manage()} new pipeline NAME writes a folder, {manage()} apply -f FOLDER stores it")


def _found(what: str | None, team: str | None, actor: Actor) -> dict[str, Any]:
    if what is not None and what not in stock.KINDS:
        if team is not None:
            raise Invalid("--team chooses among many; a NAME is one already: leave one of them out")
        return stock.one(what, actor)
    of = None if team is None else stock.team_named(team, actor)
    return {kind: read(actor, of) for kind, read in stock.KINDS.items() if what in (None, kind)}


def _notices(found: dict[str, Any]) -> Iterable[str]:
    """Which agents will be suspended."""
    for row in [*found.get("agents", ()), *([found["agent"]] if "agent" in found else [])]:
        for notice in row["notices"]:
            yield f"agent {row['name']} will be suspended on {notice['suspends_on']}: {visible(notice['why'], 200)}"


def _parts(found: dict[str, Any]) -> Iterable[RenderableType]:
    """A table of each kind that there is anything of, with an empty line between two."""
    tables = {f"{name}s" if isinstance(rows, dict) else name: [rows] if isinstance(rows, dict) else rows for name, rows in found.items()}
    for number, (kind, rows) in enumerate((kind, rows) for kind, rows in tables.items() if rows):
        if number:
            yield Text("")
        kept = [place for place, title in enumerate(TITLES[kind]) if title not in _WHERE_ANY or any(row[_WHERE_ANY[title]] for row in rows)]
        cells = [[_CELLS[kind](row)[place] for place in kept] for row in rows]
        yield _table([TITLES[kind][place] for place in kept], cells)


def _table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title not in _FOLDED)
    for cells in rows:
        table.add_row(*(Text("–" if cell in (None, "") else visible(cell, 254)) for cell in cells))
    return table


def _agent(row: dict[str, Any]) -> Sequence[Any]:
    days = (_day(row["last_run"] and row["last_run"]["at"]), _day(row["last_verified_at"]), row["review_by"])
    return (row["name"], row["team"], row["role"], row["state"], _version(row), *days, "yes" if row["uncontained"] else "")


def _pipeline(row: dict[str, Any]) -> Sequence[Any]:
    last = row["last_run"] or {"at": None, "reads_as": None}
    return (row["name"], row["team"], row["state"], _short(row["release"]), _version(row), _day(last["at"]), last["reads_as"])


def _version(row: dict[str, Any]) -> str:
    """What runs, then what waits to be published."""
    published, pinned = row.get("version") or row["published"], sorted(set(row.get("runs", {}).values()))
    runs = str(published or "") if pinned in ([], [published]) else f"{', '.join(map(str, pinned))} ({published} published)"
    return ", ".join(part for part in (runs, row["draft"] and f"{row['draft']} draft") if part)


def _day(instant: str | None) -> str | None:
    return instant and instant[:10]


def _short(digest: str | None) -> str | None:
    return digest and digest[:12]


_CELLS: Final[dict[str, Callable[[dict[str, Any]], Sequence[Any]]]] = {
    "agents": _agent,
    "pipelines": _pipeline,
    "teams": lambda row: (row["name"], row["accountable"], row["agents"], row["pipelines"]),
    "aliases": lambda row: (row["name"], row["team"], row["provider"], row["model"]),
    "releases": lambda row: (_short(row["digest"]), row["version"], _day(row["published_at"]), "yes" if row["current"] else ""),
    "versions": lambda row: (row["number"], row["state"], _day(row["published_at"]), _short(row["digest"]), row["author"]),
}
