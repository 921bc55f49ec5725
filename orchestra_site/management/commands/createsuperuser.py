"""`createsuperuser`: Django's would write past the use-cases and the ledger, so this says what to type instead.

Shadows the command of django.contrib.auth. Knows no rule.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

INSTEAD = (
    "`manage.py person NAME --create --administrator` makes an administrator with a random password, shown once, and an entry of the ledger. "
    "The first one, `admin`, is made by `manage.py createfirstadmin`."
)


class Command(BaseCommand):
    help = "Not here: accounts are made where that is recorded."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("given", nargs="*", metavar="ANYTHING", help="nothing is read")

    def run_from_argv(self, argv: list[str]) -> None:
        """Whatever Django's command takes is refused with the same sentence."""
        help_wanted = {"-h", "--help"} & set(argv)
        super().run_from_argv(argv if help_wanted else argv[:2])

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError(INSTEAD, returncode=2)
