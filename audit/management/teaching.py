"""The base of our commands: help that teaches, with its line breaks kept.

Knows no command and no rule. Used by the commands of every app; those that look or act for somebody begin at `persons`.
"""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import Any, ClassVar, Final

from django.core import checks
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

    def check(self, *args: Any, **options: Any) -> None:
        """Of what is wrong with the deployment Django's report, which ends the command; of what only warns a line each."""
        looked = {name: options[name] for name in ("app_configs", "tags", "include_deployment_checks", "databases") if name in options}
        found = [each for each in checks.run_checks(**looked) if not each.is_silenced()]
        if any(each.is_serious() for each in found):
            super().check(*args, **options)
        for each in found:
            self.stderr.write(" ".join(filter(None, (f"{each.id}:", each.msg, each.hint))), self.style.WARNING)

    def taught(self) -> str:
        """What stands below the options."""
        return self.epilog
