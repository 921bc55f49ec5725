"""What approvals refuse, as leaves of the one tree. A docstring is the default message; doors translate once."""

from audit.errors import Conflict, Invalid, NotFound, Refused


class UnknownApproval(NotFound):
    """There is no request for an approval with this id that you may see."""

    code = "unknown-approval"


class NotYours(Refused):
    """You may not decide this; the message says which rule keeps you from it."""

    code = "not-yours-to-decide"


class AlreadyDecided(Conflict):
    """This was decided already, or you have said what you think of it."""

    code = "already-decided"


class Voided(Conflict):
    """What was asked for is not what would be done any more, so nothing was decided; it is asked for anew."""

    code = "approval-void"


class ChangedSince(Conflict):
    """What you were shown has changed since; look again, then decide."""

    code = "changed-since-shown"


class BadDecision(Invalid):
    """This is no decision on the request."""

    code = "bad-decision"
