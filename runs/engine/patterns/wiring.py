"""What a step was to be given can't be made: raised within the walk, which turns it into a failure of the node.

Pure; knows neither steps nor plans.
"""

from runs.engine.states import Cause


class Wiring(Exception):
    """The pipeline's fault, unless `cause` says otherwise; `agent` is then whose."""

    def __init__(self, message: str, cause: Cause = Cause.INPUT, agent: str | None = None) -> None:
        super().__init__(message)
        self.cause, self.agent = cause, agent
