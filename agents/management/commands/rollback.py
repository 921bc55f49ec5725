"""`manage.py rollback`: parse, call agents.registry.rollback, show what it did. No rule lives here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from agents.management.showing import Shown, refusals_shown
from agents.registry import rollback
from audit.management.persons import PersonsCommand

EPILOG = """\
what happens:
  A pipeline runs again the release that was in force last of all that were made before its present one: the same
  pipeline version with the same agent versions and their code. An agent goes to its version before, in the same sense,
  which goes into every pipeline that runs the present one. Runs that were started keep what they were started with. Your
  files stay as they are: what they say is published again with the next apply --publish. A second rollback goes further
  back; --to and --release also lead to newer ones.

examples:
  manage.py rollback my-pipeline
  manage.py rollback my-pipeline --to 3
  manage.py rollback my-pipeline --release eff8e65857c4

exit status: 0 rolled back, 2 refused (nothing older, runs already, unknown name, number or release); then nothing
changed, 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Publish the version of a pipeline or an agent that was published before, code included."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="a pipeline or an agent")
        target = parser.add_mutually_exclusive_group()
        target.add_argument("--to", metavar="N", type=int, help="the number of the version; by default the one before")
        target.add_argument("--release", metavar="DIGEST", help="a pipeline's release, older or newer: 8 or more first digits of its digest")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_shown(self.stderr):
            done = rollback(options["name"], actor=self.actor(), to=options["to"], release=options["release"])
        shown = Shown(self.stdout)
        moved = "moved forward" if done.forward else "rolled back"
        shown.line(
            f"{done.kind} {done.name}: {moved} from {_place(done.from_version, done.from_release)} to {_place(done.to_version, done.to_release)}"
        )
        for release in done.releases:
            shown.release(release)
        if done.elsewhere:
            many = "pipelines of other teams run a new release" if done.elsewhere > 1 else "pipeline of another team runs a new release"
            shown.line(f"{done.elsewhere} {many}, too", "hint")
        if done.keep:
            shown.line(f"the permissions of {', '.join(done.keep)} stay as they are; in that release they were others", "warning")
            shown.line("they belong to an agent's published version: to change them, roll back the agent by its own name", "hint")


def _place(version: int, release: str | None) -> str:
    return f"version {version}" if release is None else f"release {release[:12]} (version {version})"
