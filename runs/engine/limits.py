"""Bounds and their owners: deadlines, back-off, freshness, and whose a failure is.

Pure arithmetic over values. Used by the patterns and the machine; knows nothing of how steps nest.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final

from agents import contracts
from audit.instants import to_the_second
from runs.engine.asides import POLICY
from runs.engine.families import Child, Start
from runs.engine.states import FALLS_BACK_AT_ONCE, PIPELINE_CAUSES, PLATFORM_CAUSES, RETRYABLE, Cause
from runs.engine.values import FUTURE_TOLERANCE, Agent, BestBefore, Failure, Held, Plan, RunView, Step, StepNode

LONGEST_PAUSE_MS: Final = 60_000
ALL: Final = Fraction(1)


def later(instant: datetime, ms: int) -> datetime:
    return instant + timedelta(milliseconds=ms)


def left_ms(until: datetime, now: datetime) -> int:
    """Whole milliseconds, as `later` takes them."""
    return max((until - now) // timedelta(milliseconds=1), 0)


def step_deadline(timeout_ms: int, run: RunView, now: datetime) -> datetime:
    """A step never outlives its run."""
    return min(later(now, timeout_ms), run.deadline_at)


def start_of(child: Child, timeout_ms: int, run: RunView, now: datetime, *, part: Fraction = ALL) -> Start:
    """What a child run may take: its own limits, and never more than is left to the run above it, or than its `part` of that.

    What it gets of a limit is held for it there until it has ended, so that all who share the limit keep it together.
    """
    lifetime = later(now, child.lifetime_ms)
    lifetime = lifetime if run.lifetime_until is None else min(lifetime, run.lifetime_until)
    cost, held_nano = _share(child.cost_limit, run.cost_limit, run.spent + run.reserved, part)
    calls, held_calls = _share(child.calls_limit, run.calls_limit, run.calls, part)
    deadline = min(step_deadline(timeout_ms, run, now), lifetime)
    return Start(child, deadline, lifetime, cost, calls, held_nano, held_calls)


def _share(own: int | None, limit: int | None, used: int, part: Fraction) -> tuple[int | None, int]:
    """A child's limit, and how much of that is held for it. Where nothing is left it may still do what costs nothing."""
    if limit is None:
        return own, 0
    left = int(max(limit - used, 0) * part)
    share = left if own is None else min(own, left)
    return share, share


def pause_ms(node: StepNode, attempt: int, chance: float) -> int:
    """Exponential back-off with jitter: backoff · 2^(attempt-1) · [0.5, 1.5). `chance` is in [0, 1).

    It grows up to a minute, or stays at the declared back-off where that is longer; the jitter comes last, so that steps which
    failed together don't come back together.
    """
    base = min(node.backoff_ms * 2 ** min(attempt - 1, 16), max(node.backoff_ms, LONGEST_PAUSE_MS))
    return int(base * (0.5 + chance))


def may_retry(step: Step, cause: Cause, retry_safe: bool) -> bool:
    """Retries belong to the step's own agent; a fallback gets one attempt."""
    return cause in RETRYABLE and retry_safe and not step.fell_back and step.attempt <= step.work.retries


def may_fall_back(step: Step, cause: Cause, fallback_safe: bool) -> bool:
    """Never after an earlier attempt that may have acted: what the fallback does would be done twice."""
    settled = cause in RETRYABLE | FALLS_BACK_AT_ONCE
    return settled and fallback_safe and step.work.fallback is not None and not step.fell_back


def failure(
    plan: Plan,
    *,
    cause: Cause,
    message: str,
    agent: str | None = None,
    step: str | None = None,
    details: Mapping[str, Any] | None = None,
    owner: str | None = None,
) -> Failure:
    """A failure with its default owner (DESIGN §3): the agent, the pipeline or the platform; `owner` names a tool or a model alias."""
    whose, team = _owner(plan, cause, agent)
    if owner is not None:
        whose, team = owner, _team_of(plan, owner, agent)
    return Failure(cause=cause, message=message, owner=whose, team=team, step=step, details=details or {})


def _team_of(plan: Plan, owner: str, agent: str | None) -> str | None:
    """A tool is nobody's; an alias is a team's. Of a pipeline above the run's own nobody here knows whose it is."""
    if owner == f"pipeline:{plan.pipeline}":
        return plan.team
    alias = plan.agents[agent].alias if agent is not None else None
    return alias["team"] if alias is not None and owner == f"alias:{alias['name']}" else None


def _owner(plan: Plan, cause: Cause, agent: str | None) -> tuple[str, str | None]:
    if cause in PLATFORM_CAUSES:
        return "platform", None
    if cause in PIPELINE_CAUSES or not agent or agent.startswith(POLICY):  # whoever has people asked answers for what comes of it
        return f"pipeline:{plan.pipeline}", plan.team
    return f"agent:{agent}", plan.agents[agent].team


def combined(parts: Iterable[Held | None], value: Any) -> Held:
    """`value` with the provenance of its parts: the oldest observation, the earliest best-before."""
    known = [part for part in parts if part is not None]
    stamps = [part.as_of for part in known if part.as_of is not None]
    fresh = [part.best_before for part in known if part.best_before is not None]
    return Held(value, min(stamps, default=None), min(fresh, key=lambda b: (b.at, b.step), default=None))


def spoiled(held: Held, run: RunView, now: datetime) -> BestBefore | None:
    """The contract that a value would break if an `act` or `verify` step consumed it now."""
    if held.best_before is not None and run.reference(now) > held.best_before.at:
        return held.best_before
    return None


class NotFresh(Exception):
    """A result's own stamp breaks its freshness contract; `cause` says how."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


def observed(agent: Agent, value: Any, inherited: Held, step: str, run: RunView, now: datetime) -> Held:
    """`value` with its provenance, or NotFresh (DESIGN R2): judged against `run.as_of` where there is one."""
    max_age_ms = agent.max_age_ms
    if max_age_ms is None:
        return Held(value, inherited.as_of, inherited.best_before)
    field = agent.spec["freshness"]["field"]
    try:
        stamp = contracts.observed_at(value, field)
    except ValueError as error:
        raise NotFresh(Cause.CONTRACT, f"freshness can't be judged: {error}") from None
    if stamp is None:
        raise NotFresh(Cause.CONTRACT, f"the result has no instant at '{field}', which its freshness contract needs")
    _refuse_out_of_time(stamp, max_age_ms, agent.name, run.reference(now))
    own = Held(value, stamp, BestBefore(later(stamp, max_age_ms), step))
    return combined((own, inherited), value)


def _refuse_out_of_time(stamp: datetime, max_age_ms: int, agent: str, reference: datetime) -> None:
    if stamp > reference + FUTURE_TOLERANCE:
        raise NotFresh(Cause.STALE, f"'{agent}' gave data stamped {_ago(stamp - reference)} after {to_the_second(reference)}")
    age = reference - stamp
    if age > timedelta(milliseconds=max_age_ms):
        raise NotFresh(
            Cause.STALE,
            f"the newest observation is {_ago(age)} old ({to_the_second(stamp)}); '{agent}' allows {_ago(timedelta(milliseconds=max_age_ms))}",
        )


def _ago(span: timedelta) -> str:
    """A span for people, two units at most: `12 y 265 d`, `3 h 5 min`, `12 s`."""
    seconds = int(span.total_seconds())
    units = (("y", 31_536_000), ("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts = []
    for name, size in units:
        amount, seconds = divmod(seconds, size)
        if amount:
            parts.append(f"{amount} {name}")
    return " ".join(parts[:2]) or f"{int(span.total_seconds() * 1000)} ms"


def seconds(ms: int) -> str:
    return f"{ms / 1000:g} s"
