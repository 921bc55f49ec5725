"""What a web door refuses before any use-case is asked, as leaves of the one tree. A docstring is the default message.

Raised by the doors' base class and by the site's translation of DRF's own exceptions.
"""

from __future__ import annotations

from audit.errors import Invalid, NotFound, OrchestraError, Refused


class BadQuery(OrchestraError):
    """The query, or a header, holds what this operation does not take; `problems` lists each."""

    code = "bad-query"
    http_status = 400


class BadRequest(OrchestraError):
    """The request can't be read."""

    code = "bad-request"
    http_status = 400


class BadBody(OrchestraError):
    """The body is not what this operation takes; `problems` lists everything that is wrong with it."""

    code = "bad-body"
    http_status = 400


class BadCursor(Invalid):
    """The cursor is none that was given out: take it from `next`, or leave it out to begin anew."""

    code = "bad-cursor"


class Unauthenticated(OrchestraError):
    """This needs a credential: send `Authorization: Bearer TOKEN`. `manage.py token PERSON` makes a token."""

    code = "unauthenticated"
    http_status = 401


class CrossSite(Refused):
    """A session was sent without its CSRF token: send X-CSRFToken, or use a token instead of a session."""

    code = "csrf"


class NoSuchPath(NotFound):
    """There is nothing at this address."""

    code = "no-such-path"


class MethodNotAllowed(OrchestraError):
    """This address does not know that method; the header `Allow` lists those it knows."""

    code = "method-not-allowed"
    http_status = 405


class LengthRequired(OrchestraError):
    """The body came in chunks, which are not read here: send it whole, with Content-Length."""

    code = "length-required"
    http_status = 411


class TooLarge(OrchestraError):
    """The body is larger than this operation takes."""

    code = "too-large"
    http_status = 413


class NotJson(OrchestraError):
    """The body's Content-Type is not application/json."""

    code = "not-json"
    http_status = 415


class Internal(OrchestraError):
    """Something went wrong on our side; the server's log has the details. What was asked is done whole or not at all: look before you repeat it."""

    code = "internal"
    http_status = 500
