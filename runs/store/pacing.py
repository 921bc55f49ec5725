"""The live figures behind an agent's rate and breaker, from the rows of its calls: there is no second copy of them.

One indexed read for each of the two, only for agents that declare it; a second one for a breaker that has tripped.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from runs.engine import pacing
from runs.engine.pacing import Pace
from runs.engine.states import CallState
from runs.models import Call


def pace_of(agent: str, said: Mapping[str, Any], now: datetime) -> Pace:
    """The pace in force with its figures as they are now; a pace that can't be read lets nothing through."""
    try:
        pace = pacing.read_pace(said)
    except pacing.Unreadable:
        return Pace(unreadable=True)
    calls = Call.objects.filter(agent=agent).order_by("-dispatched_at")
    if pace.rate is not None:
        sent = calls.filter(dispatched_at__gt=now - pace.rate.window).values_list("key", "dispatched_at")
        pace = replace(pace, sent=dict(sent[: pace.rate.calls]))
    turns = calls.filter(ordinal=0)  # what a function asked for on its way belongs to its turn
    if pace.breaker is not None:
        ends = turns.filter(settled_at__isnull=False, cause__in=["", *pacing.FAILED, *pacing.ANSWERED]).values_list("cause", "settled_at")
        pace = replace(pace, tripped_at=pacing.tripped_at(pace.breaker, ((cause, at) for cause, at in ends[: pace.breaker.failures] if at)))
    if pace.tripped_at is not None:
        out = turns.filter(state=CallState.DISPATCHED, not_after__gt=now, dispatched_at__gt=pace.tripped_at)
        pace = replace(pace, out=frozenset(out.values_list("key", flat=True)[:2]))
    return pace
