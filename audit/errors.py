"""The root of the one tree of errors, and the leaves that every app needs.

A leaf's docstring is its default message. Doors translate `code`, `http_status` and `details` once;
other apps add leaves in their own errors.py. Knows nothing of Django or of who raises it.
"""

from __future__ import annotations

from inspect import cleandoc
from typing import Any, ClassVar


class OrchestraError(Exception):
    """Orchestra could not do what was asked."""

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message if message is not None else " ".join(cleandoc(type(self).__doc__ or "").split())
        self.details = details
        super().__init__(self.message)


class Deferred(Exception):
    """Nothing was done, and nothing refused: people have to say yes first, and are asked. `details` name what they are asked; doors say it once."""

    def __init__(self, message: str, **details: str) -> None:
        self.message = message
        self.details = details
        super().__init__(message)


class Invalid(OrchestraError):
    """The input is not valid; `problems` may list why."""

    code = "invalid"
    http_status = 422


class BadJson(OrchestraError):
    """This can't be read as JSON."""

    code = "bad-json"
    http_status = 400


class NotFound(OrchestraError):
    """There is no such thing, or you may not see it."""

    code = "not-found"
    http_status = 404


class Refused(OrchestraError):
    """You may not do this."""

    code = "refused"
    http_status = 403


class OutOfScope(Refused):
    """The key of an agent that asks has not the scope for this; people do it with a token or a session of theirs."""

    code = "out-of-scope"


class Conflict(OrchestraError):
    """Something else changed in the meantime; read again and repeat."""

    code = "conflict"
    http_status = 409


class NotSetUp(OrchestraError):
    """The database lacks tables or columns of this version; run `manage.py migrate`."""

    code = "no-tables"
    http_status = 503


class Unavailable(OrchestraError):
    """The database is busy or can't be reached; look what became of it, and send it again in a moment."""

    code = "unavailable"
    http_status = 503
    retry_after_s: ClassVar[int] = 2


class UnknownVerb(OrchestraError):
    """This ledger verb, or one of its openings, is not registered; register it in the app's AppConfig.ready."""

    code = "unknown-verb"


class NoTransaction(OrchestraError):
    """This writes together with the change it records, so it needs an open transaction; wrap both in atomic()."""

    code = "no-transaction"
