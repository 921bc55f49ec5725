"""What runs wait for, and what to type about it: the same words in the list of waits, in a run's summary and after a run that was driven here.

Pure rendering of records; names of signals and agents are somebody's words.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from audit.management.typed import manage
from audit.visible import visible
from runs import services
from runs.management.terminal.words import instant
from runs.models import WaitKind

MOST: Final = 20


def what(wait: Mapping[str, Any]) -> str:
    subject = wait["subject"] or ""
    return services.awaited(wait["kind"], subject, agent=subject)


def command(wait: Mapping[str, Any], run: str) -> str | None:
    """What ends it; None where nothing that is typed does."""
    match wait["kind"]:
        case WaitKind.SIGNAL:
            return f"{manage()} signal {run} {visible(wait['subject'], 80)} --payload JSON"
        case WaitKind.UNRESOLVED if wait["call"]:
            return f"{manage()} settle {wait['call']} DECISION --reason TEXT\nDECISION is done, not-done or unknown"
        case WaitKind.APPROVAL:
            return f"{manage()} approvals {wait['id']}\n{manage()} decide {wait['id']} DECISION --reason TEXT\nDECISION is approve or decline"
        case WaitKind.STOPPED:
            return f"{manage()} resume {visible(wait['subject'].replace(':', ' '), 120)}"
    return None


def told_late(said: Mapping[str, Any] | None) -> str:
    """What the call's own worker was answered after it had been given up."""
    if said is None:
        return ""
    words = {"done": "it was done", "not_done": "it never went out"}
    failed = f"it was answered with a failure ({visible(said['cause'] or '?', 40)}), and may have acted before that"
    return f"its own worker says: {words.get(said['said'], failed)}"


def waits_lines(waits: Sequence[Mapping[str, Any]], run: str) -> list[RenderableType]:
    """One block for each wait of a run."""
    lines = [part for wait in waits[:MOST] for part in block(wait, run)]
    if len(waits) > MOST:
        lines.append(Text(f"… and {len(waits) - MOST} more: {manage()} waits --run {run}"))
    return lines


def block(wait: Mapping[str, Any], run: str, *, of: str = "") -> list[RenderableType]:
    """What for, then by name: where, since, until, silence, who, and what to type."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    rows = (
        ("run", of),
        ("step", visible(wait["step"] or "the whole run", 120)),
        ("since", instant(wait["opened_at"])),
        ("until", f"{instant(wait['expires_at'])}; after that {visible(wait['silence'], 200)}"),
        ("who", visible(wait["who"], 300)),
        ("told late", told_late(wait["told_late"])),
        ("type", command(wait, run) or ""),
    )
    for name, said in rows:
        if said:
            table.add_row(name, Text(said))
    return [Text.assemble("for ", (what(wait), "bold")), Padding(table, (0, 0, 0, 2))]
