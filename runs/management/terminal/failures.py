"""A failure as people need it: the cause, what happened, whose it is, and the parts that brought it about.

Pure rendering; messages come from functions, files and servers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from audit.visible import visible
from runs.management.terminal.results import compact
from runs.management.terminal.words import whose

MAX_MESSAGE: Final = 1_000
MAX_PARTS: Final = 10
MAX_DEPTH: Final = 4
LINES_OF_A_TEXT: Final = 12


def failure_lines(failure: Mapping[str, Any], depth: int = 0) -> list[RenderableType]:
    cause = visible(failure["cause"], 40)
    lines: list[RenderableType] = [Text.assemble((cause, "bold red"), ": ", visible(failure["message"], MAX_MESSAGE)), _owner(failure)]
    lines += [Padding(line, (0, 0, 0, 2)) for line in _details(failure.get("details") or {})]
    branches = failure.get("branches") or ()
    if depth >= MAX_DEPTH:
        return lines
    for branch in branches[:MAX_PARTS]:
        lines += [Padding(line, (0, 0, 0, 2)) for line in failure_lines(branch, depth + 1)]
    if len(branches) > MAX_PARTS:
        lines.append(Text(f"  … and {len(branches) - MAX_PARTS} more: showrun --json has them"))
    return lines


def missing_lines(parts: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """The declared parts that a degraded run goes without; what happened stands in their steps."""
    happened = {step["key"]: step["failure"]["message"] for step in steps if step["failure"] is not None}
    lines: list[RenderableType] = []
    for part in parts[:MAX_PARTS]:
        message = visible(happened.get(part["step"], ""), MAX_MESSAGE)
        lines += [Text.assemble((visible(part["cause"], 40), "bold yellow"), f": {message}" if message else ""), _owner(part)]
    if len(parts) > MAX_PARTS:
        lines.append(Text(f"… and {len(parts) - MAX_PARTS} more"))
    return lines


def _owner(failure: Mapping[str, Any]) -> Text:
    where = f"step {visible(failure['step'], 120)}, " if failure.get("step") else ""
    return Text(f"{where}owner {whose(failure.get('owner'), failure.get('team'))}")


def _text(value: Any) -> str:
    """A traceback comes as a list of its places: each on a line."""
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return "\n".join(value)
    return value if isinstance(value, str) else compact(value, 400)


def _details(details: Mapping[str, Any]) -> list[RenderableType]:
    """What was seen beside the message; of long texts (a traceback, output) the last lines."""
    lines: list[RenderableType] = []
    for name, value in sorted(details.items()):
        if value in (None, "", [], {}) or name == "contained":
            continue
        text = _text(value)
        shown = text.rstrip().split("\n")[-LINES_OF_A_TEXT:]
        label = visible(name, 40)
        lines.append(Text(f"{label}: {visible(shown[0], 200)}" if len(shown) == 1 else f"{label}:", style="dim"))
        lines += [Text(f"  {visible(line, 200)}", style="dim") for line in shown if len(shown) > 1]
    return lines
