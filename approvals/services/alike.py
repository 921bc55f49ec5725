"""Requests that ask for exactly the same, of low risk: decided together, each by itself. The same binding is the same agent, version, arguments,
policy and release.

What differs, such as what was found before, is shown with each; so only what is of low risk is taken together. Called by doors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from approvals.errors import BadDecision
from approvals.rules import CHANGES
from approvals.services import inbox
from approvals.services.deciding import decide
from audit.actors import Actor
from audit.errors import OrchestraError
from audit.visible import visible


@dataclass(frozen=True, slots=True)
class Together:
    """What became of each: the ids of those that were decided, and of those that were not, with why."""

    decided: tuple[str, ...]
    refused: tuple[tuple[str, str], ...] = ()


def decide_alike(*, request: str, also: Sequence[str], decision: str, reason: str = "", seen: str | None = None, actor: Actor) -> Together:
    """This one, as `decide`, and with it those of `also`, by their ids: what its document said is alike, as far as it still is.

    What becomes of one changes nothing for another; each is an entry of its own. BadDecision, and what `decide` refuses of the first.
    """
    found = inbox.find_request(request, actor=actor)
    if decision == CHANGES or not inbox.is_of_low_risk(found):
        said = "only calls of agents whose risk_tier is low, and was then, are approved or declined together, for each may rest on something else"
        raise BadDecision(f"{said}; decide this by itself")
    if len(also) >= inbox.MOST_TOGETHER:
        raise BadDecision(f"at most {inbox.MOST_TOGETHER} are decided together, and these are {len(also) + 1}; decide some first")
    still = {str(each.pk) for each in inbox.alike(found, actor=actor)}
    decide(request=request, decision=decision, reason=reason, seen=seen, actor=actor)
    decided, refused = [str(found.pk)], list[tuple[str, str]]()
    for other in dict.fromkeys(also):
        try:
            if other not in still:
                raise BadDecision("it does not ask for the same, or is not yours to decide any more")
            decide(request=other, decision=decision, reason=reason, actor=actor)
        except OrchestraError as error:
            refused.append((visible(other, 60), visible(error.message, 500)))
        else:
            decided.append(other)
    return Together(tuple(decided), tuple(refused))
