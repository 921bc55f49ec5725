"""A verdict with its evidence: per criterion what was claimed, what was found, and what was read for it.

Pure rendering of what a verifier and the engine wrote; a verifier's words are those of somebody else's code.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from audit.visible import visible
from runs.management.terminal.results import compact
from runs.management.terminal.words import instant, mark

MAX_WHY: Final = 400
MAX_VALUE: Final = 120
MAX_CHECKS: Final = 100
MAX_SOURCES: Final = 20
_STYLES: Final = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


def word_on(verdict: Mapping[str, Any]) -> Text:
    """The verdict in a sentence: the verifier's own summary, else how many criteria hold."""
    checks = verdict["checks"]
    held = sum(check["verdict"] == "pass" for check in checks)
    own = visible(verdict.get("summary") or "", MAX_WHY)
    counted = f"{held} of {len(checks)} checks hold"
    return Text(f"{visible(verdict['by'], 80)}: {own or counted}")


def verdict_lines(verdict: Mapping[str, Any]) -> list[RenderableType]:
    checks = verdict["checks"][:MAX_CHECKS]
    sources = _sources(checks)
    by = str(verdict["by"])
    said = str(verdict["verdict"])
    lines: list[RenderableType] = [Text.assemble((said, f"bold {_STYLES.get(said, '')}".strip()), f"  by {visible(by, 80)}")]
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(overflow="fold", max_width=32)
    table.add_column(overflow="fold")
    for check in checks:
        table.add_row(mark(str(check["verdict"])), Text(visible(check["criterion"], 120)), _finding(check, by, sources))
    lines.append(table)
    if len(verdict["checks"]) > MAX_CHECKS:
        lines.append(Text(f"… and {len(verdict['checks']) - MAX_CHECKS} more checks: showrun --json has them"))
    if sources:
        lines += [Text("read", style="dim"), Padding(_read(sources), (0, 0, 0, 2))]
    return lines


Source = tuple[str, str, str]


def _sources(checks: Sequence[Mapping[str, Any]]) -> dict[Source, int]:
    """What was read, numbered in the order it is first named."""
    found: dict[Source, int] = {}
    for check in checks:
        for read in check.get("read") or ():
            found.setdefault(_source(read), len(found) + 1)
    return found


def _source(read: Mapping[str, Any]) -> Source:
    return str(read["source"]), str(read["digest"]), str(read["at"])


def _finding(check: Mapping[str, Any], by: str, sources: Mapping[Source, int]) -> Text:
    text = Text(visible(check["why"], MAX_WHY))
    cited = sorted({sources[_source(read)] for read in check.get("read") or ()})
    if cited:
        text.append(f" [{', '.join(map(str, cited[:MAX_SOURCES]))}]", style="dim")
    if check.get("by") != by:
        text.append(f" (checked by {visible(check.get('by', '?'), 60)})", style="dim")
    if check.get("claimed") is not None or check.get("found") is not None:
        text.append("\nclaimed ", style="dim")
        text.append(compact(check.get("claimed"), MAX_VALUE), style="bold")
        text.append("  found ", style="dim")
        text.append(compact(check.get("found"), MAX_VALUE), style="bold")
    if check["verdict"] != "pass" and check.get("blames"):
        text.append("\nblames step ", style="dim")
        text.append(visible(check["blames"], 120))
    return text


def _read(sources: Mapping[Source, int]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, justify="right")
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True, style="dim")
    for (source, digest, at), number in list(sources.items())[:MAX_SOURCES]:
        when = instant(at)
        table.add_row(f"[{number}]", Text(visible(source, 300)), Text(f"sha256 {visible(digest[:12], 12)}  {when}"))
    if len(sources) > MAX_SOURCES:
        table.add_row("…", Text(f"and {len(sources) - MAX_SOURCES} more"), Text(""))
    return table
