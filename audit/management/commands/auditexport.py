"""`manage.py auditexport`: parse, call audit.exports.make_export, publish the file or print it. No rule lives here."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from audit import clock
from audit.actors import Actor
from audit.errors import Invalid, NotFound, OrchestraError
from audit.exports import FORMS, Export, make_export
from audit.management.database import BAD_INPUT, database_expected, exit_status
from audit.management.persons import PersonsCommand
from audit.management.typed import typeable
from audit.naming import agent_named, person_named, run_named
from audit.reports import Filters, matching
from audit.visible import visible

ON_STDOUT = "-"
Found = TypeVar("Found", str, UUID)

EPILOG = """\
formats:
  jsonl   the evidence: one entry per line, exactly the bytes the ledger stores; the SHA-256 of a line
          (without its line break) is the digest that the run's next entry holds as "prev"
  csv     a view for people: one row per entry, safe to open in a spreadsheet; a text that a spreadsheet
          would run as a formula has an apostrophe before it

what you get:
  Entries oldest first. Filters add up: all that are given must hold. Nothing is published before the ledger
  has an entry "audit.export.made" with the filters, the number of entries and the file's SHA-256; that entry
  itself is not in the file. FILE appears whole or not at all, readable by you only; an existing FILE is
  never overwritten. The summary goes to stderr.

examples:
  manage.py auditexport -o ledger.jsonl
  manage.py auditexport --format csv --agent feed-reader --since 2026-11-01 --until 2026-12-01 -o november.csv
  manage.py auditexport --run 0199d3c1-5a52-7c1e | head -n 3

exit status: 0 exported (also when nothing matches, which is said), 1 it could not be written, 2 bad input (also a
run, an agent or a person that no entry names), 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Write entries of the audit log to a file or to stdout, as evidence (jsonl) or for people (csv)."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--format", choices=sorted(FORMS), default="jsonl", help="jsonl (default) or csv, see below")
        add("--run", metavar="ID", help="only entries of this run, by its id or the beginning of it (eight characters or more)")
        add("--agent", metavar="A", help="only entries about this agent")
        add("--person", metavar="P", help="only what this person did, and what was done on their behalf")
        add("--since", metavar="T", help="only from this instant on: 2026-11-20 or 2026-11-20T11:44:48Z; UTC unless it says")
        add("--until", metavar="T", help="only before this instant, which is itself left out")
        add("-o", dest="output", metavar="FILE", default=ON_STDOUT, help="write here; absent or '-' is stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with database_expected():
                actor = self.actor()
                made = self._export(options, _filters(options, actor), actor)
        except OrchestraError as error:
            raise CommandError(typeable(error.message), returncode=exit_status(error)) from error
        self.stderr.write(_summary(made, options["output"]), self.style.SUCCESS)

    def _export(self, options: dict[str, Any], filters: Filters, actor: Actor) -> Export:
        with contextlib.ExitStack() as stack:
            file, publish = self._target(options["output"], stack)
            on_progress = _progress(filters, actor, stack)
            try:
                made = make_export(form=options["format"], filters=filters, into=file, actor=actor, on_progress=on_progress)
                publish()
            except OSError as error:
                raise CommandError(f"the export could not be written: {error.strerror}") from error
        return made

    def _target(self, output: str, stack: contextlib.ExitStack) -> tuple[BinaryIO, Callable[[], None]]:
        if output == ON_STDOUT:
            spool = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
            return spool, lambda: self._print(spool)
        return _new_file(Path(output), stack)

    def _print(self, spool: BinaryIO) -> None:
        spool.seek(0)
        binary = getattr(self.stdout, "buffer", None)
        if binary is None:  # a caller of call_command gave us a text stream
            self.stdout.write(spool.read().decode(), ending="")
            return
        try:
            shutil.copyfileobj(spool, binary)
            binary.flush()
        except BrokenPipeError:  # the reader has seen enough; what follows must not complain about it either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _filters(options: dict[str, Any], actor: Actor) -> Filters:
    since, until = _instant("--since", options["since"]), _instant("--until", options["until"])
    if since and until and since >= until:
        raise _bad("--since must be before --until; as given nothing could match")
    return Filters(
        run=_named("--run", options["run"], run_named, actor),
        agent=_named("--agent", _name("--agent", options["agent"]), agent_named, actor),
        person=_named("--person", _name("--person", options["person"]), person_named, actor),
        since=since,
        until=until,
    )


def _named(option: str, text: str | None, find: Callable[..., Found], actor: Actor) -> Found | None:
    try:
        return None if text is None else find(text, actor=actor)
    except (Invalid, NotFound) as error:
        raise _bad(f"{option}: {error.message}") from None


def _name(option: str, text: str | None) -> str | None:
    if text is not None and not (text and text.isprintable()):
        raise _bad(f"{option} {visible(text, 80)!r} is not a name; use printable characters")
    return text


def _instant(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return clock.from_text(text, utc_assumed=True)
    except ValueError as error:
        raise _bad(f"{option} {error}") from None


def _bad(sentence: str) -> CommandError:
    return CommandError(typeable(sentence), returncode=BAD_INPUT)


def _new_file(path: Path, stack: contextlib.ExitStack) -> tuple[BinaryIO, Callable[[], None]]:
    """A temporary file beside `path`, and what gives it that name once it is whole."""
    shown = visible(path, 200)
    if os.path.lexists(path):
        raise _bad(f"{shown} exists already and is not overwritten; remove it or name another file")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".auditexport-")
    except OSError as error:
        raise _bad(f"{shown} can't be written: {error.strerror}; name a file in an existing, writable folder") from error
    temporary = Path(name)
    stack.callback(temporary.unlink, missing_ok=True)
    file = stack.enter_context(os.fdopen(handle, "wb"))

    def publish() -> None:
        file.flush()
        os.fsync(file.fileno())
        _name_it(temporary, path)

    return file, publish


def _name_it(temporary: Path, path: Path) -> None:
    """A hard link fails where a rename would overwrite a file that appeared meanwhile; not every file system has them."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise CommandError(f"{visible(path, 200)} appeared meanwhile and is not overwritten; name another file") from None
    except OSError:
        temporary.rename(path)


def _progress(filters: Filters, actor: Actor, stack: contextlib.ExitStack) -> Callable[[int], None]:
    console = Console(stderr=True)
    if not console.is_terminal:
        return lambda _count: None
    columns = (TextColumn("exporting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = stack.enter_context(Progress(*columns, console=console, transient=True))
    task = progress.add_task("export", total=matching(filters, actor=actor).count())
    return lambda count: progress.update(task, completed=count)


def _summary(made: Export, output: str) -> str:
    if not made.count:
        return "no entry matches; the export is empty, and recorded as such"
    place = "stdout" if output == ON_STDOUT else visible(output, 200)
    noun = "entry" if made.count == 1 else "entries"
    return f"exported {made.count:,} {noun} ({made.size:,} bytes, sha256 {made.sha256}) to {place}"
