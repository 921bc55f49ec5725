"""The agents app's leaves of the error tree: what may go wrong with files, versions, grants and expressions.

Knows nothing of rows or requests. Raised by the registry, the expressions and the grants; doors translate them once.
"""

from audit.errors import Conflict, Invalid, NotFound, OrchestraError, Refused


class ExpressionError(Invalid):
    """An expression could not be evaluated."""

    code = "expression"


class NotPublishable(Invalid):
    """The files have problems; correct the lines named in `problems` and apply again."""

    code = "not-publishable"


class UnknownAgent(NotFound):
    """No such agent; `manage.py apply` creates agents from files."""

    code = "unknown-agent"


class UnknownAlias(NotFound):
    """No such model alias; `manage.py apply` creates them from files."""

    code = "unknown-alias"


class UnknownPipeline(NotFound):
    """No such pipeline; `manage.py apply` creates pipelines from files."""

    code = "unknown-pipeline"


class NotPublished(Conflict):
    """Nothing of this name is published yet; apply with --publish, or run it with --draft."""

    code = "not-published"


class Retired(Conflict):
    """This was taken out of use; `manage.py reinstate` brings it back."""

    code = "retired"


class UnknownPolicy(NotFound):
    """No such policy; `manage.py apply` creates policies from files."""

    code = "unknown-policy"


class UnknownTeam(NotFound):
    """No such team; `manage.py apply` creates teams from files."""

    code = "unknown-team"


class UnknownPerson(NotFound):
    """No such person; `manage.py person NAME --create` makes an account."""

    code = "unknown-person"


class UnknownGroup(NotFound):
    """No such group; `manage.py group NAME --create` makes one."""

    code = "unknown-group"


class UnknownTool(NotFound):
    """No such tool."""

    code = "unknown-tool"


class UnknownStop(NotFound):
    """No such stop; `manage.py stops` lists them."""

    code = "unknown-stop"


class UnknownProposal(NotFound):
    """No such proposal; `manage.py proposals` lists them."""

    code = "unknown-proposal"


class UnknownCover(NotFound):
    """No such cover; `manage.py covers` lists them."""

    code = "unknown-cover"


class UnknownKey(NotFound):
    """No such key of this agent; `manage.py keys AGENT` lists them."""

    code = "unknown-key"


class TooManyKeys(Conflict):
    """This agent has as many keys as one may have; one has to be revoked, or to end, before the next."""

    code = "too-many-keys"


class KeyRefused(OrchestraError):
    """This is no key of an agent, or one that doesn't work at the moment."""

    code = "unauthenticated"
    http_status = 401


class NoSuchVersion(NotFound):
    """No version with this number exists."""

    code = "no-such-version"


class NoSuchRelease(NotFound):
    """No release of this pipeline begins with these digits."""

    code = "no-such-release"


class ArtifactRefused(Invalid):
    """The folder can't be stored as an artifact."""

    code = "artifact-refused"


class NotGranted(Refused):
    """No membership, permission or grant allows this; the message says which is missing."""

    code = "denied"


class WrongPassword(Refused):
    """This is not your present password."""

    code = "wrong-password"
