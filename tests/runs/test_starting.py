"""Starting: what is refused with everything that is wrong, keys that make two starts one, and runs that judge the past."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from agents import registry
from agents.errors import Retired
from agents.models import Release
from audit import clock, reports
from audit.errors import NotFound, OrchestraError
from audit.models import Entry
from runs.errors import BadInput, IdempotencyConflict
from runs.models import Run
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import datetime
import orchestra

def run(at: str = "", **_) -> dict:
    return {"at": at or str(orchestra.now().isoformat()), "as_of": orchestra.context()["as_of"]}
"""
THEN = datetime(2020, 5, 1, 12, tzinfo=UTC)
FRESH = "freshness: {field: at, max_age: 1h}"


def publish(path: Path, *, more: str = "", role: str = "decide", pipeline: str = "") -> None:
    worker = agent("worker", "work:run", role=role, more=more)
    pipelines.publish(path / "p", functions=WORK, agents=[worker], steps="- {id: work, agent: worker, with: {at: =input.at}}", more=pipeline)


def refused(**options: Any) -> OrchestraError:
    with pytest.raises(OrchestraError) as caught:
        pipelines.start(**options)
    return caught.value


# --- refusals ------------------------------------------------------------------------------------------------------


def test_bad_input_is_refused_with_every_problem_and_the_refusal_is_recorded(tmp_path: Path) -> None:
    publish(tmp_path)
    file = tmp_path / "p" / "pipeline.yaml"
    strict = (
        "input: {type: object, required: [at, a, b], properties: {a: {type: integer}, b: {type: string}, c: {type: boolean}, at: {type: string}}}"
    )
    head = "kind: pipeline\nname: sample\nteam: platform\n"
    file.write_text(file.read_text().replace(f"{head}input: {pipelines.ANY}", head + strict))
    registry.apply_folder(tmp_path / "p", actor=pipelines.SYSTEM, publish=True)
    error = refused(input={"at": "", "a": "x", "c": 3}, as_of=clock.now() + timedelta(hours=1))
    assert isinstance(error, BadInput) and len(error.details["problems"]) == 4
    assert all(word in error.message for word in ("/a:", "/c:", '"b"', "lies in the future"))
    assert not Run.objects.exists()
    entry = Entry.objects.get(verb="runs.start.refused")
    assert (entry.subject, entry.envelope()["facts"], entry.run) == ("pipeline:sample", {"code": "bad-input"}, None)
    assert reports.openings_of([entry.id])[entry.id]["message"] == error.message


@pytest.mark.parametrize("given", [{"n": float("nan")}, {"n": 2**60}, {"n": "\ud800"}])
def test_input_that_is_no_json_is_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    publish(tmp_path)
    assert isinstance(refused(input=given), BadInput)


@pytest.mark.parametrize("name", ["nobody", "", "\u202eevil", "x" * 300, "\udcff", "a\0b"])
def test_an_unknown_pipeline_is_refused_and_recorded(tmp_path: Path, name: str) -> None:
    assert isinstance(refused(name=name), NotFound)
    assert Entry.objects.filter(verb="runs.start.refused").count() == 1


def test_as_of_in_the_future_is_refused(tmp_path: Path) -> None:
    publish(tmp_path)
    assert "lies in the future" in refused(as_of=clock.now() + timedelta(seconds=5)).message


# --- idempotency ---------------------------------------------------------------------------------------------------


def test_the_same_start_under_one_key_is_one_run(tmp_path: Path) -> None:
    publish(tmp_path)
    first = pipelines.start(input={"at": ""}, idempotency_key="monday")
    assert pipelines.start(input={"at": ""}, idempotency_key="monday") == first
    assert pipelines.start(input={"at": ""}, idempotency_key="tuesday") != first
    assert Run.objects.count() == 2


@pytest.mark.parametrize("other", [{"input": {"at": "x"}}, {"as_of": THEN}, {"draft": True}])
def test_another_start_under_the_same_key_is_a_conflict(tmp_path: Path, other: dict[str, Any]) -> None:
    publish(tmp_path)
    pipelines.start(input={"at": ""}, idempotency_key="monday")
    assert isinstance(refused(**({"input": {"at": ""}} | other), idempotency_key="monday"), IdempotencyConflict)
    assert Run.objects.count() == 1


def test_a_start_that_is_repeated_after_a_retirement_gives_the_run_that_it_gave(tmp_path: Path) -> None:
    publish(tmp_path)
    first = pipelines.start(input={"at": ""}, idempotency_key="monday")
    registry.retire("sample", actor=pipelines.SYSTEM, reason="old")
    again = pipelines.start(input={"at": ""}, idempotency_key="monday")
    assert (again, again.found_again) == (first, True)
    assert isinstance(refused(input={"at": ""}, idempotency_key="tuesday"), Retired)


def test_a_repeated_start_of_a_draft_makes_no_release(tmp_path: Path) -> None:
    publish(tmp_path)
    first = pipelines.start(input={"at": ""}, draft=True, idempotency_key="monday")
    file = tmp_path / "p" / "pipeline.yaml"
    file.write_text(file.read_text().replace("timeout: 20s", "timeout: 19s"))
    registry.apply_folder(tmp_path / "p", actor=pipelines.SYSTEM)
    releases = Release.objects.count()
    assert pipelines.start(input={"at": ""}, draft=True, idempotency_key="monday") == first
    assert Release.objects.count() == releases


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb"])
def test_an_odd_key_is_refused(tmp_path: Path, key: str) -> None:
    publish(tmp_path)
    assert isinstance(refused(idempotency_key=key), BadInput)


def test_concurrent_starts_under_one_key_are_one_run(tmp_path: Path) -> None:
    publish(tmp_path)

    def begin(_: int) -> Any:
        try:
            return pipelines.start(input={"at": ""}, idempotency_key="now").id
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        ids = set(threads.map(begin, range(8)))
    assert len(ids) == 1 == Run.objects.count()


# --- drafts and the past -------------------------------------------------------------------------------------------


def test_a_passing_draft_is_unverified(tmp_path: Path) -> None:
    publish(tmp_path)
    said = pipelines.run(draft=True, input={"at": ""})
    assert (said["outcome"], said["exit_status"], said["draft"]) == ("unverified", 15, True)
    assert said["verdict"]["verdict"] == "pass"


def test_a_run_of_the_past_reads_verified_as_of_then_and_its_functions_know_it(tmp_path: Path) -> None:
    publish(tmp_path)
    said = pipelines.run(as_of=THEN, input={"at": ""})
    assert (said["label"], said["exit_status"]) == ("verified as of 2020-05-01T12:00:00Z", 0)
    assert said["result"]["as_of"] == "2020-05-01T12:00:00.000000Z"
    assert said["result"]["at"].startswith("2020-05-01T12:00:00")


@pytest.mark.parametrize(
    ("stamp", "outcome"),
    [
        ("2020-05-01T11:30:00Z", "verified"),
        ("2020-05-01T12:00:30Z", "verified"),
        ("2020-05-01T12:02:00Z", "failed"),
        ("2020-05-01T10:59:00Z", "failed"),
    ],
)
def test_freshness_is_judged_as_of_then_and_what_lies_after_it_is_stale(tmp_path: Path, stamp: str, outcome: str) -> None:
    publish(tmp_path, more=FRESH)
    said = pipelines.run(as_of=THEN, input={"at": stamp})
    assert said["outcome"] == outcome
    assert outcome == "verified" or said["failure"]["cause"] == "stale"


def test_a_stale_result_is_its_readers_failure_with_age_and_bound(tmp_path: Path) -> None:
    publish(tmp_path, more=FRESH)
    said = pipelines.run(input={"at": "2020-05-01T12:00:00Z"})
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("stale", "agent:worker")
    assert "'worker' allows 1 h" in said["failure"]["message"]


@pytest.mark.parametrize(("pipeline", "outcome"), [("", "failed"), ("replayable: true", "verified")])
def test_an_act_refuses_the_past_unless_its_pipeline_may_be_replayed(tmp_path: Path, pipeline: str, outcome: str) -> None:
    publish(tmp_path, role="act", pipeline=pipeline)
    said = pipelines.run(as_of=THEN, input={"at": ""})
    assert said["outcome"] == outcome
    assert outcome == "verified" or (said["failure"]["cause"], said["calls"]) == ("input", 0)
