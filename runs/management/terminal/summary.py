"""A run's document as a summary for people: how it ended, what was done, what the verifier found, whose failure it is, where to look.

Pure rendering of the one document that --json prints; every text of others is made visible and capped.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from audit import clock
from audit.management.typed import manage, typeable
from audit.visible import visible
from audit.wording import lasting, money
from runs import services
from runs.management.terminal.failures import MAX_MESSAGE, failure_lines, missing_lines
from runs.management.terminal.results import input_text, result_table
from runs.management.terminal.steps import steps_table
from runs.management.terminal.verdicts import verdict_lines, word_on
from runs.management.terminal.waiting import waits_lines, what
from runs.management.terminal.words import instant, styled, whose, word_of
from runs.models import SPREAD

Section = tuple[str, list[RenderableType]]
MOST_ACTS: Final = 100
MOST_OBSERVED: Final = 20
SHORT: Final = 18
"""Of an id: one more millisecond and a random part, so that the line to type fits a terminal."""
_USABLE: Final = frozenset({"verified", "degraded"})
_PLAINLY: Final = {
    "broken": "its rows and its ledger differ: one of them was changed afterwards, so don't use the result",
    "cancelled": "somebody asked for its end; what it had done until then is recorded",
    "queued": "waiting for a worker to take it (`make worker` starts one)",
}


def summary(document: Mapping[str, Any]) -> Group:
    parts: list[RenderableType] = [_headline(document), Padding(_why(document), (0, 0, 0, 2)), Text(""), _facts(document)]
    for title, lines in _sections(document):
        if lines:
            parts += [Text(""), Text(title, style="bold"), *(Padding(line, (0, 0, 0, 2)) for line in lines)]
    return Group(*parts)


def _sections(document: Mapping[str, Any]) -> Iterator[Section]:
    word = word_of(document)
    yield "Waiting", waits_lines(document["waits"], document["id"])
    yield "Steps", [steps_table(document["steps"])] if document["steps"] else []
    yield "Child runs", [_children(document["children"]), *_more(document["more_children"])] if document["children"] else []
    if document["verdict"] is not None:
        yield "Verdict", verdict_lines(document["verdict"])
    if document["failure"] is not None:
        yield "Failure", failure_lines(document["failure"])
    yield "Undone", [Text(f"{visible(key, 120)}: by undo:{visible(key, 120)}") for key in document["undone"][:MOST_ACTS]]
    yield "Not undone", [_left(act) for act in document["not_undone"][:MOST_ACTS]]
    yield "Missing", missing_lines(document["missing"], document["steps"])
    if document["result"] is not None:
        yield "Result" if word in _USABLE else f"Result ({word}: nobody vouches for it)", [result_table(document["result"])]
    yield "Look closer", _where(document)


def _left(act: Mapping[str, Any]) -> Text:
    return Text.assemble((visible(act["step"], 120), "bold yellow"), f": {visible(act['why'], 200)}")


def _headline(document: Mapping[str, Any]) -> Text:
    said = [f"{document['pipeline']} version {document['version']}"]
    if document["as_of"] and document["outcome"] not in _USABLE:
        said.append(f"judged as of {instant(document['as_of'])}")
    took = _seconds(document)
    if took is not None:
        said.append(lasting(took))
    said += [money(int(document["cost_nano"])), f"exit {document['exit_status']}"]
    return Text.assemble(styled(word_of(document), document["label"]), "  ", (" · ".join(said), "dim"))


def _seconds(document: Mapping[str, Any]) -> float | None:
    if document["started_at"] is None or document["finished_at"] is None:
        return None
    return (clock.from_text(document["finished_at"]) - clock.from_text(document["started_at"])).total_seconds()


def _why(document: Mapping[str, Any]) -> Text:
    """One sentence on why it reads as it does."""
    word, failure, verdict = word_of(document), document["failure"], document["verdict"]
    if word == "verified" and verdict is not None:
        return word_on(verdict)
    if word == "rejected" and verdict is not None:
        return Text(_not_passed(verdict))
    if word == "failed" and failure is not None:
        owner = whose(failure.get("owner"), failure.get("team"))
        return Text.assemble((visible(failure["message"], MAX_MESSAGE), "bold"), f"\n{visible(failure['cause'], 40)}; owner: {owner}")
    if word == "unverified":
        return Text(_unverified(document))
    if word == "degraded":
        parts = len(document["missing"])
        return Text(f"verified without {parts} declared part{'s' if parts != 1 else ''}")
    if word == "waiting" and document["waits"]:
        return Text(_waiting(document["waits"]))
    if word in ("running", "waiting"):
        return Text(f"not finished; its deadline is {instant(document['deadline_at'])}")
    return Text(_PLAINLY.get(word, ""), style="red" if word == "broken" else "")


def _waiting(waits: Sequence[Mapping[str, Any]]) -> str:
    more = f", and for {len(waits) - 1} more" if len(waits) > 1 else ""
    return f"for {what(waits[0])}{more}; it holds no worker meanwhile, and its work clock stands still"


def _unverified(document: Mapping[str, Any]) -> str:
    verdict = document["verdict"]
    if document["trigger"] == SPREAD:
        return "some items of a loop; the run that they are part of has all of them judged"
    if verdict is not None and verdict.get("verdict") == "pass" and document["draft"]:
        return "the verdict is a pass, but a run of drafts is never verified: publish them"
    if verdict is not None:
        return _not_passed(verdict)
    failed = document["failure"]
    why = "" if failed is None else f" ({failed['cause']}: {visible(failed['message'], MAX_MESSAGE)})"
    return (
        f"no verdict could be had{why}; `{manage()} reverify` judges again by the same release, once what its verifier needs is there. "
        "A verifier that is mended and published judges new runs"
    )


def _not_passed(verdict: Mapping[str, Any]) -> str:
    return f"{visible(services.why_not_passed(verdict), MAX_MESSAGE)}\n{typeable(visible(services.what_would_pass(verdict), MAX_MESSAGE))}"


def _facts(document: Mapping[str, Any]) -> Padding:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("run", Text(document["id"]))
    table.add_row("input", input_text(document["input"]))
    owner = f"release {document['release'][:12]}, team {visible(document['team'], 80)}"
    table.add_row("from", Text(f"{owner}{', drafts' if document['draft'] else ''}"))
    if document["parent"]:
        table.add_row("part of", Text(f"step '{visible(document['parent']['step'], 120)}' of run {document['parent']['run']}"))
    if document["reverifies"]:
        table.add_row("judges", Text(f"the result of run {document['reverifies']} again"))
    for newer in document["reverified_by"]:
        table.add_row("judged", Text.assemble("again by run ", newer["run"], ": ", styled(newer["label"].split()[0], newer["label"])))
    bare = sorted({str(step["agent"]) for step in document["steps"] if any(call["contained"] is False for call in step["calls"])})
    if bare:
        names = visible(", ".join(bare), 200)
        table.add_row(Text("uncontained", style="yellow"), Text(f"{names}: nothing kept this code from the network", style="yellow"))
    for said in observed_said(document):
        table.add_row(Text("observed", style="yellow"), Text(said, style="yellow"))
    return Padding(table, (0, 0, 0, 2))


def observed_said(document: Mapping[str, Any]) -> Iterator[str]:
    """Whose agents are refused nothing for want of a permission, and what would have refused calls of this run."""
    for team in document["observing"]:
        name = visible(team, 80)
        yield f"nothing is refused to the agents of team '{name}' for want of a permission; `observe: false` in its document ends that"
    found = dict.fromkeys(said for step in document["steps"] for call in step["calls"] for said in call["observed"])
    if found:
        shown = "; ".join(visible(said, 200) for said in list(found)[:MOST_OBSERVED])
        more = f"; and {len(found) - MOST_OBSERVED} more" if len(found) > MOST_OBSERVED else ""
        yield f"what would have been refused: {shown}{more}"


def _children(children: Sequence[Mapping[str, Any]]) -> Table:
    """The tree of the runs below: which step started them, and what they read as."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for title in ("step", "pipeline", "reads as", "run"):
        table.add_column(title, overflow="fold", no_wrap=title == "run")
    for child in children:
        step = Text(f"{'  ' * (child['level'] - 1)}{visible(child['step'], 120)}")
        reads_as = styled(child["outcome"] or child["state"], child["label"])
        table.add_row(step, Text(visible(child["pipeline"], 80)), reads_as, Text(child["run"], style="dim"))
    return table


def _more(children: int) -> list[RenderableType]:
    return [Text(f"… and {children:,} more")] if children else []


def _where(document: Mapping[str, Any]) -> list[RenderableType]:
    run, short = document["id"], document["id"][:SHORT]
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_row(Text(f"{manage()} showrun {short} --json"))
    table.add_row(Text(f"{manage()} auditexport --run {short}"))
    table.add_row(Text(f"/admin/runs/run/{run}/change/  (make serve)"))
    return [table]
