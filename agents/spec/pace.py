"""Reads how fast an agent may be called and when it is left alone: `rate` and `breaker`, as they stand in its normal form.

Must not judge calls: `runs.engine.pacing` does. Used by the reader of agents.
"""

from typing import Any

from agents.spec.fields import Fields
from agents.spec.measures import rate_of

MOST_CALLS = 1_000
SHORTEST_MS = 1_000
LONGEST_MS = 24 * 60 * 60 * 1_000
MOST_FAILURES = 100


def read_pace(fields: Fields, run: dict[str, Any] | None) -> dict[str, Any]:
    """{"rate": {"calls", "window_ms"}, "breaker": {"failures", "rest_ms"}}, with those of the two that are said."""
    read = {"rate": _rate(fields), "breaker": _breaker(fields)}
    said = {key: value for key, value in read.items() if value is not None}
    if run is not None and "inline" in run:
        for key in said:
            fields.wrong(key, "would hold for nothing: inline checks make no calls; leave it out")
    return said


def _rate(fields: Fields) -> dict[str, int] | None:
    value = fields.get("rate")
    if value is None:
        return None
    found = rate_of(value.strip()) if isinstance(value, str) else None
    if found is None or not 1 <= found[0] <= MOST_CALLS or not SHORTEST_MS <= found[1] <= LONGEST_MS:
        fields.wrong("rate", f"must be calls per time, such as 60/1m: 1 to {MOST_CALLS:,} calls per 1s to 24h")
        return None
    return {"calls": found[0], "window_ms": found[1]}


def _breaker(fields: Fields) -> dict[str, int] | None:
    if fields.get("breaker") is None:
        return None
    inner = fields.inner("breaker")
    failures, rest = inner.get("failures"), inner.duration("rest")
    inner.finish()
    if type(failures) is not int or not 1 <= failures <= MOST_FAILURES or rest is None or not SHORTEST_MS <= rest <= LONGEST_MS:
        fields.wrong("breaker", f"must be such as {{failures: 5, rest: 1m}}: 1 to {MOST_FAILURES} failures in a row, a rest of 1s to 24h")
        return None
    return {"failures": failures, "rest_ms": rest}
