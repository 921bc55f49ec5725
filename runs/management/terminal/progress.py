"""Watching a run on stderr: redrawn lines in a terminal, a line per change in a file or pipe, nothing with --json into one.

Draws what a Tracker knows. Redrawn lines are gone when the run has ended: the summary on stdout says it all.
"""

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from audit.instants import to_the_second
from audit.visible import visible
from audit.wording import lasting
from runs.management.terminal.screen import Screen
from runs.management.terminal.tracking import Seen, Tracker
from runs.management.terminal.words import mark, waited
from runs.models import StepState

SEPARATE = 4
"""Up to so many steps of one node are shown each; of more, those at work and those that failed, and how many there are."""
QUIET_S = 1.0
BAR = 12
HINT = "Ctrl-C cancels the run"


class Progress:
    """Either way of watching. `hint` is the line below what is redrawn."""

    def __init__(self, screen: Screen, tracker: Tracker) -> None:
        self._screen, self._tracker = screen, tracker
        self._spinner = Spinner("dots", style="cyan")
        self._noted: dict[str, float] = {}
        self._hint = HINT

    @contextmanager
    def shown(self) -> Iterator[None]:
        if self._screen.is_live:
            with (
                Live(get_renderable=self._drawn, console=self._screen.err, refresh_per_second=10, transient=True, redirect_stdout=False),
                _logs_above(),
            ):
                yield
        elif self._screen.json:
            yield
        else:
            self._tracker.told = self._line
            self._screen.note(self._heading())
            yield

    def say(self, text: str) -> None:
        """Something the person must know now."""
        self._hint = text
        if not self._screen.is_live:
            self._screen.note(text, "yellow")

    def unsay(self) -> None:
        """What was said no longer holds."""
        self._hint = HINT

    def close(self) -> None:
        """Leave a usable terminal behind, without waiting for anything."""
        if self._screen.is_live:
            self._screen.err.show_cursor()

    def _heading(self) -> str:
        run = self._tracker.run
        judged = f", judged as of {to_the_second(run.as_of)}" if run.as_of is not None else ""
        return f"{run.pipeline.name}{' (draft)' if run.draft else ''}, run {run.id}{judged}"

    # --- a line per change ---

    def _line(self, seen: Seen) -> None:
        if seen.state is StepState.RUNNING and seen.note and not self._is_due(seen.key):
            return
        at = lasting(time.monotonic() - self._tracker.began)
        self._screen.note(f"{at:>10}  {visible(seen.key, 120)}: {_said(seen)}")

    def _is_due(self, key: str) -> bool:
        """Progress messages of one step at most once a second: a log is read by people, too."""
        now = time.monotonic()
        if now - self._noted.get(key, 0.0) < QUIET_S:
            return False
        self._noted[key] = now
        return True

    # --- redrawn ---

    def _drawn(self) -> Group:
        now = time.monotonic()
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=1)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=max(self._screen.err.width // 3, 12))
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column(no_wrap=True, justify="right", min_width=9)
        rows = [row for _, group in groupby(list(self._tracker.steps.values()), _node_of) for row in self._rows(list(group), now)]
        room = max(self._screen.err.height - 5, 4)
        for row in rows[-room:]:
            table.add_row(*row)
        heading = Text.assemble((self._heading(), "bold"), f"  {lasting(now - self._tracker.began)}", no_wrap=True, overflow="ellipsis")
        return Group(heading, table, Text(self._hint, style="dim", no_wrap=True, overflow="ellipsis"))

    def _rows(self, group: Sequence[Seen], now: float) -> list[tuple[Text | Spinner, Text, Text, Text]]:
        if len(group) <= SEPARATE:
            return [self._row(seen, now) for seen in group]
        done = sum(seen.state is StepState.RETURNED for seen in group)
        count = Text(f"{done} of {len(group)} begun are done", style="dim")
        began = min(seen.began for seen in group)
        open_ones = [seen for seen in group if seen.at_work]
        failed = [seen for seen in group if seen.state is StepState.FAILED]
        sign = self._spinner if open_ones else mark("failed" if failed else "returned")
        ended = now if open_ones else max(seen.began + seen.seconds(now) for seen in group)
        head = (sign, Text(visible(_node_of(group[0]), 60)), count, Text(lasting(ended - began), style="dim"))
        return [head, *(self._row(seen, now) for seen in (*failed[:SEPARATE], *open_ones[:SEPARATE]))]

    def _row(self, seen: Seen, now: float) -> tuple[Text | Spinner, Text, Text, Text]:
        sign = self._spinner if seen.at_work else mark(str(seen.state))
        detail = Text(visible(seen.agent, 60), style="dim")
        if seen.attempt > 1:
            detail.append(f"  try {seen.attempt}", style="yellow")
        if seen.at_work and seen.fraction is not None:
            detail.append(f"  {_bar(seen.fraction)} {seen.fraction:4.0%}", style="cyan")
        if seen.is_open and seen.note:
            detail.append(f"  {visible(seen.note, 120)}")
        if seen.state is StepState.RETRYING:
            detail.append(f"  waits for its next try ({visible(seen.problem, 40)})", style="yellow")
        elif seen.problem:
            detail.append(f"  {visible(seen.problem, 40)}", style="red" if seen.state is StepState.FAILED else "")
        return sign, Text(visible(seen.key, 120)), detail, Text(lasting(seen.seconds(now)), style="dim")


def _node_of(seen: Seen) -> str:
    return seen.key.partition("/")[0]


def _bar(fraction: float) -> str:
    full = round(min(max(fraction, 0.0), 1.0) * BAR)
    return "━" * full + "╌" * (BAR - full)


def _said(seen: Seen) -> str:
    match seen.state:
        case StepState.RUNNING if seen.note or seen.fraction is not None:
            share = "" if seen.fraction is None else f"{seen.fraction:.0%} "
            return f"{share}{visible(seen.note, 200)}".strip()
        case StepState.RUNNING:
            return (f"started by {visible(seen.agent, 80)}" if seen.agent else "started") + (f", try {seen.attempt}" if seen.attempt > 1 else "")
        case StepState.WAITING:
            return visible(seen.note or "waits", 200)
        case _:
            why = f" ({visible(seen.problem, 60)})" if seen.problem else ""
            return ", ".join(filter(None, (f"{seen.state}{why} after {lasting(seen.seconds(time.monotonic()))}", waited(seen.waited))))


@contextmanager
def _logs_above() -> Iterator[None]:
    """Log lines go through the redrawn console, which prints them above; written past it they would be overwritten."""
    handlers = [each for each in logging.getLogger().handlers if isinstance(each, logging.StreamHandler) and each.stream is sys.__stderr__]
    before = [handler.setStream(sys.stderr) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            if stream is not None:
                handler.setStream(stream)
