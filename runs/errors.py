"""What runs refuse, as one tree. A docstring is the default message; doors translate once."""

from audit.errors import Conflict, Invalid, NotFound, OrchestraError


class UnknownRun(NotFound):
    """There is no run with this id that you may see."""

    code = "unknown-run"


class BadInput(Invalid):
    """The input does not satisfy the pipeline's contract."""

    code = "bad-input"


class AlreadyFinished(Conflict):
    """The run has finished; finished is final."""

    code = "already-finished"


class UnknownWait(NotFound):
    """There is no wait with this id that you may see."""

    code = "unknown-wait"


class UnknownCall(NotFound):
    """There is no call with this id that you may see."""

    code = "unknown-call"


class NotWaiting(Conflict):
    """The run does not wait for this."""

    code = "not-waiting"


class AlreadyAnswered(Conflict):
    """Somebody has answered this already; the first answer counts."""

    code = "already-answered"


class TooEarly(Conflict):
    """What is asked about may still be going on."""

    code = "too-early"


class BadAnswer(Invalid):
    """The answer is not what the wait takes."""

    code = "bad-answer"


class NotReverifiable(Conflict):
    """This run has no stored result that could be judged again."""

    code = "not-reverifiable"


class Stopped(Conflict):
    """Somebody has stopped this; nothing of it begins until that is lifted."""

    code = "stopped"


class IdempotencyConflict(Conflict):
    """This idempotency key was used for another start."""

    code = "idempotency-conflict"


class TooManyQueued(OrchestraError):
    """So many runs of this pipeline, or of its team, wait to be begun that no more are taken; `Retry-After` says in how many seconds to try again."""

    code = "too-many-queued"
    http_status = 429


class Overloaded(OrchestraError):
    """So many runs wait to be begun that no more are taken; `Retry-After` says in how many seconds to try again."""

    code = "overloaded"
    http_status = 503
