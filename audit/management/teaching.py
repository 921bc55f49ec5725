"""The base of our commands: help that teaches, with its line breaks kept.

Knows no command and no rule. Used by the commands of every app; those that look or act for somebody begin at `persons`.
"""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import Any, ClassVar, Final

from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter

from audit.management.typed import typeable

CHECKS: Final = "orchestra"
"""The tag of the checks that look at the deployment."""


class TeachingFormatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the line breaks of an epilog."""


class TeachingCommand(BaseCommand):
    """`epilog`: what happens, examples, every exit status. Before each the deployment is looked at, and no page of the site is loaded for that."""

    requires_system_checks: tuple[str, ...] = (CHECKS,)
    epilog: ClassVar[str] = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, epilog=typeable(self.taught()), formatter_class=TeachingFormatter, **kwargs)

    def taught(self) -> str:
        """What stands below the options."""
        return self.epilog
