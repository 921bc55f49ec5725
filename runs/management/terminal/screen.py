"""Where a command's words go: the answer to stdout, everything on the way to stderr, colour only for people.

Owns the consoles, refusals (exit status 2, or 75) and the JSON form. Knows nothing of runs.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, TextIO

from django.core.management.base import CommandParser
from rich.console import Console, RenderableType
from rich.text import Text

from audit.errors import OrchestraError
from audit.management.database import database_expected, exit_status
from audit.management.streams import answering, nobody_reads
from audit.management.typed import typeable
from audit.visible import visible

MAX_MESSAGE = 1_000
MAX_PROBLEMS = 50
WIDTH_OF_A_FILE = 120


def add_json(parser: CommandParser, what: str = "print the run as one JSON document on stdout and nothing else") -> None:
    parser.add_argument("--json", action="store_true", help=what)


class Screen:
    """The two streams of one command. `options` are the command's, with Django's --no-color and --force-color among them."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.json = bool(options.get("json"))
        self.out = _console(options.get("stdout") or sys.stdout, options)
        self.err = _console(options.get("stderr") or sys.stderr, options)

    @property
    def is_live(self) -> bool:
        """Whether stderr can redraw lines."""
        return self.err.file.isatty() and not self.err.is_dumb_terminal

    def document(self, value: Any) -> None:
        """The JSON form: ASCII, so that every terminal and pipe takes it."""
        self._write(json.dumps(value, indent=2, default=str) + "\n")

    def show(self, what: RenderableType) -> None:
        """The answer for people, without the blanks that a layout leaves at the ends of lines."""
        with self._lost(), self.out.capture() as captured:
            self.out.print(what)
        self._write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))

    def note(self, text: str, style: str = "") -> None:
        """A line on stderr; the caller has made its parts visible."""
        self.err.print(Text(text, style=style), soft_wrap=True)

    def _write(self, text: str) -> None:
        """A reader that has seen enough (`| head`) is no error: the exit status still says how the run ended."""
        with self._lost():
            self.out.file.write(text)
            self.out.file.flush()

    def _lost(self) -> contextlib.AbstractContextManager[None]:
        return answering(self.out.file, lambda said: self.note(said, "bold red"))

    @contextlib.contextmanager
    def refusals(self) -> Iterator[None]:
        """Orchestra's errors, and a database that has no tables, no time or can't be reached, become lines and exit status 2 or 75."""
        try:
            with database_expected():
                yield
        except OrchestraError as error:
            self.refuse(error)

    def refuse(self, error: OrchestraError) -> NoReturn:
        self._refuse(error.code, error.message, [str(problem) for problem in error.details.get("problems") or ()], exit_status(error))

    def _refuse(self, code: str, message: str, problems: list[str], status: int) -> NoReturn:
        if self.json:
            self.document({"error": {"code": code, "message": message, "problems": problems}})
            raise SystemExit(status)
        self.note(f"refused: {typeable(visible(message.partition(': ')[0] if problems else message, MAX_MESSAGE))}", "bold red")
        for problem in problems[:MAX_PROBLEMS]:
            self.note(f"  {typeable(visible(problem, MAX_MESSAGE))}", "red")
        if len(problems) > MAX_PROBLEMS:
            self.note(f"  … and {len(problems) - MAX_PROBLEMS} more", "red")
        raise SystemExit(status)


class _Console(Console):
    """Goes on where nobody reads any more: the run that is driven here is worth more than its progress."""

    def on_broken_pipe(self) -> None:
        nobody_reads(self.file)


def _console(stream: TextIO, options: Mapping[str, Any]) -> Console:
    if not (stream.encoding or "utf-8").lower().startswith("utf") and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")  # a sign that this terminal can't show must not cost the rest of the summary
    return _Console(
        file=stream,
        width=None if stream.isatty() or os.environ.get("COLUMNS", "").isdigit() else WIDTH_OF_A_FILE,
        no_color=True if options.get("no_color") else None,
        force_terminal=True if options.get("force_color") else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
