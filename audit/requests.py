"""Who makes a web request, as an Actor. The site's middleware and its token authentication put it there; doors ask here.

Knows no session and no table.
"""

from __future__ import annotations

from django.http import HttpRequest

from audit.actors import Actor


def actor_of(request: HttpRequest) -> Actor:
    """The actor of this request; nobody where no middleware has said who it is."""
    actor = getattr(request, "actor", None)
    return Actor.nobody() if actor is None else actor
