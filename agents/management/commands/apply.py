"""`manage.py apply`: parse, call agents.registry.apply_folder, show what it did. No rule lives here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandParser

from agents.management.showing import MAX_MESSAGE, Shown, end_proposed, refusals_shown
from agents.registry import Applied, Proposed, apply_folder
from audit.management.persons import PersonsCommand
from audit.management.typed import typeable
from audit.visible import visible

EPILOG = """\
what happens:
  All .yaml and .yml files in FOLDER and below are read; the rest of it (at most 16 MiB, no links) is the code of its
  agents and is stored with them. All problems are listed at once, each as file:line, and then nothing is written.
  What has changed becomes a draft; with --publish the drafts become what runs. What has not changed is left alone,
  so applying twice does no harm.

examples:
  manage.py apply -f my-pipeline --dry-run
  manage.py apply -f my-pipeline --publish
  manage.py apply -f my-pipeline --dry-run --publish    the check for CI

exit status: 0 applied (or nothing to do), 13 stored as drafts and proposed, as people of the team have to say yes first
(`publishing` in its document), 2 refused, 75 the database is busy or out of reach
A draft may be unfinished: what keeps it from being published is said and, without --publish, is no refusal. So --dry-run
alone ends with 0 where --dry-run --publish ends with 2.
"""
CHECK: Final = "the check for CI is apply --dry-run --publish: it ends with 2 where this could not be published; this look ends with 0"


class Command(PersonsCommand):
    help = "Store the teams, agents and pipelines that the YAML files of a folder describe, with the folder's code."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("-f", "--folder", metavar="FOLDER", required=True, type=Path, help="the folder with YAML files and code")
        parser.add_argument("--dry-run", action="store_true", help="show what would change, write nothing")
        parser.add_argument("--publish", action="store_true", help="make the drafts what runs; refused if a rule of publishing is broken")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_shown(self.stderr):
            applied = apply_folder(options["folder"], actor=self.actor(), publish=options["publish"], dry_run=options["dry_run"])
        _show(Shown(self.stdout), applied)
        if applied.proposal is not None:
            end_proposed(Proposed(applied.proposal), self.stderr)


def _show(shown: Shown, applied: Applied) -> None:
    for change in applied.changes:
        shown.change(change)
    shown.code(applied.code)
    for release in applied.releases:
        shown.release(release, would=applied.dry_run)
    for release in applied.pending if not applied.warnings else ():
        shown.line("published, this would change what runs:", "hint")
        shown.release(release, would=True)
    for warning in applied.warnings:
        shown.line(f"before it can be published: {typeable(visible(warning, MAX_MESSAGE))}", "warning")
    shown.denied(applied.denied)
    for hint in applied.hints:
        shown.line(typeable(visible(hint, MAX_MESSAGE)), "hint")
    _end(shown, applied)


def _end(shown: Shown, applied: Applied) -> None:
    """What was not done, and what to type for it."""
    if applied.dry_run:
        shown.line("dry run: nothing was written", "hint")
    if applied.unpublished and not applied.publish and applied.proposal is None:
        what = "not published yet: add --publish" if not applied.warnings else "not published yet: correct the above, then add --publish"
        shown.line(what, "hint")
    if applied.dry_run and not applied.publish:
        shown.line(CHECK, "hint")
