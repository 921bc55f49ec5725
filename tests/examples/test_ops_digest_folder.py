"""The folder of ops-digest as a whole: its files read cleanly, its contracts hold for what its functions return, its figures can be had."""

import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import anomalies
import auditor
import digest
import feed
import pytest
import worded

from agents import contracts, spec
from agents.children.describe import describe

FUNCTIONS = ("feed:read", "anomalies:find", "digest:write", "lying:write", "worded:bind", "auditor:audit")


@pytest.fixture
def parsed(ops_digest):
    return spec.read({file.name: file.read_bytes() for file in sorted(ops_digest.glob("*.yaml"))})


@pytest.fixture
async def described(ops_digest):
    return (await describe(ops_digest, FUNCTIONS)).functions


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=lambda instant: instant.isoformat()))


def test_the_files_have_no_problem(parsed):
    assert parsed.problems == []
    assert {document.name for document in parsed.pipelines} == {"ops-digest", "ops-digest-lying", "ops-digest-worded"}
    assert {document.spec["run"].get("python") for document in parsed.agents} == {*FUNCTIONS, None}


def test_the_lying_pipeline_differs_in_nothing_but_its_writer(parsed):
    honest, lying, _ = sorted((document.spec for document in parsed.pipelines), key=lambda one: one["name"])
    without = json.loads(json.dumps(lying).replace('"lying-writer"', '"digest-writer"').replace('"ops-digest-lying"', '"ops-digest"'))
    assert {**without, "purpose": None} == {**honest, "purpose": None}


def test_the_worded_pipeline_is_judged_by_the_same_auditor_and_the_same_criteria(parsed):
    honest, _, worded = sorted((document.spec for document in parsed.pipelines), key=lambda one: one["name"])
    assert (worded["criteria"], worded["verify"], worded["input"]) == (honest["criteria"], honest["verify"], honest["input"])


def test_the_auditor_checks_every_judged_criterion(parsed):
    criteria = parsed.pipelines[0].spec["criteria"]
    assert {name for name, rule in criteria.items() if "judged" in rule} == set(auditor.JUDGED)


async def test_what_the_functions_return_fits_the_contracts_of_their_hints(described, shipped):
    reading = feed.read(shipped)
    findings = [anomalies.find(one) for one in reading["series"]]
    claim = digest.write(shipped, reading["as_of"], findings)
    bound = worded.bind(shipped, reading["as_of"], findings, {"headline": claim["headline"], "lines": claim["lines"]})
    assert bound == claim
    returned = {"feed:read": reading, "anomalies:find": findings[0], "digest:write": claim, "lying:write": claim, "worded:bind": bound}
    returned["auditor:audit"] = asdict(auditor.audit(shipped, plain(claim)))
    for name, value in returned.items():
        assert described[name].problems == ()
        assert contracts.schema_problems(described[name].output) == []
        assert contracts.violations(described[name].output, plain(value)) == []
    assert contracts.violations(contracts.VERDICT_SCHEMA, plain(returned["auditor:audit"])) == []


async def test_a_series_of_the_reader_is_what_the_detector_takes(described):
    read, find = described["feed:read"].output, described["anomalies:find"].input
    series = {**read["properties"]["series"]["items"], "$defs": read["$defs"]}
    asked = {**find["properties"]["series"], "$defs": find["$defs"]}
    assert contracts.covers(asked, series) != "no"


def test_the_evaluation_prints_a_table(ops_digest, tmp_path):
    source = ops_digest / "data" / "ec2_cpu_utilization_5f5533.csv"
    (tmp_path / "cpu.csv").write_bytes(source.read_bytes())
    (tmp_path / "anomaly_windows.json").write_text(json.dumps({"cpu.csv": [["2014-02-24 10:17:00.000000", "2014-02-25 02:57:00.000000"]]}))
    done = subprocess.run([sys.executable, ops_digest / "evaluate.py", tmp_path], capture_output=True, text=True, check=True)
    assert [line.split()[:6] for line in done.stdout.splitlines()[1:]] == [[name, "1", "1/1", "1.00", "1/1", "1.00"] for name in ("cpu.csv", "all")]
