"""A run's steps on one time line: nested as their keys are paths, each a bar with the calls that were at work in it.

Pure: a run document and the present instant in, rows with places in percent out. Used by the page of a run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from audit.wording import lasting
from runs.admin.outline import Fold
from runs.models import CallKind, Cause, StepState

UNDO: Final = "undo:"
THINNEST: Final = 0.7
"""Percent: what took no time can still be seen and pointed at."""

OWN: Final = frozenset({CallKind.FUNCTION, CallKind.COMMAND, CallKind.INLINE, CallKind.MODEL})
"""A call of these kinds is the step's own work; what it brings back is the step's output."""

REFUSES: Final = frozenset({Cause.STALE, Cause.CONTRACT})
"""Causes of a step whose own call came back as it should, and what it brought did not pass."""

VERDICTS: Final = frozenset({"pass", "fail", "inconclusive"})

STEPS: Final[tuple[float, ...]] = (*(one * 10**power / 1000 for power in range(4) for one in (1, 2, 5)), 10, 20, 30, 60, 120, 300, 600, 1200, 1800,
                *(hours * 3600 for hours in (1, 2, 4, 6, 12, 24, 48, 96, 240)))  # fmt: skip
"""Seconds between two marks of the axis: round ones only."""

MOST_MARKS: Final = 5
_UNITS: Final = ((3600, 3600, "h"), (60, 60, "min"), (0.01, 1, "s"), (0, 0.001, "ms"))


@dataclass(frozen=True, slots=True)
class Span:
    """A bar: where it begins and how wide it is, in percent of the run; its state gives the colour, the title says it in words."""

    left: float
    width: float
    state: str
    title: str


@dataclass(slots=True)
class Row:
    """A step, or the place of a composite that holds steps (`step` is None)."""

    key: str
    name: str
    depth: int
    step: Mapping[str, Any] | None = None
    bar: Span | None = None
    calls: list[Span] = field(default_factory=list)
    inner: list["Row"] = field(default_factory=list)
    anchor: str = ""
    refused: frozenset[str] = frozenset()
    fold: Fold | None = None

    @property
    def holds(self) -> int:
        """How many it holds, folded ones included."""
        return sum(1 if row.fold is None else row.fold.total for row in self.inner)

    @property
    def undoes(self) -> str:
        """The step that it undoes, where it is a compensation."""
        return self.key.removeprefix(UNDO) if self.key.startswith(UNDO) else ""

    @property
    def state(self) -> str:
        """Its own, or the worst of what it holds."""
        if self.step is not None:
            return str(self.step["state"])
        states = {row.state for row in self.inner}
        return next((word for word in ("failed", "running", "retrying", "waiting", "returned", "cancelled") if word in states), "skipped")

    @property
    def reads(self) -> str:
        """What its colour and sign go by: a verifier that did its work well may have said no."""
        return self.state if self.step is None else said(self.step)


@dataclass(frozen=True, slots=True)
class Timeline:
    rows: Sequence[Row]
    marks: Sequence[tuple[float, str]]
    tick: float
    total: str


class _Scale:
    """Instants as percent of the time from the run's beginning to its end, or to now."""

    def __init__(self, begin: datetime, end: datetime) -> None:
        self.begin, self.seconds = begin, max((end - begin).total_seconds(), 0.001)

    def at(self, instant: datetime) -> float:
        return min(max((instant - self.begin).total_seconds() / self.seconds * 100, 0.0), 100.0)

    def span(self, begin: datetime, end: datetime, state: str, title: str) -> Span:
        left = min(self.at(begin), 100 - THINNEST)
        return Span(round(left, 3), round(max(self.at(end) - left, THINNEST), 3), state, title)


def timeline(document: Mapping[str, Any], now: datetime, folds: Mapping[str, Fold] | None = None) -> Timeline:
    """Rows in the order in which their steps were opened, composites before what they hold; where some are folded, those that failed first."""
    begin = _read(document["started_at"] or document["created_at"]) or now
    end = _read(document["finished_at"]) or now
    scale = _Scale(begin, max(end, begin))
    steps = document["steps"]
    roots: list[Row] = []
    places: dict[str, Row] = {}
    for number, step in enumerate(steps):
        row = _place(step["key"], roots, places)
        row.step, row.anchor = step, f"step-{number}"
        row.refused = refused(step)
        row.bar = _bar(step, scale, now)
        row.calls = [_within(row.bar, _call(call, scale, now, row)) for call in step["calls"]]
    for place, fold in (folds or {}).items():
        _fold(_place(place, roots, places).inner if place else roots, place, fold)
    rows = _flat(_folded(roots))
    for row in reversed(rows):
        row.bar = row.bar or _around(row)
    tick = _tick(scale.seconds)
    width = round(tick / scale.seconds * 100, 3)
    return Timeline(rows, _marks(scale.seconds, tick), width, lasting(scale.seconds))


def said(step: Mapping[str, Any]) -> str:
    """A step's state, or, of one that has judged, its verdict. One whose words were erased has only returned."""
    if sent_back(step):
        return "changes"
    result = step.get("result")
    verdict = result.get("verdict") if step["judges"] and isinstance(result, dict) else None
    return str(verdict) if verdict in VERDICTS and step["state"] == StepState.RETURNED else str(step["state"])


def sent_back(step: Mapping[str, Any]) -> bool:
    """Whether people wanted what was put to them made anew: it came to nothing, and the run went on."""
    return "changes" in ((step.get("failure") or {}).get("details") or {})


def refused(step: Mapping[str, Any]) -> frozenset[str]:
    """Ids of the calls that came back as they should, whose output was not taken: the call is confirmed, and the attempt failed or asked again."""
    failed = step["state"] == "failed" and (step.get("failure") or {}).get("cause") in REFUSES
    came_back = (call for call in step["calls"] if call["kind"] in OWN and call["state"] == "confirmed" and not call["cause"])
    return frozenset(call["id"] for call in came_back if call["attempt"] < step["attempt"] or failed or _repaired(call, step))


def _repaired(call: Mapping[str, Any], step: Mapping[str, Any]) -> bool:
    """A reply of a model that couldn't be taken is followed, within the attempt, by the question for another."""
    later = (other for other in step["calls"] if other["attempt"] == call["attempt"] and other["kind"] == CallKind.MODEL)
    return call["kind"] == CallKind.MODEL and any(other["ordinal"] > call["ordinal"] for other in later)


def _place(key: str, roots: list[Row], places: dict[str, Row]) -> Row:
    """The row of a key, with rows for the composites above it."""
    if key in places:
        return places[key]
    above, _, name = key.rpartition("/")
    siblings = _place(above, roots, places).inner if above else roots
    row = places[key] = Row(key, name, key.count("/"))
    siblings.append(row)
    return row


def _fold(rows: list[Row], place: str, fold: Fold) -> None:
    """What was left out of a place is said at its end."""
    if place:
        rows.sort(key=lambda row: row.state != "failed")
    rows.append(Row(f"{place}/…", "…", place.count("/") + bool(place), fold=fold))


def _folded(rows: Sequence[Row]) -> Sequence[Row]:
    """A place that holds one row only says nothing that its row doesn't: the two are shown as one."""
    for row in rows:
        row.inner = list(_folded(row.inner))
    return [_merged(row) if row.step is None and len(row.inner) == 1 and row.inner[0].fold is None else row for row in rows]


def _merged(row: Row) -> Row:
    only = row.inner[0]
    only.name, only.depth = f"{row.name}/{only.name}", row.depth
    return only


def _flat(rows: Sequence[Row]) -> list[Row]:
    return [one for row in rows for one in (row, *_flat(row.inner))]


def _bar(step: Mapping[str, Any], scale: _Scale, now: datetime) -> Span:
    begin = _read(step["started_at"]) or now
    end = _read(step["finished_at"]) or now
    took = lasting((end - begin).total_seconds())
    again = f", attempt {step['attempt']}" if step["attempt"] > 1 else ""
    word, state = said(step), str(step["state"])
    return scale.span(begin, end, word, f"{step['key']}: {state if word == state else f'says {word}'}, {took}{again}")


def _call(call: Mapping[str, Any], scale: _Scale, now: datetime, row: Row) -> Span:
    begin = _read(call["dispatched_at"]) or now
    end = _read(call["settled_at"]) or now
    took = lasting((end - begin).total_seconds())
    refused, brought = call.get("id") in row.refused, call["kind"] in OWN and row.reads in VERDICTS
    state = "failed" if call["cause"] or refused else row.reads if brought else str(call["state"])
    why = f" ({call['cause']})" if call["cause"] else ""
    became = "came back, its output was refused" if refused else f"{call['state']}{why}"
    return scale.span(begin, end, state, f"{call['kind']} {call['name']}: {became}, {took}, attempt {call['attempt']}")


def _within(bar: Span, call: Span) -> Span:
    """A call is settled a moment before or after its step: drawn, it stays within the step's bar."""
    end = bar.left + bar.width
    left = min(max(call.left, bar.left), end - THINNEST)
    return Span(round(left, 3), round(max(min(call.left + call.width, end) - left, THINNEST), 3), call.state, call.title)


def _around(row: Row) -> Span | None:
    """A composite lasts from the first of what it holds to the last."""
    bars = [inner.bar for inner in row.inner if inner.bar is not None]
    if not bars:
        return None
    left = min(bar.left for bar in bars)
    right = max(bar.left + bar.width for bar in bars)
    return Span(left, round(right - left, 3), "group", f"{row.key}: {row.holds:,} inside")


def _tick(seconds: float) -> float:
    return next((step for step in STEPS if seconds / step <= MOST_MARKS), STEPS[-1])


def _marks(seconds: float, tick: float) -> list[tuple[float, str]]:
    """At most six, none so near to the end that its label would leave the axis."""
    instants = [number * tick for number in range(MOST_MARKS + 1)]
    return [(round(at / seconds * 100, 3), _round_one(at, tick)) for at in instants if at <= seconds * 0.93]


def _round_one(seconds: float, tick: float) -> str:
    """`0`, `5 ms`, `0.05 s`, `20 s`, `3 min`, `1 h`: all marks of one axis in the same unit."""
    size, unit = next((size, unit) for least, size, unit in _UNITS if tick >= least)
    return f"{seconds / size:g} {unit}" if seconds else "0"


def _read(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
