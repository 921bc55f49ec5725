"""Commands of Django's that would write past the use-cases and the ledger: ours of the same name say what to type instead.

Knows no rule. The base of those commands.
"""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from audit.management.teaching import TeachingCommand
from audit.management.typed import typeable


class Instead(TeachingCommand):
    """Refuses whatever Django's command takes with the same sentence."""

    requires_system_checks = ()
    instead = ""
    example = ""

    def taught(self) -> str:
        return f"example of what to type instead:\n  {self.example}\n\nexit status: 2, whatever it is given"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("given", nargs="*", metavar="ANYTHING", help="nothing is read")

    def run_from_argv(self, argv: list[str]) -> None:
        """Django's options are not known here; only a wish for help is read."""
        help_wanted = {"-h", "--help"} & set(argv)
        super().run_from_argv(argv if help_wanted else argv[:2])

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        raise CommandError(typeable(self.instead), returncode=2)
