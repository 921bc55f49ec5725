"""`manage.py publish`: parse, call agents.registry.publish or preview, show what it did. No rule lives here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from agents.management.showing import Shown, refusals_shown
from agents.registry import preview, publish
from audit.management.persons import PersonsCommand

EPILOG = """\
what happens:
  What was applied without --publish becomes what runs: a pipeline's draft together with the drafts of the agents that
  it names, as one release. An agent published by its own name leaves pipelines as they are, until they are published
  themselves. Runs that were started keep what they were started with.

examples:
  manage.py publish my-pipeline --dry-run
  manage.py publish my-pipeline
  manage.py publish my-agent --number 4

exit status: 0 published, 13 proposed, as people of the team have to say yes first (`publishing` in its document),
2 refused (not valid, nothing new, unknown name or number); then nothing changed, 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Publish the draft of a pipeline or an agent: new runs start with it."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="a pipeline or an agent")
        # `--version` is Django's own option of every command.
        parser.add_argument("--number", metavar="N", type=int, help="a version that was never published; by default the draft")
        parser.add_argument("--seen", metavar="DIGEST", help="publish only what --dry-run showed with this digest")
        parser.add_argument("--dry-run", action="store_true", help="show what it would change, and what forbids it")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_shown(self.stderr):
            asked = {"actor": self.actor(), "version": options["number"]}
            if options["dry_run"]:
                Shown(self.stdout).preview(preview(options["name"], **asked))
                return
            done = publish(options["name"], **asked, seen=options["seen"])
        Shown(self.stdout).published(done)
