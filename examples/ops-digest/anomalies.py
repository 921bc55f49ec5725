"""The detector: what one series says in numbers, and which windows of it stand out.

Owns the method (README, "How anomalies are found"). Pure and deterministic: built on medians and exact sums, so that somebody else's
implementation gets the same numbers. Knows nothing of where the series came from.
"""

from itertools import accumulate, pairwise
from math import ceil, fsum, log
from statistics import NormalDist, median, median_low

from instants import DAY_US, SECOND_US, parse_stamp, to_text
from rolling import centred_medians, side_medians
from shapes import Anomaly, Finding, Series

MIN_OBSERVATIONS = 24
SEASON_DAYS = 3  # a daily profile from fewer days would be a median of one or two values
FALSE_ALARMS = 0.05  # chance that a series without anomalies has any, per kind
MIN_STRETCHES = 10  # the spread of fewer independent jumps says nothing
MODIFIED_Z = 3.5  # Iglewicz & Hoaglin's cut-off; the threshold is never lower
BANDS_APART = 2 * NormalDist().inv_cdf(0.95)  # the central 90 % of two levels no longer overlap
MAD_TO_SIGMA = 1.4826
MEAN_TO_SIGMA = 1.2533
ROUNDING = 1e-9  # differences below this part are rounding, not data


def find(series: Series) -> Finding:
    """Numbers over the observations (interpolated values left out), and the anomalies among them."""
    stamps, values = stamps_of(series), series["values"]
    filled = set(series["filled"])
    observed = sorted(value for place, value in enumerate(values) if place not in filled)
    threshold, anomalies = None, list[Anomaly]()
    judged = len(observed) >= MIN_OBSERVATIONS
    if judged:
        threshold, anomalies = _anomalies(stamps, values, filled)
    return {
        "name": series["name"],
        "observations": len(observed),
        "mean": fsum(observed) / len(observed),
        "min": observed[0],
        "max": observed[-1],
        "p95": nearest_rank(observed, 95),
        "last": values[-1],
        "oldest": to_text(stamps[0]),
        "newest": to_text(stamps[-1]),
        "judged": judged,
        "threshold": threshold,
        "anomalies": anomalies,
        "repairs": series["repairs"],
    }


def stamps_of(series: Series) -> list[int]:
    """The stamp of each value, microseconds."""
    steps = [stretch["step_us"] for stretch in series["stretches"] for _ in range(stretch["times"])]
    return list(accumulate(steps, initial=parse_stamp(series["start"])))


def nearest_rank(ordered: list[float], percent: int) -> float:
    """The smallest value that at least `percent` of all values do not exceed."""
    return ordered[ceil(percent * len(ordered) / 100) - 1]


def _anomalies(stamps: list[int], values: list[float], filled: set[int]) -> tuple[float, list[Anomaly]]:
    step = median_low(after - before for before, after in pairwise(stamps))
    daily = stamps[-1] - stamps[0] >= SEASON_DAYS * DAY_US and step <= 3_600 * SECOND_US
    window = (2 * DAY_US + step) // (2 * step) if daily else max(8, len(values) // 4)
    trend = centred_medians(values, window // 2)
    above_trend = [value - level for value, level in zip(values, trend, strict=True)]
    season = daily_profile(stamps, above_trend, step) if daily else [0.0] * len(values)
    remainder = [value - usual for value, usual in zip(above_trend, season, strict=True)]
    centre = median(remainder)
    floor = ROUNDING * max(abs(value) for value in values)
    sigma = robust_sigma([value - centre for value in remainder], floor)
    threshold = MODIFIED_Z
    found: list[Anomaly] = []
    if sigma > 0:
        scores = [(value - centre) / sigma for value in remainder]
        threshold = tail_threshold(scores)
        usual = [level + of_day + centre for level, of_day in zip(trend, season, strict=True)]
        found += _excursions(stamps, values, usual, scores, threshold, filled, max(3, window // 24))
    deseasoned = [value - usual for value, usual in zip(values, season, strict=True)]
    found += _shifts(stamps, deseasoned, max(6, window // 4), floor, sigma)
    return threshold, sorted(found, key=lambda one: (one["start"], one["kind"]))


def daily_profile(stamps: list[int], above_trend: list[float], step: int) -> list[float]:
    """Per value the median of all values within half an hour of the same time of day."""
    slots = -(-DAY_US // step)
    reach = slots // 48
    slot_of = [stamp % DAY_US // step for stamp in stamps]
    pools: dict[int, list[float]] = {}
    for slot, value in zip(slot_of, above_trend, strict=True):
        pools.setdefault(slot, []).append(value)
    profile = {slot: median([value for near in range(slot - reach, slot + reach + 1) for value in pools.get(near % slots, ())]) for slot in pools}
    return [profile[slot] for slot in slot_of]


def robust_sigma(deviations: list[float], floor: float) -> float:
    """Standard deviation from the median absolute deviation, or the mean one where more than half are zero; 0 if all are."""
    sizes = [abs(deviation) for deviation in deviations]
    by_median = MAD_TO_SIGMA * median(sizes)
    if by_median > floor:
        return by_median
    by_mean = MEAN_TO_SIGMA * fsum(sizes) / len(sizes)
    return by_mean if by_mean > floor else 0.0


def tail_threshold(scores: list[float]) -> float:
    """The score that a series of this length exceeds by chance with probability FALSE_ALARMS, its tail taken as exponential.

    P(|z| > t) = 0.05 · exp(-(t - q95) / b) beyond the 95 % quantile, b = (q95 - q80) / ln 4; solved for FALSE_ALARMS / n.
    """
    sizes = sorted(abs(score) for score in scores)
    q80, q95 = nearest_rank(sizes, 80), nearest_rank(sizes, 95)
    beyond = log(0.05 * len(sizes) / FALSE_ALARMS)
    return max(MODIFIED_Z, q95 + (q95 - q80) / log(4) * beyond)


def _excursions(
    stamps: list[int], values: list[float], usual: list[float], scores: list[float], threshold: float, filled: set[int], reach: int
) -> list[Anomaly]:
    """Flagged values, those at most `reach` places apart in one window."""
    bound = threshold * (1 + ROUNDING)
    flagged = [place for place, score in enumerate(scores) if abs(score) > bound and place not in filled]
    windows: list[list[int]] = []
    for place in flagged:
        if windows and place - windows[-1][-1] <= reach:
            windows[-1].append(place)
        else:
            windows.append([place])
    found = []
    for window in windows:
        peak = first_largest(window, scores)
        found.append(_anomaly("excursion", stamps, window, peak, value=values[peak], usual=usual[peak], score=scores[peak]))
    return found


def first_largest(places: list[int], sizes: list[float]) -> int:
    """The place with the largest size; of equal ones (rounding aside) the first."""
    best = places[0]
    for place in places[1:]:
        if abs(sizes[place]) > abs(sizes[best]) * (1 + ROUNDING):
            best = place
    return best


def _shifts(stamps: list[int], values: list[float], side: int, floor: float, sigma: float) -> list[Anomaly]:
    """Where the medians of `side` values before and after differ, for this series, and by more than its noise."""
    if len(values) < MIN_STRETCHES * side:
        return []
    before, after = side_medians(values, side)
    jumps = [late - early for early, late in zip(before, after, strict=True)]
    spread = robust_sigma(jumps, floor)
    if spread == 0:
        return []
    quantile = NormalDist().inv_cdf(1 - FALSE_ALARMS * side / (2 * len(values)))
    bound = max(quantile * spread, BANDS_APART * sigma) * (1 + ROUNDING)
    found = []
    for run in _runs(jumps, bound):
        at = first_largest(run, jumps)
        found.append(_anomaly("level shift", stamps, [at + side], at + side, value=after[at], usual=before[at], score=jumps[at] / spread))
    return found


def _runs(jumps: list[float], bound: float) -> list[list[int]]:
    """Consecutive places beyond the bound in the same direction."""
    runs: list[list[int]] = []
    for place, jump in enumerate(jumps):
        if abs(jump) <= bound:
            continue
        if runs and runs[-1][-1] == place - 1 and (jumps[place - 1] > 0) == (jump > 0):
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs


def _anomaly(kind: str, stamps: list[int], window: list[int], at: int, *, value: float, usual: float, score: float) -> Anomaly:
    return {
        "kind": kind,
        "start": to_text(stamps[window[0]]),
        "end": to_text(stamps[window[-1]]),
        "at": to_text(stamps[at]),
        "points": len(window),
        "direction": "up" if score > 0 else "down",
        "value": value,
        "usual": usual,
        "score": abs(score),
    }
