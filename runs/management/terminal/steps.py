"""The table of a run's steps: who did what, how it ended, how long it took, in how many tries, for how much.

Pure rendering. Many alike (the body of a loop over a long list) are one row, and those of them that failed each another.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from audit.visible import visible
from audit.wording import lasting, money
from runs.management.terminal.words import mark, waited

ALIKE: Final = 8
FAILED_SHOWN: Final = 5
Row = tuple[Text, Text, Text, Text, Text, Text, Text]


def steps_table(steps: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("", width=1)
    table.add_column("step", overflow="fold")
    table.add_column("agent", overflow="fold")
    table.add_column("state", overflow="fold")
    for title in ("time", "tries", "cost"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in _rows(steps):
        table.add_row(*row)
    return table


def _rows(steps: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    ordered = sorted(enumerate(steps), key=lambda item: _place(steps, item))
    for _, found in groupby((step for _, step in ordered), _pattern):
        group = list(found)
        if len(group) <= ALIKE:
            yield from map(_row, group)
            continue
        yield _together(group)
        yield from map(_row, [step for step in group if step["state"] == "failed"][:FAILED_SHOWN])


def _place(steps: Sequence[Mapping[str, Any]], item: tuple[int, Mapping[str, Any]]) -> tuple[int, int]:
    """Steps of one pattern beside each other, patterns in the order they began."""
    return next(at for at, step in enumerate(steps) if _pattern(step) == _pattern(item[1])), item[0]


def _pattern(step: Mapping[str, Any]) -> str:
    """`each/*/look` for `each/3/look`, `each/*` for the child runs `each/0-4` and so on of a loop."""
    return "/".join("*" if part.replace("-", "").isdigit() else part for part in str(step["key"]).split("/"))


def _row(step: Mapping[str, Any]) -> Row:
    state, style = str(step["state"]), ""
    result = step["result"]
    if step["judges"] and isinstance(result, Mapping):
        state = f"says {visible(result.get('verdict', '?'), 20)}"
        sign = mark(str(result.get("verdict")))
    else:
        sign = mark(state)
    if step["failure"] is not None and "changes" in (step["failure"].get("details") or {}):
        sign, state = mark("retrying"), "sent back"
    elif step["failure"] is not None:
        state, style = f"{state}: {visible(step['failure']['cause'], 20)}", "red" if state == "failed" else ""
    names = (Text(visible(step["key"], 120)), Text(visible(step["agent"], 80) or "–"), Text(state, style=style))
    return sign, *names, Text(_time(step)), Text(str(step["attempt"])), Text(money(int(step["cost_nano"])))


def _time(step: Mapping[str, Any]) -> str:
    if step["seconds"] is None:
        return "–"
    return "\n".join(filter(None, (lasting(float(step["seconds"])), waited(float(step["waited_seconds"] or 0)))))


def _together(group: Sequence[Mapping[str, Any]]) -> Row:
    states = Counter(str(step["state"]) for step in group)
    worst = "failed" if states["failed"] else next(iter(states))
    said = ", ".join(f"{count} {state}" for state, count in states.most_common())
    longest = max((float(step["seconds"]) for step in group if step["seconds"] is not None), default=0.0)
    agents = ", ".join(sorted({str(step["agent"]) for step in group}))
    names = (Text(visible(_pattern(group[0]), 120)), Text(visible(agents, 80)), Text(said))
    tries, cost = max(int(step["attempt"]) for step in group), sum(int(step["cost_nano"]) for step in group)
    return mark(worst), *names, Text(f"≤ {lasting(longest)}"), Text(f"≤ {tries}"), Text(money(cost))
