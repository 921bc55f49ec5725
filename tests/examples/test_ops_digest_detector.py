"""The detector of ops-digest: its numbers, and what stands out in series whose anomalies are known because they were planted."""

import math
import statistics

import anomalies
import feed
import pytest
from hypothesis import given
from hypothesis import strategies as st
from repair import as_series, untouched
from rolling import centred_medians, side_medians

MINUTE_US = 60_000_000


def series(values, step_us=5 * MINUTE_US, filled=()):
    stamps = [1_767_571_200_000_000 + place * step_us for place in range(len(values))]
    return as_series("cpu", stamps, [float(value) for value in values], list(filled), untouched())


def daily(days=7, level=50.0):
    """A day's rhythm with a small, fixed wobble: 288 values a day."""
    return [level + 20 * math.sin(2 * math.pi * place / 288) + math.sin(place * 12.9898) for place in range(days * 288)]


def test_the_numbers_are_those_of_the_observations():
    found = anomalies.find(series([4, 1, 3, 2, 10], filled=[2]))
    assert (found["observations"], found["min"], found["max"], found["last"]) == (4, 1, 10, 10)
    assert found["mean"] == 4.25
    assert found["p95"] == 10


def test_too_few_observations_are_said_not_to_be_judged():
    found = anomalies.find(series([1] * 22 + [1_000]))
    assert (found["judged"], found["threshold"], found["anomalies"]) == (False, None, [])


def test_nothing_stands_out_in_a_daily_rhythm():
    assert anomalies.find(series(daily()))["anomalies"] == []


def test_a_value_that_would_be_usual_at_noon_stands_out_at_night():
    values = daily()
    values[4 * 288 + 216] = 65.0  # the trough of the fifth day; the peaks reach 71
    (found,) = anomalies.find(series(values))["anomalies"]
    assert (found["kind"], found["direction"], found["points"], found["value"]) == ("excursion", "up", 1, 65.0)
    assert found["usual"] == pytest.approx(30, abs=2)


def test_flags_close_together_are_one_window_and_distant_ones_are_two():
    values = daily()
    for place in (700, 702, 708, 1_500):
        values[place] += 40
    found = anomalies.find(series(values))["anomalies"]
    assert [one["points"] for one in found] == [3, 1]
    assert found[0]["start"] < found[0]["end"]


def test_a_lasting_change_is_one_level_shift_at_its_place():
    values = [value + (15 if place >= 1_200 else 0) for place, value in enumerate(daily())]
    shifts = [one for one in anomalies.find(series(values))["anomalies"] if one["kind"] == "level shift"]
    (shift,) = shifts
    assert shift["direction"] == "up"
    assert shift["value"] - shift["usual"] == pytest.approx(15, abs=3)
    place = anomalies.stamps_of(series(values))[1_200]
    assert abs(anomalies.parse_stamp(shift["at"]) - place) <= 3_600_000_000


def test_a_constant_series_has_no_anomalies_and_one_spike_in_it_is_found():
    flat = [3.0] * 600
    assert anomalies.find(series(flat))["anomalies"] == []
    flat[300] = 3.1
    assert [one["value"] for one in anomalies.find(series(flat))["anomalies"]] == [3.1]


def test_interpolated_values_are_never_flagged():
    values = daily()
    values[700] += 40
    assert anomalies.find(series(values, filled=[700]))["anomalies"] == []


def test_the_same_series_gives_the_same_findings(shipped):
    (one,) = feed.read(shipped)["series"]
    assert anomalies.find(one) == anomalies.find(one)


def test_the_shipped_series_has_its_one_spike_flagged(shipped):
    (one,) = feed.read(shipped)["series"]
    (found,) = anomalies.find(one)["anomalies"]
    assert (found["at"], found["value"]) == ("2014-02-24T21:57:00.000000Z", 68.092)


def test_five_percent_of_a_series_can_be_wrong_before_the_threshold_moves():
    scores = [0.1 * (place % 20) for place in range(1_000)]
    spoilt = scores[:960] + [1e6] * 40
    assert anomalies.tail_threshold(spoilt) == pytest.approx(anomalies.tail_threshold(scores), rel=0.25)


def test_noise_seldom_raises_a_false_alarm():
    import random

    alarms = 0
    for seed in range(60):
        chance = random.Random(seed)
        alarms += bool(anomalies.find(series([chance.gauss(0, 1) for _ in range(1_000)]))["anomalies"])
    assert alarms <= 12  # two kinds at 5 % each make 6 expected; 12 or fewer with 99 %


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(0, 40))
def test_rolling_medians_are_the_medians_of_their_windows(values, reach):
    reach = min(reach, (len(values) - 1) // 2)
    starts = [min(max(0, place - reach), len(values) - 2 * reach - 1) for place in range(len(values))]
    assert centred_medians(values, reach) == [statistics.median(values[start : start + 2 * reach + 1]) for start in starts]


@given(st.lists(st.integers(-9, 9).map(float), min_size=4, max_size=40), st.integers(1, 2))
def test_side_medians_are_the_medians_before_and_after(values, side):
    before, after = side_medians(values, side)
    places = range(side, len(values) - side + 1)
    assert before == [statistics.median(values[place - side : place]) for place in places]
    assert after == [statistics.median(values[place : place + side]) for place in places]
