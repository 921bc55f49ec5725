"""Values that anybody may have written, short enough to read: a run's input and its result.

Pure rendering; what is left out is said, and where to find it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from audit.visible import ELLIPSIS, visible

MAX_LINE: Final = 300
MAX_LINES: Final = 24
LINES_OF_A_VALUE: Final = 16
INLINE: Final = 100
_ON_THE_SECOND: Final = re.compile(r"(?<=^....-..-..T..:..:..)\.000000Z$")


def compact(value: Any, limit: int) -> str:
    """A value on one line; a string as it is, but that an instant on the second is written as everywhere here."""
    return visible(_ON_THE_SECOND.sub("Z", value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False), limit)


def input_text(given: Any) -> Text:
    if not isinstance(given, Mapping) or not given:
        return Text("none" if not given else compact(given, MAX_LINE))
    return Text("\n".join(f"{visible(name, 60)}={compact(value, MAX_LINE)}" for name, value in islice(sorted(given.items()), MAX_LINES)))


def result_table(result: Any) -> Table:
    """Names and values; what is too big to read is counted, and where the rest is comes last."""
    table = Table.grid(padding=(0, 2, 0, 0))
    if isinstance(result, Mapping):
        table.add_column(style="dim", overflow="fold", max_width=24)
    table.add_column(overflow="fold")
    rows = list(islice(_rows(result), MAX_LINES + 1))
    for name, value in rows[:MAX_LINES]:
        table.add_row(*([Text(name)] if isinstance(result, Mapping) else []), Text(value))
    if len(rows) > MAX_LINES:
        table.add_row(*([""] if isinstance(result, Mapping) else []), Text("… showrun --json has the rest", style="dim"))
    return table


def _rows(result: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(result, Mapping):
        yield from (("", line) for line in _said(result))
        return
    for name, value in result.items():
        label = visible(name, 60)
        for line in _said(value):
            yield label, line
            label = ""


def _said(value: Any) -> Iterator[str]:
    """Text by its lines, small values as they are, big ones by their size."""
    if isinstance(value, str) and "\n" in value:
        value = value.splitlines()
    if isinstance(value, list) and value and all(isinstance(line, str) for line in value):
        yield from (visible(line, MAX_LINE) for line in value[:LINES_OF_A_VALUE])
        if len(value) > LINES_OF_A_VALUE:
            yield f"… {len(value) - LINES_OF_A_VALUE} more lines"
        return
    short = compact(value, MAX_LINE if isinstance(value, str) else INLINE)
    yield short if isinstance(value, str) or not short.endswith(ELLIPSIS) else _size(value)


def _size(value: Any) -> str:
    one = "field" if isinstance(value, Mapping) else "item"
    return f"{len(value):,} {one}{'s' if len(value) != 1 else ''}"
