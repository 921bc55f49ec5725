"""What the inventory's commands have in common: lines for people, coloured on a terminal only, and refusals with status 2.

Text from files is hostile and passes audit.visible. Used by the commands beside it; knows no rule.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TextIO, cast

from django.core.management.base import CommandError, OutputWrapper
from rich.console import Console
from rich.text import Text

from agents.registry import Change, CodeChange, FieldChange, MadeRelease, Preview, Proposed, Published
from audit.errors import OrchestraError
from audit.management.database import database_expected, exit_status
from audit.management.streams import answering
from audit.management.typed import manage, typeable
from audit.visible import visible

PROPOSED: Final = 13
"""The exit status of what people have to say yes to first, as of what `can` says that they are asked about."""
MAX_FIELDS = 40
MAX_MOVED = 100
MAX_PROBLEMS = 200
MAX_MESSAGE = 1_000
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SIGNS = {"+": "green", "-": "red", "@": "cyan"}
_STYLES = {"created": "green", "changed": "yellow", "published": "green", "unchanged": "dim", "hint": "cyan", "warning": "yellow", "problem": "red"}


class Shown:
    """Prints to a command's stream, whole lines, each in at most one colour."""

    def __init__(self, stream: OutputWrapper) -> None:
        self._file = cast("TextIO", stream)
        self._console = Console(file=self._file, highlight=False, soft_wrap=True, emoji=False, markup=False)

    def line(self, text: str, style: str = "") -> None:
        """One line as it is: the caller has made its parts visible."""
        with answering(self._file, lambda said: sys.stderr.write(f"{said}\n")):
            self._console.print(Text(text, style=_STYLES.get(style, style)))

    def change(self, change: Change) -> None:
        """An object, then its fields, old → new."""
        state = "" if change.action == "published" else ", draft" if change.draft else ", published"
        stands = "" if change.version is None else f" (version {change.version}{state})"
        self.line(f"{change.kind} {visible(change.name)}: {change.action}{stands}", change.action)
        self.fields(change.fields, "    ")
        if len(change.fields) > MAX_FIELDS:
            self.line(f"    … and {len(change.fields) - MAX_FIELDS} more fields")
        for note in change.notes:
            self.line(f"    {visible(note)}", "hint")

    def fields(self, fields: Sequence[FieldChange], indent: str, style: str = "") -> None:
        """Old → new; of a list of texts, such as permissions, each that went or came on a line of its own, and whole."""
        for field in fields[:MAX_FIELDS]:
            gone, come = _moved(field)
            if not gone and not come:
                self.line(f"{indent}{visible(field.path)}: {_value(field.old)} → {_value(field.new)}", style)
                continue
            self.line(f"{indent}{visible(field.path)}:", style)
            moved = [("-", text) for text in gone] + [("+", text) for text in come]
            for sign, text in moved[:MAX_MOVED]:
                self.line(f"{indent}  {sign} {visible(text, MAX_MESSAGE)}", _SIGNS[sign])
            if len(moved) > MAX_MOVED:
                self.line(f"{indent}  … and {len(moved) - MAX_MOVED} more", "hint")

    def release(self, release: MadeRelease, *, would: bool = False) -> None:
        """A release that became current, or would: then also the one that runs until then."""
        agents = ", ".join(f"{name} {number}" for name, number in release.agents.items())
        models = "".join(f"; {name} is {visible(meaning)}" for name, meaning in release.models.items())
        now = "would run" if would else "now runs"
        instead = f" instead of {release.instead_of[:12]}" if would and release.instead_of else ""
        self.line(
            f"pipeline {release.pipeline} {now} release {release.digest[:12]}{instead}: version {release.version} with {agents}{models}", "created"
        )

    def published(self, done: Published) -> None:
        """What a publication did."""
        was = "for the first time" if done.from_version is None else f"instead of version {done.from_version}"
        self.line(f"{done.kind} {done.name}: version {done.to_version} published {was}", "created")
        for name, number in done.agents:
            self.line(f"  with agent {name} version {number}", "created")
        for release in done.releases:
            self.release(release)
        self.denied(done.denied)
        for name in done.stay:
            self.line(f"pipeline {name} stays as it is; {manage()} publish {name} gives it the new version", "hint")
        if done.stay_elsewhere:
            self.line(f"{done.stay_elsewhere} more of other teams stay as they are until they are published", "hint")

    def preview(self, told: Preview) -> None:
        """What a publication would do, and every problem that forbids it."""
        was = "nothing" if told.from_version is None else f"version {told.from_version}"
        self.line(f"{told.kind} {told.name}: would publish version {told.to_version} instead of {was}")
        self.fields(told.fields, "  ", "changed")
        if len(told.fields) > MAX_FIELDS:
            self.line(f"  … and {len(told.fields) - MAX_FIELDS} more fields", "hint")
        for pin in told.pins:
            was = "added" if pin.running is None else f"instead of version {pin.running}"
            self.line(f"  with agent {pin.name} version {pin.version}, {was}", "changed")
        if told.unchanged:
            self.line("it runs already: there is nothing to publish", "hint")
        self.code(told.code)
        self.denied(told.denied)
        for problem in told.problems:
            self.line(visible(problem, MAX_MESSAGE), "problem")
        if told.asks:
            self.line(f"publishing proposes it: {visible(told.asks)}", "hint")
        if not (told.unchanged or told.problems):
            self.line(f"to publish exactly this: {manage()} publish {told.name} --number {told.to_version} --seen {told.seen}", "hint")

    def denied(self, sentences: Iterable[str]) -> None:
        """What runs already and is refused from then on."""
        for sentence in sentences:
            self.line(visible(sentence, MAX_MESSAGE), "warning")

    def code(self, changes: Iterable[CodeChange]) -> None:
        """What changed in the code of agents: each file with the lines of its diff, as far as they were made."""
        for change in changes:
            self.line(f"code of {', '.join(change.agents)}: {change.old[:12] if change.old else 'none'} → {change.new[:12]}", "changed")
            if change.unreadable:
                self.line("  the code of one of them is not there, or can't be read", "warning")
            for file in change.files:
                self.line(f"  {visible(file.path)} {file.what}{f' ({file.note})' if file.note else ''}")
                for line in file.lines:
                    self.line(f"    {line}", _SIGNS.get(line[:1], "dim"))
                if file.left_out:
                    self.line(f"    … and {file.left_out} more lines", "hint")
            if change.more_files:
                self.line(f"  … and {change.more_files} more files", "hint")


@contextmanager
def refusals_shown(stream: OutputWrapper) -> Iterator[None]:
    """Turns Orchestra's errors, and a database that has no tables or no time, into lines on stderr and exit status 2, or 75; 13: people are asked."""
    try:
        with database_expected():
            yield
    except Proposed as waits:
        end_proposed(waits, stream)
    except OrchestraError as error:
        refuse(error, stream)


def end_proposed(waits: Proposed, stream: OutputWrapper) -> NoReturn:
    """It is put to people; how it goes on."""
    shown = Shown(stream)
    shown.line(visible(waits.message, MAX_MESSAGE), "changed")
    shown.line(f"{manage()} proposals {waits.proposal.pk} shows it", "hint")
    raise SystemExit(PROPOSED)


def refuse(error: OrchestraError, stream: OutputWrapper) -> NoReturn:
    """Every problem on a line of its own, then what it comes to."""
    shown = Shown(stream)
    problems = list(error.details.get("problems") or ())
    for problem in problems[:MAX_PROBLEMS]:
        shown.line(typeable(visible(problem, MAX_MESSAGE)), "problem")
    if len(problems) > MAX_PROBLEMS:
        shown.line(f"… and {len(problems) - MAX_PROBLEMS} more problems", "problem")
    raise CommandError(typeable(visible(error.message, MAX_MESSAGE)), returncode=exit_status(error))


def _moved(field: FieldChange) -> tuple[Sequence[str], Sequence[str]]:
    """Of two lists of texts those that are only in the old and only in the new one; nothing where it is no such list, or only the order differs."""
    lists = [[] if value is None else value for value in (field.old, field.new)]
    if not all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in lists):
        return (), ()
    old, new = lists
    return [text for text in old if text not in new], [text for text in new if text not in old]


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return value[:12]
    return visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), 120)
