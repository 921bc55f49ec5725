"""The auditor's own detector and statistics: the README's formulas, each computed straight from its definition.

Where the performers keep a sorted window this sorts every window anew. Returns what an honest digest holds, as plain values.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from audit_source import Track, usual_step

DAY = timedelta(days=1)
TIE = 1 + 1e-9

Numbers = list[float]


def expected(track: Track) -> dict[str, Any]:
    """One series of the digest, recomputed."""
    seen = sorted(value for value, observed in zip(track.values, track.observed, strict=True) if observed)
    judged = len(seen) >= 24
    threshold, anomalies = judge(track) if judged else (None, [])
    return {
        "name": track.name,
        "observations": len(seen),
        "mean": statistics.fmean(seen),
        "min": min(seen),
        "max": max(seen),
        "p95": rank(seen, 0.95),
        "last": track.values[-1],
        "oldest": text(track.stamps[0]),
        "newest": text(track.stamps[-1]),
        "judged": judged,
        "threshold": threshold,
        "anomalies": anomalies,
        "repairs": repairs(track),
    }


def repairs(track: Track) -> dict[str, Any]:
    """What had to be mended, as the digest should name it."""
    return {
        "reordered": track.reordered,
        "later": track.later,
        "duplicates": track.duplicates,
        "duplicate_stamps": [text(stamp) for stamp in track.duplicate_stamps],
        "interpolated": sum(filling.points for filling in track.fillings),
        "gaps": [{"after": text(one.after), "before": text(one.before), "points": one.points} for one in track.fillings],
    }


def text(stamp: datetime) -> str:
    """The form in which a digest writes an instant."""
    return f"{stamp.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def rank(ordered: Numbers, part: float) -> float:
    """Nearest rank: the smallest value with at least this part of all at or below it."""
    hundredths = round(part * 100)
    return next(value for place, value in enumerate(ordered, start=1) if 100 * place >= hundredths * len(ordered))


def judge(track: Track) -> tuple[float, list[dict[str, Any]]]:
    """Threshold and anomalies, by the README's steps 1 to 6."""
    values = track.values
    step = usual_step(track.stamps)
    daily = track.stamps[-1] - track.stamps[0] >= 3 * DAY and step <= timedelta(hours=1)
    window = math.floor(DAY / step + 0.5) if daily else max(8, len(values) // 4)
    trend = [statistics.median(around(values, place, window // 2)) for place in range(len(values))]
    above = _minus(values, trend)
    season = profile(track.stamps, above, step) if daily else [0.0] * len(values)
    rest = _minus(above, season)
    centre = statistics.median(rest)
    floor = 1e-9 * max(map(abs, values))
    noise = spread((value - centre for value in rest), floor)
    threshold, found = 3.5, []
    if noise:
        scores = [(value - centre) / noise for value in rest]
        threshold = limit(scores)
        for run in flagged_runs(track, scores, threshold, max(3, window // 24)):
            at = top(run, scores)
            usual = trend[at] + season[at] + centre
            found.append(_described("excursion", track.stamps, run, at, values[at], usual, scores[at]))
    found += shifts(track.stamps, _minus(values, season), max(6, window // 4), floor, noise)
    return threshold, sorted(found, key=lambda one: (one["start"], one["kind"]))


def around(values: Numbers, place: int, reach: int) -> Numbers:
    """The whole window that is centred on a place, or, near an end, the one that comes closest to it."""
    reach = min(reach, (len(values) - 1) // 2)
    first = min(max(0, place - reach), len(values) - 2 * reach - 1)
    return values[first : first + 2 * reach + 1]


def profile(stamps: list[datetime], above: Numbers, step: timedelta) -> Numbers:
    """The median of everything within half an hour of the time of day, over all days."""
    slots = math.ceil(DAY / step)
    slot_of = [timedelta(hours=s.hour, minutes=s.minute, seconds=s.second, microseconds=s.microsecond) // step for s in stamps]
    at_slot: dict[int, Numbers] = defaultdict(list)
    for slot, value in zip(slot_of, above, strict=True):
        for near in range(-(slots // 48), slots // 48 + 1):
            at_slot[(slot + near) % slots].append(value)
    usual = {slot: statistics.median(at_slot[slot]) for slot in set(slot_of)}
    return [usual[slot] for slot in slot_of]


def spread(deviations: Iterable[float], floor: float) -> float:
    """Robust standard deviation; the mean absolute deviation stands in where the median one vanishes."""
    sizes = [abs(one) for one in deviations]
    for estimate in (1.4826 * statistics.median(sizes), 1.2533 * math.fsum(sizes) / len(sizes)):
        if estimate > floor:
            return estimate
    return 0.0


def limit(scores: Numbers) -> float:
    """Exponential tail through the 80 % and 95 % quantiles, at a chance of 5 % in the whole series."""
    sizes = sorted(map(abs, scores))
    low, high = rank(sizes, 0.80), rank(sizes, 0.95)
    return max(3.5, high + (high - low) / math.log(0.20 / 0.05) * math.log(len(sizes)))


def flagged_runs(track: Track, scores: Numbers, threshold: float, reach: int) -> list[list[int]]:
    """Places beyond the threshold that are in the feed, grouped where they lie close together."""
    runs: list[list[int]] = [[]]
    for place, (score, observed) in enumerate(zip(scores, track.observed, strict=True)):
        if observed and abs(score) > threshold * TIE:
            if runs[-1] and place - runs[-1][-1] > reach:
                runs.append([])
            runs[-1].append(place)
    return [run for run in runs if run]


def shifts(stamps: list[datetime], values: Numbers, side: int, floor: float, noise: float) -> list[dict[str, Any]]:
    """Changes of level that last at least `side` values, by the README's step 6."""
    if len(values) < 10 * side:
        return []
    levels = [statistics.median(values[place : place + side]) for place in range(len(values) - side + 1)]
    jumps = _minus(levels[side:], levels[:-side])
    typical = spread(jumps, floor)
    if not typical:
        return []
    chance = 0.05 / (len(values) / side)
    beyond = TIE * max(-statistics.NormalDist().inv_cdf(chance / 2) * typical, -2 * statistics.NormalDist().inv_cdf(0.05) * noise)
    found = []
    for sign in (1, -1):
        for run in _stretches([sign * jump > beyond for jump in jumps]):
            at = top(run, jumps)
            found.append(_described("level shift", stamps, [at + side], at + side, levels[at + side], levels[at], jumps[at] / typical))
    return found


def top(places: list[int], sizes: Numbers) -> int:
    """Where the size is largest; the first of equal ones."""
    best = places[0]
    for place in places:
        best = place if abs(sizes[place]) > TIE * abs(sizes[best]) else best
    return best


def _stretches(marks: list[bool]) -> list[list[int]]:
    runs: list[list[int]] = []
    for place, mark in enumerate(marks):
        if mark and place and marks[place - 1]:
            runs[-1].append(place)
        elif mark:
            runs.append([place])
    return runs


def _minus(left: Numbers, right: Numbers) -> Numbers:
    return [one - other for one, other in zip(left, right, strict=True)]


def _described(kind: str, stamps: list[datetime], run: list[int], at: int, value: float, usual: float, score: float) -> dict[str, Any]:
    return {
        "kind": kind, "start": text(stamps[run[0]]), "end": text(stamps[run[-1]]), "at": text(stamps[at]), "points": len(run),
        "direction": "up" if score > 0 else "down", "value": value, "usual": usual, "score": abs(score),
    }  # fmt: skip
