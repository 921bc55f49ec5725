"""Who types a command: the person whose token the environment holds, or nobody in particular.

A command line can be seen by everybody on the machine, so a token never stands there. Named in the settings (ORCHESTRA_ACTOR_OF_SHELL) for
the commands of every app; `decide` asks for what only a person has.
"""

import os
import sys
from getpass import getpass

from agents import keys
from agents.errors import NotGranted
from audit.actors import Actor
from audit.api.errors import Unauthenticated
from orchestra_site import env
from orchestra_site.credentials import token_of
from orchestra_site.people import actor_for
from orchestra_site.tokens import holder_of


def actor_of_shell() -> Actor:
    """The person of the token in ORCHESTRA_TOKEN, with what they may at this moment; without one, the system.

    NotGranted for the key of an agent, Unauthenticated for one that is no good: whoever says who they are is never taken for somebody else.
    """
    said = os.environ.get(env.PERSONS_TOKEN, "").strip()
    return _holder(said, f"the token in {env.PERSONS_TOKEN}") if said else Actor.system("shell")


def person_at_shell() -> Actor:
    """The same for what only a person may do: where the environment holds no token and somebody sits there, they are asked for one, unseen."""
    actor = actor_of_shell()
    if actor.kind == "person" or not sys.stdin.isatty():
        return actor
    said = getpass("Your token (nothing of it is shown): ").strip()
    return _holder(said, "this token") if said else actor


def _holder(said: str, what: str) -> Actor:
    if keys.is_meant(said):
        raise NotGranted(f"{what} is the key of an agent, and commands are for people: an agent asks over REST; show a token of yours, or none")
    token = holder_of(said)
    if token is None:
        raise Unauthenticated(f"{what} is unknown, has ended, was revoked, or its person may not sign in any more")
    return actor_for(token.user, auth="token", by=token_of(token))
