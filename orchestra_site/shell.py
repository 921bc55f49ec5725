"""Who types a command: the person whose token the environment holds, or nobody in particular.

A command line can be seen by everybody on the machine, so a token never stands there. Used by the commands that answer for a person.
"""

import os

from audit.actors import Actor
from audit.api.errors import Unauthenticated
from orchestra_site import env
from orchestra_site.credentials import token_of
from orchestra_site.people import actor_for
from orchestra_site.tokens import holder_of


def actor_of_shell() -> Actor:
    """The person of the token in ORCHESTRA_TOKEN, with what they may at this moment; without one, the system.

    Unauthenticated for one that is no good: whoever says who they are is never taken for somebody else.
    """
    said = os.environ.get(env.PERSONS_TOKEN, "").strip()
    if not said:
        return Actor.system("shell")
    token = holder_of(said)
    if token is None:
        raise Unauthenticated(f"the token in {env.PERSONS_TOKEN} is unknown, has ended, was revoked, or its person may not sign in any more")
    return actor_for(token.user, auth="token", by=token_of(token))
