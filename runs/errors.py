"""What runs refuse, as one tree. A docstring is the default message; doors translate once."""

from audit.errors import Conflict, Invalid, NotFound


class UnknownRun(NotFound):
    """There is no run with this id that you may see."""

    code = "unknown-run"


class BadInput(Invalid):
    """The input does not satisfy the pipeline's contract."""

    code = "bad-input"


class AlreadyFinished(Conflict):
    """The run has finished; finished is final."""

    code = "already-finished"


class NotReverifiable(Conflict):
    """This run has no stored result that could be judged again."""

    code = "not-reverifiable"


class IdempotencyConflict(Conflict):
    """This idempotency key was used for another start."""

    code = "idempotency-conflict"
