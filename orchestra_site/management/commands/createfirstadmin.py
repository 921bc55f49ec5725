"""`createfirstadmin`: gives a fresh installation its first person who may sign in, and shows the password once.

Does nothing where an administrator may already sign in. Called by `make serve`.
"""

import shlex
from typing import Any

from django.contrib.auth.models import User

from agents.registry import create_person
from audit.actors import Actor
from audit.errors import Conflict
from audit.management.teaching import TeachingCommand
from audit.management.typed import manage
from audit.visible import visible

NAME = "admin"


EPILOG = """\
example:
  manage.py createfirstadmin

exit status: 0, also where nobody was made, 2 the database lacks tables, 75 the database is busy or out of reach
"""


class Command(TeachingCommand):
    help = "Create the first administrator, 'admin', with a random password that is shown once; where there is one, say whom."
    epilog = EPILOG

    def handle(self, *args: Any, **options: Any) -> None:
        there = User.objects.filter(is_superuser=True, is_active=True).order_by("date_joined", "pk").first()
        if there is not None:
            name = visible(there.username, 150)
            self.stdout.write(f"Sign in as {name!r} (`{manage()} person {shlex.quote(name)} --password` sets another password), or as yourself.")
            return
        try:
            _, password = create_person(NAME, actor=Actor.system("shell"), administrator=True)
        except Conflict as taken:  # another `make serve` was quicker, or the name is taken
            self.stderr.write(
                f"None was made: {taken.message}. `{manage()} person NAME --create --administrator` makes another; "
                f"`{manage()} person NAME --activate` lets one in again."
            )
            return
        self.stdout.write(f"Sign in as {NAME!r} with the password {password}")
        self.stdout.write(f"It is shown this once. `{manage()} person admin --password` sets another.")
