"""Commands that look or act for somebody: for the person who shows a token, else for the system. Each says so in its help.

Knows no token: the site does, which no app below may import, so the setting ORCHESTRA_ACTOR_OF_SHELL names its function.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

from django.conf import settings
from django.utils.module_loading import import_string

from audit.actors import Actor
from audit.management.teaching import TeachingCommand

WHO: Final = """\
whose command it is:
  With a token of yours (manage.py token PERSON) in the environment variable ORCHESTRA_TOKEN it is yours: it shows and does
  what you may see and do, as over REST, and the ledger names you. Without one it is the system's.
"""


def none_seen(nothing: str, actor: Actor) -> str:
    """What a list says that is empty: of things that may be there all the same, where it is a person's."""
    return nothing if actor.kind == "system" else f"{nothing} that you may see"


class PersonsCommand(TeachingCommand):
    """Whoever says who they are is never taken for somebody else, and least of all for the system, which may everything."""

    who: ClassVar[str] = WHO

    def actor(self) -> Actor:
        """Whose command it is, with what they may at this moment. Unauthenticated, within the command's refusals, for a token that is no good."""
        found = import_string(settings.ORCHESTRA_ACTOR_OF_SHELL)()
        assert isinstance(found, Actor)
        return found

    def taught(self) -> str:
        """With whose it is, before the examples."""
        before, example, after = re.split(r"^(examples?:)$", self.epilog, maxsplit=1, flags=re.MULTILINE)
        return f"{before}{self.who}\n{example}{after}"
