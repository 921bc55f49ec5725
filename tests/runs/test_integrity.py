"""What was changed in the database afterwards: it reads broken, is said aloud, and is never verified or taken up again."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import QuerySet

from agents.errors import ArtifactRefused
from audit import canonical, reports
from audit.actors import Actor
from audit.models import Entry
from runs import performers, services, store, sweeps
from runs.errors import NotReverifiable
from runs.models import Run
from runs.store import loading
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import orchestra, pathlib, time

def run(go: str = "", **_) -> dict:
    if go and not pathlib.Path(go).exists():
        orchestra.progress("here")
        time.sleep(60)
    return {"n": 1}
"""
TWO = """
- {id: one, agent: worker}
- {id: two, agent: worker, with: {go: =input.go}}
"""


@pytest.fixture(autouse=True)
def published(tmp_path: Path) -> None:
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("worker", "work:run")], steps=TWO)


@pytest.fixture
def verified() -> Run:
    run = pipelines.start(input={"go": ""})
    assert pipelines.drive(run)["outcome"] == "verified"
    run.refresh_from_db()
    return run


def forged(run: Run, **columns: Any) -> None:
    Run.objects.filter(id=run.id).update(**columns)


CHANGES: dict[str, dict[str, Any]] = {
    "the outcome": {"outcome": "degraded"},
    "the result's digest": {"result_digest": "0" * 64},
    "no result": {"result_digest": ""},
    "a later entry": {"seq": 99},
    "an earlier entry": {"seq": 3},
    "the state": {"state": "running", "outcome": None},
    "what it was judged as of": {"as_of": datetime(2020, 1, 1, tzinfo=UTC)},
    "a failure's cause": {"failure_cause": "stale"},
    "whose failure it is": {"failure_owner": "agent:other"},
    "whose team answers": {"failure_team": "other"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_row_changed_afterwards_reads_broken_and_the_sweep_says_so_once(verified: Run, change: dict[str, Any]) -> None:
    forged(verified, **change)
    said = pipelines.document(verified)
    assert (said["label"], said["integrity"], said["exit_status"]) == ("broken", "broken", 16)
    assert sweeps.check_integrity()[1] == 1
    assert sweeps.check_integrity()[1] == 0
    verified.refresh_from_db()
    assert verified.integrity == "broken"
    broken = [entry for entry in reports.entries_of(verified.id) if entry["verb"] == "runs.run.broken"]
    assert len(broken) == 1 and broken[0]["seq"] is None


def test_a_stored_result_changed_afterwards_reads_broken(verified: Run) -> None:
    finish = reports.bodies_at([(verified.id, verified.seq)])[verified.id]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_opening SET value = %s WHERE entry = %s AND path = 'result'", [b'{"n":2}', _key(finish["id"])])
    said = pipelines.document(verified)
    assert (said["label"], said["exit_status"], said["result"]) == ("broken", 16, None)
    assert sweeps.sweep().broken == 1


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite keeps a value of another kind in a column of bytes")
@pytest.mark.parametrize("path", ["result", "input"])
def test_text_put_in_the_place_of_stored_bytes_is_caught_and_stops_nobody_s_look(verified: Run, path: str) -> None:
    entries = f"SELECT id FROM audit_entry WHERE run = '{verified.id.hex}'"
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE audit_opening SET value = '{{\"n\":2}}' WHERE path = %s AND entry IN ({entries})", [path])
        assert cursor.rowcount > 0
    assert pipelines.document(verified)["exit_status"] == 16
    assert sweeps.sweep().broken == (path == "result")


@pytest.mark.parametrize(("verb", "path"), [("runs.step.returned", "result"), ("runs.run.queued", "input"), ("runs.step.started", "input")])
def test_a_value_of_a_run_that_is_another_than_its_entry_committed_to_reads_broken_and_an_erased_one_does_not(
    verified: Run, verb: str, path: str
) -> None:
    entry = next(each["id"] for each in reports.entries_of(verified.id) if each["verb"] == verb)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_opening SET value = %s WHERE entry = %s AND path = %s", [b'{"n":2}', _key(entry), path])
        assert cursor.rowcount == 1
    assert pipelines.document(verified)["exit_status"] == 16
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_opening WHERE entry = %s AND path = %s", [_key(entry), path])
    assert pipelines.document(verified)["exit_status"] == 0


def test_another_verdict_put_in_place_of_the_one_that_ended_the_run_reads_broken(verified: Run) -> None:
    other = pipelines.start(input={"go": "", "other": 1})
    pipelines.drive(other)
    theirs = other.steps.get(judges=True)
    verified.steps.filter(judges=True).update(result_entry=theirs.result_entry, result_digest=theirs.result_digest)
    assert pipelines.document(verified)["exit_status"] == 16


def _key(entry: str) -> str:
    return entry.replace("-", "") if connection.vendor == "sqlite" else entry


def test_broken_stays_broken_when_the_row_is_changed_back(verified: Run) -> None:
    forged(verified, outcome="degraded")
    sweeps.sweep()
    forged(verified, outcome="verified")
    assert pipelines.document(verified)["exit_status"] == 16


def test_a_finished_run_that_was_made_to_live_again_is_not_taken_up_nor_ended_again(verified: Run) -> None:
    seq = verified.seq
    forged(verified, state="running", outcome=None, lease_until=None)
    pipelines.drive(verified)
    verified.refresh_from_db()
    assert (verified.state, verified.integrity, verified.seq) == ("running", "broken", seq)
    assert not services.end_unattended(verified.id, actor=Actor.system("test"))
    assert not Run.objects.ready(verified.created_at).exists()


def test_a_run_that_has_finished_since_its_row_was_read_is_not_called_broken() -> None:
    """A worker that stood still between its claim and its look at the ledger finds the end that another one has written meanwhile."""
    run = pipelines.start(input={"go": ""})
    claimed = store.claim(owner=uuid4(), ttl=timedelta(0), limit=1)
    pipelines.drive(run)
    (loaded,) = store.load_rows(claimed)
    assert loaded.is_broken
    sweeps.mark_broken(loaded.run)
    run.refresh_from_db()
    assert (run.outcome, run.integrity, pipelines.document(run)["outcome"]) == ("verified", "intact", "verified")


def test_a_live_run_is_intact_while_it_is_at_work(tmp_path: Path) -> None:
    run = pipelines.start(input={"go": str(tmp_path / "never")})
    pipelines.crash(run, at="progress")
    assert pipelines.document(run)["integrity"] == "intact"
    assert sweeps.check_integrity() == (1, 0)


# --- changed while the run lives -----------------------------------------------------------------------------------


@pytest.fixture
def half_done(tmp_path: Path) -> Run:
    """Its first step has returned; its worker has died in the second."""
    run = pipelines.start(input={"go": str(tmp_path / "go")})
    pipelines.crash(run, at="progress")
    (tmp_path / "go").touch()
    run.refresh_from_db()
    return run


def assert_tampered(run: Run) -> None:
    said = pipelines.drive(run)
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", "tampered", "platform")
    assert [entry["verb"] for entry in reports.entries_of(run.id)].count("runs.run.finished") == 1
    assert not run.calls.filter(state="dispatched").exists()


def test_a_steps_digest_changed_mid_run_is_tampered_on_resume(half_done: Run) -> None:
    half_done.steps.filter(key="one").update(result_digest="0" * 64)
    assert_tampered(half_done)


def test_a_steps_stored_result_changed_mid_run_is_tampered_on_resume(half_done: Run) -> None:
    entry = half_done.steps.get(key="one").result_entry
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_opening SET value = %s WHERE entry = %s", [b'{"n":2}', _key(str(entry))])
    assert_tampered(half_done)


def test_a_stored_input_changed_mid_run_is_tampered_and_the_account_stays_true(half_done: Run) -> None:
    forged(half_done, spent_nano=7, calls_used=2)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_opening SET value = %s WHERE entry = %s", [b'{"go":""}', _key(str(half_done.input_entry))])
    assert_tampered(half_done)
    half_done.refresh_from_db()
    assert (half_done.spent_nano, half_done.calls_used, half_done.reserved_nano) == (7, 2, 0)


@pytest.mark.parametrize("by", [-1, 5])
def test_a_sequence_that_the_ledger_does_not_have_is_tampered_and_goes_on_gapless(half_done: Run, by: int) -> None:
    forged(half_done, seq=half_done.seq + by)
    assert_tampered(half_done)
    assert reports.chain_problems(half_done.id) == []


def changed_manifest(run: Run, change: str, value: Any) -> None:
    """Behind the model's back, as somebody with a database shell would."""
    release = run.release
    manifest = {**release.manifest, change: value}
    loading.plan_of.cache_clear()
    QuerySet.update(type(release).objects.filter(id=release.id), manifest=manifest)


def test_a_release_whose_manifest_was_changed_is_not_run() -> None:
    run = pipelines.start(input={"go": ""})
    spec = run.release.manifest["pipeline"]
    changed_manifest(run, "pipeline", {**spec, "spec": {**spec["spec"], "criteria": {}, "limits": {"timeout_ms": 1}}})
    assert_tampered(run)


def test_code_that_is_not_what_was_published_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run = pipelines.start(input={"go": ""})

    def changed(digests: Any) -> Any:
        raise ArtifactRefused("the stored folder is not what its digest says")

    monkeypatch.setattr(performers, "unpacked", changed)
    assert_tampered(run)


def test_a_release_made_for_another_engine_is_incompatible(monkeypatch: pytest.MonkeyPatch) -> None:
    run = pipelines.start(input={"go": ""})
    loading.plan_of.cache_clear()
    monkeypatch.setattr("runs.engine.planner.SUPPORTED_ABIS", frozenset({2}))
    said = pipelines.drive(run)
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", "incompatible", "platform")
    loading.plan_of.cache_clear()


def test_a_verifier_that_had_a_part_in_the_work_is_refused_at_run_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    run = pipelines.start(input={"go": ""})
    agents = run.release.manifest["agents"]
    copy = {**agents["judge"], "spec": {**agents["judge"]["spec"], "executable": agents["worker"]["spec"]["executable"]}}
    changed_manifest(run, "agents", {**agents, "judge": copy})
    run.release.refresh_from_db()
    with connection.cursor() as cursor:  # a release that says so itself, with its own digest
        cursor.execute("UPDATE agents_release SET digest = %s WHERE id = %s", [canonical.digest(run.release.manifest), _key(str(run.release_id))])
    said = pipelines.drive(run)
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", "denied", "pipeline:sample")
    assert "(R4)" in said["failure"]["message"]


def test_a_broken_run_is_not_judged_again(verified: Run) -> None:
    forged(verified, outcome="degraded")
    with pytest.raises(NotReverifiable, match="is broken"):
        services.reverify(run=str(verified.id), actor=pipelines.SYSTEM)
    refused = Entry.objects.filter(verb="runs.start.refused").latest("at")
    assert refused.subject == f"run:{verified.id}"
