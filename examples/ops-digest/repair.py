"""Repairs a series: order, duplicate stamps, gaps up to a limit; counts and names each of them.

Owns what may be repaired and how. Pure: rows in, a Series out. Beyond the limit it raises Malformed and repairs nothing.
"""

from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median_low

from instants import span_text, to_text
from rows import MAX_ROWS, Row
from shapes import Gap, Repairs, Series, Stretch

import orchestra

DEFAULT_GAP_STEPS = 3


@dataclass
class Grid:
    """Stamps and values with the gaps filled, while they are being filled."""

    stamps: list[int]
    values: list[float]
    filled: list[int]
    gaps: list[Gap]


def repair(name: str, rows: list[Row], *, max_gap_us: int | None, until_us: int | None) -> Series:
    """One clean series. Samples after `until_us` are ignored; the limit of a gap is `max_gap_us`, or three median steps."""
    kept = [row for row in rows if until_us is None or row[0] <= until_us]
    if not kept:
        raise orchestra.Missing(f"{name}: no sample up to {to_text(until_us or 0)}; {len(rows)} later ones")
    latest = dict(kept)  # of rows with one stamp the last one in the file counts: a later line corrects an earlier one
    stamps = sorted(latest)
    grid = _fill(name, stamps, [latest[stamp] for stamp in stamps], max_gap_us)
    repairs: Repairs = {
        "reordered": _out_of_order(kept),
        "later": len(rows) - len(kept),
        "duplicates": len(kept) - len(stamps),
        "duplicate_stamps": [to_text(stamp) for stamp in _repeated(kept)],
        "interpolated": len(grid.filled),
        "gaps": grid.gaps,
    }
    return as_series(name, grid.stamps, grid.values, grid.filled, repairs)


def as_series(name: str, stamps: list[int], values: list[float], filled: list[int], repairs: Repairs) -> Series:
    """The compact form: steps of equal length are counted, not repeated."""
    steps = groupby(after - before for before, after in pairwise(stamps))
    stretches = [Stretch(step_us=step, times=sum(1 for _ in group)) for step, group in steps]
    return {"name": name, "start": to_text(stamps[0]), "stretches": stretches, "values": values, "filled": filled, "repairs": repairs}


def untouched() -> Repairs:
    """The record of a series that needed nothing."""
    return {"reordered": 0, "later": 0, "duplicates": 0, "duplicate_stamps": [], "interpolated": 0, "gaps": []}


def _out_of_order(rows: list[Row]) -> int:
    newest, count = rows[0][0], 0
    for stamp, _ in rows:
        count += stamp < newest
        newest = max(newest, stamp)
    return count


def _repeated(rows: list[Row]) -> list[int]:
    seen: set[int] = set()
    again: set[int] = set()
    for stamp, _ in rows:
        (again if stamp in seen else seen).add(stamp)
    return sorted(again)


def _fill(name: str, stamps: list[int], values: list[float], max_gap_us: int | None) -> Grid:
    grid = Grid(stamps[:1], values[:1], [], [])
    if len(stamps) < 2:
        return grid
    step = median_low(after - before for before, after in pairwise(stamps))
    limit = DEFAULT_GAP_STEPS * step if max_gap_us is None else max_gap_us
    for place in range(1, len(stamps)):
        gap = stamps[place] - stamps[place - 1]
        absent = (2 * gap + step) // (2 * step) - 1  # rounded half up: one value is absent from one and a half steps on
        if absent > 0:
            _check_gap(name, stamps[place - 1], gap, limit, len(grid.stamps) + absent)
            _interpolate(grid, stamps[place], values[place], absent)
        grid.stamps.append(stamps[place])
        grid.values.append(values[place])
    return grid


def _check_gap(name: str, after: int, gap: int, limit: int, points: int) -> None:
    if gap > limit:
        raise orchestra.Malformed(
            f"{name}: nothing for {span_text(gap)} after {to_text(after)} (until {to_text(after + gap)}); "
            f"max_gap is {span_text(limit)}. Mend the feed, or allow it with max_gap."
        )
    if points > MAX_ROWS:
        raise orchestra.Malformed(f"{name}: filling the gap after {to_text(after)} would make more than {MAX_ROWS:,} points")


def _interpolate(grid: Grid, stamp: int, value: float, absent: int) -> None:
    first_stamp, first_value = grid.stamps[-1], grid.values[-1]
    grid.gaps.append({"after": to_text(first_stamp), "before": to_text(stamp), "points": absent})
    for step in range(1, absent + 1):
        grid.filled.append(len(grid.stamps))
        grid.stamps.append(first_stamp + (stamp - first_stamp) * step // (absent + 1))
        grid.values.append(first_value + (value - first_value) * step / (absent + 1))
