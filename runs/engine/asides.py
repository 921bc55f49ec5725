"""What stands beside a step's own turn: who undoes it, who looks it up, and what people are asked before the run goes on.

Frozen values; knows no run. Read by the planner, the walk and the boundary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agents.contracts import Contract

POLICY: Final = "policy:"
"""How the name begins under which people take a turn; no agent's can, since that holds no colon. What follows is their policy's, if it has a name."""


RESULT: Final = "output"
"""Under which name people are shown the result of a step, and an agent its own of the round before."""


@dataclass(frozen=True, slots=True)
class Compensation:
    """What undoes a step that has acted, if a later one fails: another agent's turn, with an input fixed when the step returned."""

    agent: str
    arguments: Mapping[str, Any]
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Lookup:
    """Who says whether a call of the step was done, where nobody knows: by its key, once it can't be carried out any more."""

    agent: str
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Maker:
    """The agent that made what people look at, in the version of the release; `alias` and `tool`: through what. Nobody where its name is empty."""

    name: str = ""
    version: int = 0
    digest: str = ""
    team: str = ""
    alias: str = ""
    tool: str = ""


NOBODY: Final = Maker()


@dataclass(frozen=True, slots=True)
class Asking:
    """A turn of people's: they say yes to what it is given, and that is what it gives.

    `of`: the step whose result they look at, and `maker` whose that is; empty where the pipeline asks by itself. `takes`: what the subject
    has to be, also where they change it; None: they can't. `rounds`: how often they may send it back, of which this is the `round`-th.
    `most_ms` bounds the policy's own time.
    """

    policy: str
    of: str = ""
    maker: Maker = NOBODY
    takes: Contract | None = None
    when: str | None = None
    rounds: int = 0
    round: int = 1
    most_ms: int | None = None

    def subject_in(self, arguments: Mapping[str, Any]) -> Any:
        """What people are shown, out of what their turn is given; and what they say yes to is what it gives."""
        return arguments[RESULT] if self.of else dict(arguments)
