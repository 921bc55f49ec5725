"""The auditor of ops-digest: independent of the performers, agrees with honest ones, and catches every single lie."""

import ast
import copy
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anomalies
import audit_host
import audit_measure
import auditor
import digest
import feed
import lying
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestra

PERFORMERS = ("feed", "anomalies", "digest", "lying")


def digest_of(path, max_gap="", writer=digest, **more):
    """What the pipeline would deliver, through JSON as between children."""
    reading = json.loads(json.dumps(feed.read(path, max_gap, **more)))
    findings = json.loads(json.dumps([anomalies.find(one) for one in reading["series"]]))
    return json.loads(json.dumps(writer.write(path, reading["as_of"], findings))), reading["evidence"]


def failed(verdict):
    return {check.criterion for check in verdict.checks if check.verdict == "fail"}


def verdicts(verdict):
    return {check.verdict for check in verdict.checks}


def reaches(folder: Path, module: str) -> set[str]:
    """Modules of the folder that `module` imports, at whatever distance and place."""
    found, open_ends = set(), [module]
    while open_ends:
        name = open_ends.pop()
        if name in found or not (folder / f"{name}.py").exists():
            continue
        found.add(name)
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text())):
            if isinstance(node, ast.Import):
                open_ends += [alias.name.split(".")[0] for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                open_ends.append(node.module.split(".")[0])
    return found


def test_the_auditor_shares_no_module_with_the_performers(ops_digest):
    performers = set().union(*(reaches(ops_digest, name) for name in PERFORMERS))
    audit = reaches(ops_digest, "auditor")
    assert {"rows", "repair", "host", "rolling"} <= performers
    assert {"audit_source", "audit_measure", "audit_lines", "audit_host"} <= audit
    assert performers & audit == set()


def test_an_honest_digest_passes_every_criterion_with_what_was_read(shipped):
    claim, _ = digest_of(shipped)
    verdict = auditor.audit(shipped, claim)
    assert verdicts(verdict) == {"pass"}
    assert verdict.summary == "recomputed 47 of 47 numbers from 1 source, read again: all agree"
    assert verdict.as_of == datetime(2014, 2, 28, 14, 22, tzinfo=UTC)
    (source,) = verdict.checks[0].read
    assert source.source == shipped
    assert len(source.digest) == 64


def test_the_planted_liar_is_rejected_with_the_number_it_claimed_and_the_number_in_the_source(shipped):
    claim, _ = digest_of(shipped, writer=lying)
    verdict = auditor.audit(shipped, claim)
    (check,) = [check for check in verdict.checks if check.criterion == "numbers-match-the-feed"]
    assert check.verdict == "fail"
    assert check.claimed == pytest.approx(61.2828)
    assert check.found == 68.092
    assert failed(verdict) == {"numbers-match-the-feed", "sentences-say-what-the-feed-says"}


def test_the_liars_digest_differs_in_one_number_of_the_structure(shipped):
    honest, lied = digest_of(shipped)[0]["series"][0], digest_of(shipped, writer=lying)[0]["series"][0]
    assert {key for key in honest if honest[key] != lied[key]} == {"max"}


def test_a_folder_with_repairs_passes_and_its_order_is_free(csv_of, tmp_path):
    csv_of([1, 2, 9, 2, 6, 7], minutes=[0, 1, 1, 2, 5, 4], name="feed/a.csv")
    csv_of([float(place % 5) for place in range(60)], name="feed/b/c.csv")
    claim, _ = digest_of(str(tmp_path / "feed"))
    claim["series"].reverse()
    assert verdicts(auditor.audit(str(tmp_path / "feed"), claim)) == {"pass"}


def test_a_series_left_out_or_made_up_or_told_twice_is_caught(csv_of, tmp_path):
    csv_of([1, 2, 3], name="feed/a.csv")
    csv_of([1, 2, 3], name="feed/b.csv")
    folder = str(tmp_path / "feed")
    claim, _ = digest_of(folder)
    short, twice = copy.deepcopy(claim), copy.deepcopy(claim)
    del short["series"][1]
    twice["series"].append(twice["series"][0])
    assert "numbers-match-the-feed" in failed(auditor.audit(folder, short))
    assert "numbers-match-the-feed" in failed(auditor.audit(folder, twice))


def test_a_flag_left_out_is_caught(shipped):
    claim, _ = digest_of(shipped)
    claim["series"][0]["anomalies"] = []
    assert "flags-match-the-feed" in failed(auditor.audit(shipped, claim))


@pytest.mark.parametrize("place", range(2))
def test_a_sentence_left_out_is_caught(shipped, place):
    claim, _ = digest_of(shipped)
    del claim["lines"][place]
    assert failed(auditor.audit(shipped, claim)) == {"sentences-say-what-the-feed-says"}


def test_a_sentence_that_the_feed_does_not_explain_is_caught(shipped):
    claim, _ = digest_of(shipped)
    for line in ("ec2_cpu_utilization_5f5533: all 12 disks are fine", "db: mean 3", claim["lines"][1]):
        lied = {**claim, "lines": [*claim["lines"], line]}
        assert failed(auditor.audit(shipped, lied)) == {"sentences-say-what-the-feed-says"}


def test_a_direction_turned_round_in_the_text_is_caught(shipped):
    claim, _ = digest_of(shipped)
    claim["lines"] = [line.replace("excursion up", "excursion down") for line in claim["lines"]]
    assert failed(auditor.audit(shipped, claim)) == {"sentences-say-what-the-feed-says"}


def test_a_digest_made_to_look_fresher_is_caught(shipped):
    claim, _ = digest_of(shipped)
    claim["as_of"] = "2014-02-28T14:27:00.000000Z"
    assert failed(auditor.audit(shipped, claim)) == {"as-of-is-the-newest-observation"}


def test_a_digest_without_any_part_fails_and_does_not_crash_the_auditor(shipped):
    for claim in ({}, {"series": None, "lines": [3], "headline": 7}, {"series": [None, 3, {"name": 1}]}):
        assert "numbers-match-the-feed" in failed(auditor.audit(shipped, claim))


def test_expressions_are_left_to_the_engine_and_unknown_criteria_are_inconclusive(shipped):
    claim, _ = digest_of(shipped)
    criteria = [{"name": "covers", "expression": "true"}, {"name": "is-polite", "judged": "…"}, {"name": "numbers-match-the-feed", "judged": "…"}]
    found = {check.criterion: check.verdict for check in auditor.audit(shipped, claim, criteria=criteria).checks}
    assert found == {"is-polite": "inconclusive", "numbers-match-the-feed": "pass"}


def test_a_source_that_is_gone_gives_no_verdict(tmp_path, csv_of):
    path = csv_of([1, 2, 3])
    claim, _ = digest_of(path)
    Path(path).unlink()
    with pytest.raises(orchestra.Missing):
        auditor.audit(path, claim)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("root:x:hunter2\nmore\n", "line 1: expected the columns timestamp and value, found 1 column"),
        ("timestamp,value\nhunter2,1\n", "line 2: expected a timestamp and a finite number, found 2 columns"),
        ("timestamp,value\n2026-01-05 10:00:00,hunter2\n", "line 2: expected a timestamp and a finite number, found 2 columns"),
        ("timestamp,value\n2026-01-05 10:00:00,1,hunter2\n", "line 2: .*, found 3 columns"),
        ("timestamp,value\n2026-01-05 10:00:00,inf\n", "line 2: expected a timestamp and a finite number"),
    ],
)
def test_the_auditor_quotes_nothing_of_a_file_that_is_no_feed(tmp_path, text, said):
    (tmp_path / "cpu.csv").write_text(text)
    with pytest.raises(orchestra.Malformed, match=said) as caught:
        auditor.audit(str(tmp_path / "cpu.csv"), {})
    assert "hunter2" not in caught.value.message
    assert caught.value.__cause__ is None


def test_the_auditor_too_reads_only_http_and_https():
    with pytest.raises(orchestra.Malformed, match="only http and https"):
        auditor.audit("ftp://metrics.example/cpu.csv", {})


def test_a_source_that_changed_under_the_digest_rejects_it(csv_of):
    path = csv_of([1, 2, 3])
    claim, _ = digest_of(path)
    csv_of([1, 2.5, 3])
    assert "numbers-match-the-feed" in failed(auditor.audit(path, claim))


def test_as_of_a_past_time_both_ignore_what_came_later(shipped, judged_as_of):
    judged_as_of("2014-02-20T00:00:00+00:00")
    claim, _ = digest_of(shipped)
    verdict = auditor.audit(shipped, claim)
    assert verdicts(verdict) == {"pass"}
    assert verdict.as_of == datetime(2014, 2, 19, 23, 57, tzinfo=UTC)


def test_samples_that_came_in_during_the_run_need_not_be_in_the_digest(csv_of):
    now = datetime.now(UTC).replace(microsecond=0)
    path = csv_of([1.0, 2, 3, 4], start=now - timedelta(minutes=3))
    claim, _ = digest_of(csv_of([1.0, 2, 3], name="before/cpu.csv", start=now - timedelta(minutes=3)))
    assert verdicts(auditor.audit(path, {**claim, "feed": path})) == {"pass"}


def test_old_samples_left_out_are_caught(csv_of):
    path = csv_of([1, 2, 3, 4])
    claim, _ = digest_of(csv_of([1, 2, 3], name="before/cpu.csv"))
    assert "as-of-is-the-newest-observation" in failed(auditor.audit(path, {**claim, "feed": path}))


def test_a_url_is_read_again_through_the_boundary(monkeypatch):
    body = "timestamp,value\n" + "".join(f"2026-01-05 10:{minute:02}:00,{minute % 7}\n" for minute in range(40))
    reply = {"status": 200, "body": body, "digest": "ab" * 32, "fetched_at": "2026-01-05T11:00:00.000000Z"}
    monkeypatch.setattr(orchestra, "call", lambda tool, arguments: reply)
    url = "https://metrics.example/cpu.csv?x=1"
    verdict = auditor.audit(url, digest_of(url)[0])
    assert verdicts(verdict) == {"pass"}
    assert verdict.checks[0].read[0].digest == "ab" * 32


# Any series, any number -------------------------------------------------------------------------------------------------------------

SMALL = st.integers(-3, 3).map(float)
WIDE = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3))
SERIES = st.one_of(st.lists(SMALL, min_size=1, max_size=150), st.lists(WIDE, min_size=1, max_size=150))


@st.composite
def feeds(draw):
    """Rows with spikes, duplicates, gaps and disorder: (minute, value)."""
    values = draw(SERIES)
    for place in draw(st.lists(st.integers(0, len(values) - 1), max_size=4)):
        values[place] += draw(st.sampled_from([25.0, -40.0, 1e4]))
    step = draw(st.sampled_from([1, 5, 45]))
    rows = [(place * step, value) for place, value in enumerate(values)]
    absent = draw(st.sets(st.integers(1, max(1, len(rows) - 2)), max_size=3))
    rows = [row for place, row in enumerate(rows) if place not in absent or len(rows) < 6]
    again = draw(st.lists(st.sampled_from(rows), max_size=3))
    moved = draw(st.lists(st.integers(0, len(rows) - 1), max_size=3))
    for place in moved:
        rows.append(rows.pop(place))
    return rows + [(minute, value + 1) for minute, value in again]


def claim_on(csv_of, rows):
    path = csv_of([value for _, value in rows], minutes=[minute for minute, _ in rows])
    return path, digest_of(path, "1d")[0]


ONCE_WRITTEN = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@ONCE_WRITTEN
@given(rows=feeds())
def test_auditor_and_performers_agree_on_any_series(csv_of, rows):
    path, claim = claim_on(csv_of, rows)
    verdict = auditor.audit(path, claim, "1d")
    assert verdicts(verdict) == {"pass"}, [check for check in verdict.checks if check.verdict == "fail"]


def leaves(value, path=()):
    """(path, value) of every number, instant and truth value of a digest."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for key, item in items if key not in ("lines", "headline", "feed") for leaf in leaves(item, (*path, key))]
    return [(path, value)] if value is not None else []


def changed(value, part):
    """Something else of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + max(1, round(100 * part))
    if isinstance(value, float):
        return value + (abs(value) or 1.0) * part
    return value[:-2] + ("1Z" if value[-2] != "1" else "2Z") if value.endswith("Z") else value + "x"


@ONCE_WRITTEN
@given(rows=feeds(), data=st.data())
def test_any_single_changed_value_of_the_structure_is_caught(csv_of, rows, data):
    path, claim = claim_on(csv_of, rows)
    where, value = data.draw(st.sampled_from(leaves(claim)))
    part = data.draw(st.sampled_from([1e-5, -1e-3, 0.1, -1.0, 1e3]))
    at = claim
    for key in where[:-1]:
        at = at[key]
    at[where[-1]] = changed(value, part)
    assert failed(auditor.audit(path, claim, "1d")), where


@ONCE_WRITTEN
@given(rows=feeds(), data=st.data())
def test_any_single_digit_changed_in_the_text_is_caught(csv_of, rows, data):
    path, claim = claim_on(csv_of, rows)
    texts = [claim["headline"], *claim["lines"]]
    digits = [(line, place) for line, text in enumerate(texts) for place, sign in enumerate(text) if sign.isdigit()]
    line, place = data.draw(st.sampled_from(digits))
    other = str((int(texts[line][place]) + data.draw(st.integers(2, 8))) % 10)
    texts[line] = texts[line][:place] + other + texts[line][place + 1 :]
    verdict = auditor.audit(path, {**claim, "headline": texts[0], "lines": texts[1:]}, "1d")
    assert failed(verdict) == {"sentences-say-what-the-feed-says"}


def test_two_weeks_with_a_daily_rhythm_are_judged_alike(csv_of):
    import math

    values = [round(50 + 20 * math.sin(place / 46) + (30 if place in (900, 2_000) else 0) + (place > 3_000) * 25, 3) for place in range(4_032)]
    path = csv_of(values, minutes=[5 * place for place in range(4_032)])
    claim, _ = digest_of(path)
    assert {one["kind"] for one in claim["series"][0]["anomalies"]} == {"excursion", "level shift"}
    assert verdicts(auditor.audit(path, claim)) == {"pass"}


# This machine ------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sampled():
    return digest_of("host", seconds=1)


def test_a_host_digest_is_recomputed_from_samples_that_agree_with_the_kernel(sampled):
    claim, evidence = sampled
    verdict = auditor.audit("host", claim, evidence=evidence)
    assert verdicts(verdict) == {"pass"}, verdict
    assert [source.source for source in verdict.checks[0].read] == ["the kernel's counters", "the reader's samples of the host"]


def test_a_number_of_the_host_digest_that_its_samples_do_not_give_is_caught(sampled):
    claim, evidence = copy.deepcopy(sampled)
    claim["series"][0]["mean"] += 1
    assert "numbers-match-the-feed" in failed(auditor.audit("host", claim, evidence=evidence))


def busier(evidence):
    evidence["samples"][-1]["cpu_busy_s"] += 1_000
    evidence["samples"][-1]["cpu_total_s"] += 1_000


LIES = {
    "cores": lambda evidence: evidence.update(cores=evidence["cores"] + 1),
    "memory": lambda evidence: evidence.update(memory_total=evidence["memory_total"] * 2),
    "more memory available than there is": lambda evidence: evidence["samples"][0].update(memory_available=evidence["memory_total"] + 1),
    "cpu time that the kernel has not counted": busier,
    "cpu time that began lower than it can have": lambda evidence: evidence["samples"][0].update(cpu_busy_s=0.0, cpu_total_s=0.0),
    "load that can't have decayed": lambda evidence: evidence["samples"][-1].update(load_1m=1e30),
    "bytes that the kernel has not counted": lambda evidence: [sample.update(net_sent_bytes=2**60) for sample in evidence["samples"]],
    "a sample from the future": lambda evidence: evidence["samples"][-1].update(at="2999-01-01T00:00:00.000000Z"),
}


@pytest.mark.parametrize("lie", LIES)
def test_samples_that_contradict_the_kernel_are_caught(sampled, lie):
    _, evidence = copy.deepcopy(sampled)
    LIES[lie](evidence)
    assert audit_host.agreement(evidence, audit_host.look()).contradictions


def test_samples_of_another_machine_or_of_long_ago_are_inconclusive(sampled):
    claim, evidence = copy.deepcopy(sampled)
    elsewhere = {**evidence, "boot_at": "2020-01-01T00:00:00.000000Z"}
    assert verdicts(auditor.audit("host", claim, evidence=elsewhere)) == {"inconclusive"}
    for sample in evidence["samples"]:
        sample["at"] = sample["at"].replace("2026", "2025")
    kernel = audit_host.look()
    assert "old" in audit_host.agreement(evidence, kernel).unknowable or kernel.at.year != 2026


def test_without_samples_there_is_no_verdict_on_a_host(sampled):
    with pytest.raises(orchestra.Missing):
        auditor.audit("host", sampled[0])


def test_where_there_is_no_proc_the_same_facts_come_from_psutil():
    if not (audit_host.PROC / "stat").exists():
        pytest.skip("there is no /proc here: psutil is already the only way")
    kernel, other = audit_host.look(), audit_host._psutil()
    assert (kernel.cores, kernel.boot_at) == (other.cores, other.boot_at)
    assert other.memory_total == pytest.approx(kernel.memory_total, rel=0.01)


def test_a_rank_is_the_smallest_value_that_enough_values_do_not_exceed():
    assert [audit_measure.rank([1.0, 2.0, 3.0, 4.0], part) for part in (0.80, 0.95, 0.5, 0.25)] == [4.0, 4.0, 2.0, 1.0]
