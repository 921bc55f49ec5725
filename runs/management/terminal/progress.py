"""Watching a run on stderr: redrawn lines in a terminal, one line per change in a file or pipe, nothing with --json into one.

Draws what a Tracker knows. The lines are gone when the run has ended: the summary on stdout says it all.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from audit.visible import visible
from runs.management.terminal.screen import Screen
from runs.management.terminal.tracking import Seen, Tracker
from runs.management.terminal.words import instant, lasting, mark
from runs.models import StepState
from runs.services import run_heading

NESTED_SHOWN = 6
QUIET_S = 1.0
BAR = 12


class Progress:
    """Either way of watching; `say` puts a line above what is redrawn."""

    def __init__(self, screen: Screen, tracker: Tracker) -> None:
        self.screen, self.tracker = screen, tracker
        self._spinners: dict[str, Spinner] = {}
        self._last_told: dict[str, float] = {}
        self._hint = "Ctrl-C cancels the run"

    @contextmanager
    def shown(self) -> Iterator[None]:
        if self.screen.is_live:
            live = Live(get_renderable=self._drawn, console=self.screen.err, refresh_per_second=10, transient=True, redirect_stdout=False)
            with live, _logs_above(live):
                yield
        elif self.screen.json:
            yield
        else:
            self.tracker.told = self._line
            self.screen.note(self._heading())
            yield

    def say(self, text: str) -> None:
        self._hint = text
        if not self.screen.is_live:
            self.screen.note(text, "yellow")
