"""The reader of ops-digest: what it takes, what it repairs and counts, what it refuses and how it says so."""

import json
from pathlib import Path

import feed
import host
import pytest
from anomalies import stamps_of
from instants import parse_duration, parse_stamp, span_text, to_text

import orchestra


def read_text(tmp_path: Path, text: str | bytes, **more: str) -> feed.Reading:
    path = tmp_path / "cpu.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return feed.read(str(path), **more)


def only(reading: feed.Reading) -> feed.Series:
    (series,) = reading["series"]
    return series


def test_a_series_of_two_weeks_is_read_compactly(shipped):
    reading = feed.read(shipped)
    assert reading["as_of"] == "2014-02-28T14:22:00.000000Z"
    assert reading["names"] == ["ec2_cpu_utilization_5f5533"]
    assert only(reading)["stretches"] == [{"step_us": 300_000_000, "times": 4_031}]
    assert len(only(reading)["values"]) == 4_032
    assert json.loads(json.dumps(reading, allow_nan=False)) == reading
    assert len(json.dumps(reading)) < 64_000


def test_a_stamp_without_an_offset_is_utc_and_one_with_an_offset_is_converted(tmp_path):
    reading = read_text(tmp_path, "timestamp,value\n2026-01-05 10:00:00,1\n2026-01-05T12:01:00+02:00,2\n2026-01-05T10:02:00Z,3\n")
    assert [to_text(stamp)[11:16] for stamp in stamps_of(only(reading))] == ["10:00", "10:01", "10:02"]


def test_byte_order_marks_quotes_and_windows_line_ends_are_read(tmp_path):
    reading = read_text(tmp_path, b'\xef\xbb\xbftimestamp,value\r\n"2026-01-05 10:00:00","1.5"\r\n2026-01-05 10:01:00,2\r\n')
    assert only(reading)["values"] == [1.5, 2.0]


def test_rows_out_of_order_are_sorted_and_counted(csv_of):
    series = only(feed.read(csv_of([3, 1, 2], minutes=[2, 0, 1])))
    assert series["values"] == [1, 2, 3]
    assert series["repairs"]["reordered"] == 2


def test_of_rows_with_one_stamp_the_last_counts_and_the_stamp_is_named(csv_of):
    series = only(feed.read(csv_of([1, 2, 7, 8, 3], minutes=[0, 1, 1, 1, 2])))
    assert series["values"] == [1, 8, 3]
    assert series["repairs"]["duplicates"] == 2
    assert series["repairs"]["duplicate_stamps"] == ["2026-01-05T00:01:00.000000Z"]


def test_a_gap_of_up_to_three_steps_is_interpolated_counted_and_named(csv_of):
    series = only(feed.read(csv_of([0, 1, 4, 5], minutes=[0, 1, 4, 5])))
    assert series["values"] == [0, 1, 2, 3, 4, 5]
    assert series["filled"] == [2, 3]
    assert series["repairs"]["interpolated"] == 2
    assert series["repairs"]["gaps"] == [{"after": "2026-01-05T00:01:00.000000Z", "before": "2026-01-05T00:04:00.000000Z", "points": 2}]


def test_a_longer_gap_breaks_the_contract_and_is_named_with_place_size_and_limit(csv_of):
    with pytest.raises(orchestra.Malformed, match=r"cpu: nothing for 4 min after 2026-01-05T00:02.*max_gap is 3 min") as caught:
        feed.read(csv_of([0, 1, 2, 3, 4], minutes=[0, 1, 2, 6, 7]))
    assert caught.value.cause == "contract"


def test_max_gap_moves_the_limit_both_ways(csv_of):
    path = csv_of([0, 1, 4, 5], minutes=[0, 1, 4, 5])
    assert only(feed.read(path, "3m"))["filled"] == [2, 3]
    with pytest.raises(orchestra.Malformed, match="max_gap is 150 s"):
        feed.read(path, "150s")


def test_the_gap_in_the_labelled_latency_series_needs_max_gap(csv_of):
    minutes = [*range(0, 100, 5), *range(160, 260, 5)]
    path = csv_of([1.0] * len(minutes), minutes=minutes)
    with pytest.raises(orchestra.Malformed, match="max_gap is 15 min"):
        feed.read(path)
    assert only(feed.read(path, "2h"))["repairs"]["interpolated"] == 12


def test_filling_can_not_be_made_to_exhaust_memory(csv_of):
    with pytest.raises(orchestra.Malformed, match="more than 50,000 points"):
        feed.read(csv_of([1, 2, 3, 4], minutes=[0, 1, 2, 1_000_000]), "999d")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("2026-01-05 10:01:00,abc", "'abc' is not a finite number"),
        ("2026-01-05 10:01:00,nan", "'nan' is not a finite number"),
        ("2026-01-05 10:01:00,-inf", "'-inf' is not a finite number"),
        ("2026-01-05 10:01:00,1_000", "'1_000' is not a finite number"),
        ("2026-01-05 10:01:00,1e999", "is beyond"),
        ("2026-01-05 10:01:00,", "'' is not a finite number"),
        ("2026-13-05 10:01:00,1", "is not a timestamp"),
        ("2026-01-05,1", "is not a timestamp"),
        ("0001-01-05 10:01:00,1", "is not a timestamp"),
        ("yesterday,1", "is not a timestamp"),
        ("2026-01-05 10:01:00", "1 columns, expected 2"),
        ("2026-01-05 10:01:00,1,2", "3 columns, expected 2"),
        ("", "0 columns, expected 2"),
        ('"2026-01-05 10:01:00\n",1', "quoted field goes on"),
        ('"2026-01-05 10:01:00"x,1', "not CSV"),
    ],
)
def test_a_malformed_row_is_refused_with_file_and_line(tmp_path, line, complaint):
    with pytest.raises(orchestra.Malformed, match=rf"cpu\.csv, line 3: .*{complaint}"):
        read_text(tmp_path, f"timestamp,value\n2026-01-05 10:00:00,1\n{line}\n2026-01-05 10:02:00,1\n")


@pytest.mark.parametrize(("header", "found"), [("time,cpu", "2 with other names"), ("root:x:hunter2", "found 1"), ("a,hunter2,c", "found 3")])
def test_wrong_columns_are_refused_with_what_was_expected_and_not_quoted(tmp_path, header, found):
    with pytest.raises(orchestra.Malformed, match=rf"cpu\.csv, line 1: expected the 2 columns timestamp,value; {found}") as caught:
        read_text(tmp_path, f"{header}\n2026-01-05 10:00:00,1\n")
    assert "hunter2" not in caught.value.message
    assert "cpu;" not in caught.value.message


@pytest.mark.parametrize("line", ["2026-01-05 10:01:00,{}", "{},1", "2026-01-05 10:01:00,1,{}"])
def test_of_a_row_that_is_none_at_most_a_short_piece_is_quoted_and_said_to_be_cut(tmp_path, line):
    with pytest.raises(orchestra.Malformed) as caught:
        read_text(tmp_path, "timestamp,value\n" + line.format("secret" * 20) + "\n")
    assert caught.value.message.count("secret") <= 4
    assert ("cut, 120 characters" in caught.value.message) == ("secret" in caught.value.message)


@pytest.mark.parametrize("address", ["ftp://metrics.example/cpu.csv", "s3://bucket/cpu.csv", "FILE:///etc/hosts"])
def test_an_address_of_another_scheme_is_refused_with_those_that_are_read(address):
    with pytest.raises(orchestra.Malformed, match="only http and https"):
        feed.read(address)


def test_bytes_that_are_no_text_are_refused_with_their_line(tmp_path):
    with pytest.raises(orchestra.Malformed, match=r"cpu\.csv, line 2: not UTF-8 \(byte 0xff\)"):
        read_text(tmp_path, b"timestamp,value\n\xff\xfe\n")


@pytest.mark.parametrize("text", ["", "timestamp,value", "timestamp,value\n"])
def test_an_empty_file_is_missing(tmp_path, text):
    with pytest.raises(orchestra.Missing, match=r"cpu\.csv is empty"):
        read_text(tmp_path, text)


def test_a_file_that_is_not_there_and_a_folder_without_series_are_missing(tmp_path):
    with pytest.raises(orchestra.Missing, match="does not exist"):
        feed.read(str(tmp_path / "none.csv"))
    with pytest.raises(orchestra.Missing, match=r"holds no \.csv file"):
        feed.read(str(tmp_path))


def test_a_folder_is_as_fresh_as_its_oldest_series(csv_of, tmp_path):
    csv_of([1, 2, 3], name="feed/cpu.csv")
    csv_of([1, 2], name="feed/rack/disk.csv")
    reading = feed.read(str(tmp_path / "feed"))
    assert reading["names"] == ["cpu", "rack/disk"]
    assert reading["as_of"] == "2026-01-05T00:01:00.000000Z"


def test_samples_after_the_judged_time_are_ignored_and_counted(csv_of, judged_as_of):
    judged_as_of("2026-01-05T00:01:30+00:00")
    series = only(feed.read(csv_of([1, 2, 3, 4])))
    assert series["values"] == [1, 2]
    assert series["repairs"]["later"] == 2


def test_a_feed_that_began_after_the_judged_time_is_missing(csv_of, judged_as_of):
    judged_as_of("2025-01-05T00:00:00+00:00")
    with pytest.raises(orchestra.Missing, match="no sample up to 2025"):
        feed.read(csv_of([1, 2, 3]))


def test_a_url_is_read_through_the_boundary(monkeypatch):
    asked = []

    def answer(tool, arguments):
        asked.append((tool, arguments))
        return {"status": 200, "body": "timestamp,value\n2026-01-05 10:00:00,1\n"}

    monkeypatch.setattr(orchestra, "call", answer)
    reading = feed.read("https://metrics.example/v1/cpu.csv?last=1d")
    assert asked == [("fetch", {"url": "https://metrics.example/v1/cpu.csv?last=1d"})]
    assert reading["names"] == ["cpu"]


def test_a_url_without_the_page_is_missing(monkeypatch):
    monkeypatch.setattr(orchestra, "call", lambda tool, arguments: {"status": 404, "body": "no"})
    with pytest.raises(orchestra.Missing, match="answered 404"):
        feed.read("http://metrics.example/cpu.csv")


def test_a_file_beyond_the_cap_is_refused_before_it_is_read(tmp_path):
    with pytest.raises(orchestra.Malformed, match="at most 5,242,880"):
        read_text(tmp_path, b"x" * (5 * 1024 * 1024 + 1))


@pytest.mark.parametrize(
    ("text", "us"), [("90s", 90_000_000), ("500ms", 500_000), ("15m", 900_000_000), ("2h", 7_200_000_000), ("1d", 86_400_000_000)]
)
def test_durations_are_read(text, us):
    assert parse_duration(text) == us


@pytest.mark.parametrize("text", ["2", "h", "-2h", "1.5h", "2 h", "٢h"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


def test_spans_are_said_in_the_largest_whole_unit():
    assert [span_text(us) for us in (86_400_000_000, 3_840_000_000, 250_000)] == ["1 d", "64 min", "0.25 s"]


def test_stamps_survive_the_way_to_text_and_back():
    assert parse_stamp(to_text(parse_stamp("2014-02-28 14:25:00.000001"))) == parse_stamp("2014-02-28T14:25:00.000001Z")


def test_the_host_is_sampled_now_with_its_raw_counters_as_evidence():
    reading = feed.read("host", seconds=1)
    assert {"cpu_percent", "load_1m", "memory_used_percent"} <= set(reading["names"])
    assert reading["evidence"]["cores"] >= 1
    assert [len(one["values"]) for one in reading["series"]] == [5] * len(reading["names"])
    assert reading["as_of"] == reading["evidence"]["samples"][-1]["at"]


def test_the_host_can_not_be_sampled_in_the_past(judged_as_of):
    judged_as_of("2026-01-05T00:00:00+00:00")
    with pytest.raises(orchestra.Missing, match="past"):
        feed.read("host")


@pytest.mark.parametrize("seconds", [0.5, 61])
def test_the_host_is_sampled_for_a_bounded_time(seconds):
    with pytest.raises(ValueError, match="1 to 60 s"):
        host.read(seconds)
