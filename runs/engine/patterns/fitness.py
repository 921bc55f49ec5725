"""Whether a turn may begin with what it is given: who takes it may refuse the input, and an `act` or `verify` step what is too old (R2).

Pure; raises Wiring, which the walk turns into a failure. Knows neither frames nor expressions.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from audit import canonical
from runs.engine.limits import spoiled
from runs.engine.patterns.wiring import Wiring
from runs.engine.states import Cause
from runs.engine.values import Plan, RunView, Step, instant_text


def refuse_unwritable(place: str, arguments: Mapping[str, Any], *, depth: int = canonical.MAX_DEPTH) -> None:
    try:
        canonical.canonical_bytes(arguments, depth=depth)
    except canonical.NotCanonical as error:
        raise Wiring(f"the input of '{place}' can't be written as JSON: {error}") from None


def refuse_misfit(plan: Plan, place: str, agent: str, arguments: Mapping[str, Any]) -> None:
    refuse_violations(place, plan.agents[agent].takes.violations(arguments), f"'{agent}'")


def refuse_violations(place: str, wrong: Sequence[str], whose: str) -> None:
    if wrong:
        raise Wiring(f"the input of '{place}' breaks the contract of {whose}: {'; '.join(wrong)}")


def refuse_unfit(plan: Plan, step: Step, run: RunView, steps: Mapping[str, Step], now: datetime) -> None:
    """What an `act` or `verify` step, or people who say yes, may not consume: stale data, or history where the act can't be replayed."""
    agent = plan.agents[step.agent]
    if agent.role == "act" and run.as_of is not None and not plan.replayable:
        raise Wiring(f"'{agent.name}' acts, and this run judges the past; a pipeline that may repeat acts says 'replayable: true'")
    if agent.role != "act" and not step.node.judges and step.work.asking is None and not run.resumed:
        return
    refuse_spoilt(step, run, steps, now)


def refuse_spoilt(step: Step, run: RunView, steps: Mapping[str, Step], now: datetime) -> None:
    spoilt = spoiled(step.inherited, run, now)
    if spoilt is not None:
        owner = steps[spoilt.step].agent if spoilt.step in steps else None
        message = f"the data of step '{spoilt.step}' was fresh until {instant_text(spoilt.at)} and is too old to be consumed by '{step.key}'"
        raise Wiring(message, Cause.STALE, owner)
