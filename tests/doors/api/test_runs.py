"""Runs over REST: started once, watched, read, cancelled, judged again; and what is refused."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import registry
from audit import clock
from audit.models import Entry
from runs import sweeps
from runs.api import watching
from runs.models import Run
from tests import pipelines
from tests.doors import world
from tests.pipelines import SYSTEM
from tests.rest import Caller
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)

START = {"pipeline": "sample", "input": {"number": 3}}


def verbs() -> set[str]:
    return set(Entry.objects.values_list("verb", flat=True))


# --- starting ------------------------------------------------------------------------------------------------------


def test_a_run_is_started_and_shown_as_the_run_document(caller: Caller) -> None:
    started = caller.post("/runs/", START)
    assert (started.status, started.body["state"], started.body["started_by"], started.body["trigger"]) == (201, "queued", "person:alice", "api")
    said = pipelines.drive(Run.objects.get())
    shown = caller.get(started.headers["Location"])
    assert (shown.status, shown.body) == (200, said)
    assert shown.body["outcome"] == "verified"


def test_the_entry_of_a_start_says_who_and_that_it_was_a_token(caller: Caller) -> None:
    caller.post("/runs/", START)
    envelope = Entry.objects.get(verb="runs.run.queued").envelope()
    assert envelope["actor"] == {"kind": "person", "id": "alice", "auth": "token"}
    assert envelope["facts"]["trigger"] == "api"


def test_the_same_key_starts_one_run_however_often_it_is_sent(caller: Caller) -> None:
    first, again = (caller.post("/runs/", START, Idempotency_Key="monday") for _ in range(2))
    assert (first.status, again.status) == (201, 200)
    assert first.body["id"] == again.body["id"] == str(Run.objects.get().id)


def test_a_start_that_is_repeated_gives_its_run_though_the_contract_has_changed_since(caller: Caller, folder: Path) -> None:
    first = caller.post("/runs/", START, Idempotency_Key="monday").body["id"]
    file = folder / "pipeline.yaml"
    file.write_text(file.read_text().replace("maximum: 9", "maximum: 2"))
    registry.apply_folder(folder, actor=SYSTEM, publish=True)
    again = caller.post("/runs/", START, Idempotency_Key="monday")
    assert (again.status, again.body["id"]) == (200, first)
    assert caller.post("/runs/", START, Idempotency_Key="tuesday").code == "bad-input"


@pytest.mark.parametrize("other", [{"input": {"number": 4}}, {"draft": True}, {"as_of": "2020-05-01T12:00:00Z"}])
def test_a_key_that_is_used_for_another_start_is_a_conflict(caller: Caller, other: dict[str, object]) -> None:
    caller.post("/runs/", START, Idempotency_Key="monday")
    refused = caller.post("/runs/", {**START, **other}, Idempotency_Key="monday")
    assert (refused.status, refused.code, Run.objects.count()) == (409, "idempotency-conflict", 1)


@pytest.mark.parametrize("key", ["", "two words", "x" * 201, "é"])
def test_an_odd_key_is_refused(caller: Caller, key: str) -> None:
    refused = caller.post("/runs/", START, Idempotency_Key=key)
    assert (refused.status, refused.code, Run.objects.count()) == (400, "bad-query", 0)


def test_an_input_that_breaks_the_contract_is_refused_with_every_violation_and_recorded(caller: Caller) -> None:
    refused = caller.post("/runs/", {"pipeline": "sample", "input": {"number": 10, "name": 3, "more": 1}})
    assert (refused.status, refused.code, len(refused.body["problems"])) == (422, "bad-input", 3)
    assert "runs.start.refused" in verbs() and not Run.objects.exists()


def test_what_is_judged_cannot_lie_in_the_future(caller: Caller) -> None:
    refused = caller.post("/runs/", {**START, "as_of": clock.to_text(clock.now() + timedelta(hours=1))})
    assert (refused.status, refused.code) == (422, "bad-input")
    assert "lies in the future" in refused.body["detail"]


def test_an_instant_of_any_offset_is_the_same_instant(caller: Caller) -> None:
    assert caller.post("/runs/", {**START, "as_of": "2020-05-01T14:00:00+02:00"}).body["as_of"] == "2020-05-01T12:00:00.000000Z"


def test_a_pipeline_that_is_retired_or_unknown_starts_nothing(caller: Caller) -> None:
    assert caller.post("/runs/", {"pipeline": "sampel"}).code == "unknown-pipeline"
    registry.retire("sample", actor=SYSTEM, reason="superseded")
    assert (caller.post("/runs/", START).code, Run.objects.count()) == ("retired", 0)


def test_a_person_to_whom_the_team_is_shown_sees_its_runs_and_starts_none(caller: Caller, onlooker: Caller) -> None:
    run = caller.post("/runs/", START).body["id"]
    assert onlooker.get(f"/runs/{run}/").status == 200
    for path in ("/runs/", f"/runs/{run}/cancel/", f"/runs/{run}/reverify/"):
        refused = onlooker.post(path, START if path == "/runs/" else None)
        assert (refused.status, refused.code) == (403, "denied")
        assert "not a member" in refused.body["detail"]
    assert Run.objects.get().cancel_requested_at is None


# --- reading -------------------------------------------------------------------------------------------------------


def test_lists_say_how_runs_read_now(caller: Caller) -> None:
    done, waiting, late = (caller.post("/runs/", START).body["id"] for _ in range(3))
    pipelines.drive(Run.objects.get(id=done))
    Run.objects.filter(id=late).update(deadline_at=clock.now() - timedelta(seconds=1))

    def listed(query: str) -> list[str]:
        return [each["id"] for each in caller.get(f"/runs/?{query}").body["items"]]

    assert listed("") == [late, waiting, done]
    assert (listed("state=finished"), listed("state=queued")) == ([late, done], [waiting])
    assert (listed("outcome=failed"), listed("outcome=verified")) == ([late], [done])
    assert (listed("started_by=person:alice&pipeline=sample&limit=1"), listed("pipeline=other")) == ([late], [])
    assert listed("since=2999-01-01T00:00:00Z") == []


def test_lists_say_for_what_a_run_failed_and_whose_that_is(caller: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    world.platform(tmp_path / "failing", function="fail")
    done, late = (caller.post("/runs/", {"pipeline": "sample"}).body["id"] for _ in range(2))
    pipelines.drive(Run.objects.get(id=done))
    Run.objects.filter(id=late).update(deadline_at=clock.now() - timedelta(seconds=1))

    def listed(query: str) -> list[tuple[str, ...]]:
        named = ("id", "failure_cause", "failure_owner", "failure_team")
        return [tuple(each[name] for name in named) for each in caller.get(f"/runs/?{query}").body["items"]]

    failed, overdue = (done, "exception", "agent:worker", "platform"), (late, "deadline", None, None)
    assert listed("") == listed("outcome=failed") == [overdue, failed]
    assert (listed("failure_cause=exception"), listed("failure_cause=deadline"), listed("failure_cause=stale")) == ([failed], [overdue], [])
    assert (listed("failure_cause=exception&outcome=failed"), listed("failure_cause=exception&outcome=verified")) == ([failed], [])
    assert caller.get("/runs/?failure_cause=worse").code == "bad-query"
    (row,) = typed("runs", "--cause", "exception", "--json").document
    assert (row["id"], row["failure_cause"], row["failure_owner"], row["failure_team"]) == failed
    assert "exception, agent worker, team platform" in " ".join(typed("runs", "--cause", "exception").out.split())


def test_a_broken_run_has_no_cause_that_counts(caller: Caller, tmp_path: Path) -> None:
    world.platform(tmp_path / "failing", function="fail")
    run = caller.post("/runs/", {"pipeline": "sample"}).body["id"]
    pipelines.drive(Run.objects.get(id=run))
    Run.objects.filter(id=run).update(result_digest="0" * 64)
    (broken,) = caller.get("/runs/").body["items"]
    assert (broken["label"], broken["failure_cause"], broken["failure_owner"]) == ("broken", None, None)
    assert caller.get("/runs/?failure_cause=exception").body["items"] == []


def test_a_page_of_runs_costs_as_many_queries_however_many_there_are(caller: Caller) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert len(caller.get("/runs/?limit=5").body["items"]) > 1
        return len(captured)

    for _ in range(2):
        caller.post("/runs/", START)
    few = queries()
    for _ in range(8):
        caller.post("/runs/", START)
    assert queries() == few <= 10


def test_a_run_that_contradicts_the_ledger_is_in_no_list_of_verified_ones(caller: Caller) -> None:
    run = caller.post("/runs/", START).body["id"]
    pipelines.drive(Run.objects.get(id=run))
    Run.objects.filter(id=run).update(result_digest="0" * 64)
    assert caller.get("/runs/?outcome=verified").body["items"] == []
    (broken,) = caller.get("/runs/?outcome=broken").body["items"]
    assert (broken["id"], broken["integrity"], broken["label"]) == (run, "broken", "broken")


def test_the_beginning_of_an_id_names_a_run_too(caller: Caller) -> None:
    run = caller.post("/runs/", START).body["id"]
    assert caller.get(f"/runs/{run[:18]}/").body["id"] == run
    assert caller.get("/runs/00000000/").code == "unknown-run"


def test_a_watcher_gets_every_entry_once_in_order_and_learns_that_it_was_the_last(caller: Caller) -> None:
    run = caller.post("/runs/", START).body["id"]
    said = pipelines.drive(Run.objects.get(id=run))
    seen, after, finished = [], 0, False
    while not finished:
        page = caller.get(f"/runs/{run}/events/?after={after}&limit=3").body
        seen += page["items"]
        after, finished = page["last"], page["finished"]
    assert [entry["seq"] for entry in seen] == list(range(1, said["entries"] + 1))
    assert (seen[0]["verb"], seen[-1]["verb"]) == ("runs.run.queued", "runs.run.finished")
    assert all(entry["intact"] for entry in seen)


def test_a_watcher_of_an_overdue_run_goes_on_until_its_end_is_written(caller: Caller) -> None:
    run = caller.post("/runs/", START).body["id"]
    Run.objects.filter(id=run).update(deadline_at=clock.now() - timedelta(seconds=1))
    before = caller.get(f"/runs/{run}/events/").body
    assert (before["last"], before["finished"], caller.get(f"/runs/{run}/").body["outcome"]) == (1, False, "failed")
    sweeps.end_overdue()
    after = caller.get(f"/runs/{run}/events/?after=1").body
    assert ([entry["verb"] for entry in after["items"]], after["finished"]) == (["runs.run.finished"], True)


def test_a_watcher_who_waits_is_answered_when_there_is_nothing_either(caller: Caller) -> None:
    run = caller.post("/runs/", START).body["id"]
    page = caller.get(f"/runs/{run}/events/?after=1&wait=1").body
    assert page == {"items": [], "last": 1, "finished": False, "retry_after": 0}


def test_a_watcher_for_whom_there_is_no_place_to_wait_is_told_when_to_ask_again(caller: Caller) -> None:
    path = f"/runs/{caller.post('/runs/', START).body['id']}/events/?after=1"
    with watching._seats.one_for("person:alice"), watching._seats.one_for("person:alice"):
        assert caller.get(f"{path}&wait=20").body["retry_after"] == watching.RETRY_AFTER_S
        assert caller.get(path).body["retry_after"] == 0
    assert caller.get(f"{path}&wait=1").body["retry_after"] == 0


def test_one_person_takes_not_all_places_to_wait_and_each_is_free_again_at_the_end() -> None:
    seats = watching.Seats(most=3, of_one=2)
    for _ in range(2):
        with seats.one_for("alice") as first, seats.one_for("alice") as second, seats.one_for("alice") as third:
            assert (first, second, third) == (True, True, False)
            with seats.one_for("bob") as other, seats.one_for("charlie") as beyond:
                assert (other, beyond) == (True, False)


# --- ending and judging --------------------------------------------------------------------------------------------


def test_a_run_is_cancelled_once_and_finished_is_final(caller: Caller) -> None:
    run = caller.post("/runs/", START).body["id"]
    ended = caller.post(f"/runs/{run}/cancel/")
    assert (ended.status, ended.body["outcome"], ended.body["cancelled_by"]) == (200, "cancelled", "person:alice")
    again = caller.post(f"/runs/{run}/cancel/")
    assert (again.status, again.code) == (409, "already-finished")


def test_a_result_is_judged_again_in_a_run_of_its_own(caller: Caller, tmp_path: Path) -> None:
    run = caller.post("/runs/", START).body["id"]
    assert caller.post(f"/runs/{run}/reverify/").code == "not-reverifiable"
    pipelines.drive(Run.objects.get(id=run))
    newer = caller.post(f"/runs/{run}/reverify/")
    assert (newer.status, newer.body["reverifies"], newer.body["trigger"]) == (201, run, "reverify")
    pipelines.drive(Run.objects.get(id=newer.body["id"]))
    assert [each["run"] for each in caller.get(f"/runs/{run}/").body["reverified_by"]] == [newer.body["id"]]


def test_whoever_belongs_nowhere_finds_no_run(caller: Caller, outsider: Caller, charlie: User) -> None:
    run = caller.post("/runs/", START).body["id"]
    assert outsider.get("/runs/").body == {"items": [], "next": None}
    for answer in (outsider.get(f"/runs/{run}/"), outsider.get(f"/runs/{run}/events/"), outsider.post(f"/runs/{run}/cancel/")):
        assert (answer.status, answer.code) == (404, "unknown-run")
    assert outsider.post("/runs/", START).code == "unknown-pipeline"
