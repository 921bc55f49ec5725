"""Waits, signals and calls to settle over REST: effect, entry and refusal, for a member, an onlooker, an outsider and nobody."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents import registry
from audit import reports
from runs.models import Call, Run, Wait
from tests import families, pipelines, waiting
from tests.pipelines import SYSTEM
from tests.rest import Caller
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)

NOWHERE = "0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10"


@pytest.fixture
def settler(caller: Caller, bob: User) -> Caller:
    """Bob, another member, who started nothing."""
    registry.add_member("platform", "bob", actor=SYSTEM)
    return Caller.of(bob)


def refusals(run: Run) -> int:
    return [entry["verb"] for entry in reports.entries_of(run.id)].count("runs.answer.refused")


def test_what_runs_wait_for_is_listed_with_who_can_end_it_and_what_silence_means(caller: Caller, tmp_path: Path) -> None:
    run = waiting.for_a_signal(tmp_path / "w")
    (listed,) = caller.get("/waits/").body["items"]
    assert (listed["run"], listed["pipeline"], listed["team"], listed["step"]) == (str(run.id), "sample", "platform", "paid")
    assert (listed["kind"], listed["subject"], listed["call"], listed["on_expiry"]) == ("signal", "payment", None, "fail")
    assert (listed["who"], listed["silence"]) == ("any member of team 'platform'", "the step fails as expired")
    shown = caller.get(f"/waits/{listed['id']}/").body
    assert (shown["state"], shown["takes"]["required"], shown["why_not"]) == ("open", ["amount"], None)
    assert caller.get(f"/runs/{run.id}/").body["waits"] == [{key: value for key, value in listed.items() if key not in ("run", "pipeline", "team")}]


def test_filters_of_waits_add_up(caller: Caller, tmp_path: Path) -> None:
    run = waiting.for_a_signal(tmp_path / "w")

    def found(query: str) -> int:
        return len(caller.get(f"/waits/?{query}").body["items"])

    assert (found("kind=signal"), found("kind=timer"), found("pipeline=sample"), found("pipeline=other")) == (1, 0, 1, 0)
    assert (found(f"run={run.id}&kind=signal"), found(f"run={NOWHERE}")) == (1, 0)


def test_a_signal_brings_the_run_back_and_is_the_persons_who_sent_it(caller: Caller, tmp_path: Path) -> None:
    run = waiting.for_a_signal(tmp_path / "w")
    sent = caller.post(f"/runs/{run.id}/signals/payment/", {"payload": {"amount": 7}})
    assert (sent.status, sent.body["state"], sent.body["answered_by"]) == (200, "answered", "person:alice")
    assert caller.get(f"/runs/{run.id}/").body["state"] == "running"
    assert pipelines.drive(run)["result"] == {"got": {"amount": 7}}
    again = caller.post(f"/runs/{run.id}/signals/payment/", {"payload": {"amount": 8}})
    assert (again.status, again.code) == (409, "already-answered")


@pytest.mark.parametrize(
    ("signal", "body", "status", "code"),
    [
        ("payment", {"payload": {"amount": 0}}, 422, "bad-answer"),
        ("payment", {}, 422, "bad-answer"),
        ("paymnt", {"payload": {"amount": 1}}, 409, "not-waiting"),
        ("payment", {"payload": 1, "more": 2}, 400, "bad-body"),
    ],
)
def test_a_signal_that_is_not_taken_leaves_the_wait_open(caller: Caller, tmp_path: Path, signal: str, body: Any, status: int, code: str) -> None:
    run = waiting.for_a_signal(tmp_path / "w")
    refused = caller.post(f"/runs/{run.id}/signals/{signal}/", body)
    assert (refused.status, refused.code, Wait.objects.get(run=run).state) == (status, code, "open")
    assert refusals(run) == (status != 400)


def test_a_call_is_settled_by_a_member_who_did_not_start_its_run(caller: Caller, settler: Caller, tmp_path: Path) -> None:
    run = waiting.for_a_person(tmp_path / "w")
    Run.objects.filter(id=run.id).update(started_by="person:alice")
    (listed,) = caller.get("/calls/unresolved/").body["items"]
    path = f"/calls/{listed['id']}/"
    assert (listed["agent"], listed["wait"], listed["state"]) == ("payer", str(Wait.objects.get(run=run).id), "unresolved")
    assert "you started run" in caller.get(path).body["why_not"]
    said = {"decision": "done", "result": {"paid": True}, "reason": "The statement lists it."}
    refused = caller.post(f"{path}settle/", said)
    assert (refused.status, refused.code, refusals(run)) == (403, "denied", 1)
    assert settler.get(path).body["takes"]["required"] == ["paid"]
    done = settler.post(f"{path}settle/", said)
    assert (done.status, done.body["state"], done.body["why_not"] is not None) == (200, "resolved_done", True)
    assert pipelines.drive(run)["result"] == {"paid": True}
    assert settler.post(f"{path}settle/", said).code == "already-answered"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"decision": "done", "result": {"paid": 1}, "reason": "x"}, "bad-answer"),
        ({"decision": "not_done", "result": {"paid": True}, "reason": "x"}, "bad-answer"),
        ({"decision": "perhaps", "reason": "x"}, "bad-body"),
        ({"decision": "unknown", "reason": ""}, "bad-body"),
    ],
)
def test_what_can_not_be_said_of_a_call_settles_nothing(settler: Caller, tmp_path: Path, said: Any, code: str) -> None:
    run = waiting.for_a_person(tmp_path / "w")
    assert settler.post(f"/calls/{waiting.call_of(run).id}/settle/", said).code == code
    assert Call.objects.get(run=run).state == "unresolved"


def test_a_call_that_may_still_be_carried_out_is_not_settled(settler: Caller, tmp_path: Path) -> None:
    waiting.publish(tmp_path / "w", "- {id: pay, agent: payer, with: {}}")
    run = waiting.parked()
    refused = settler.post(f"/calls/{waiting.call_of(run).id}/settle/", {"decision": "not_done", "reason": "x"})
    assert (refused.status, refused.code) == (409, "too-early")


def test_of_a_finished_run_the_record_is_put_right(settler: Caller, tmp_path: Path) -> None:
    run = waiting.for_a_person(tmp_path / "w")
    call = waiting.call_of(run)
    settler.post(f"/calls/{call.id}/settle/", {"decision": "unknown", "reason": "Nobody answers there."})
    assert pipelines.drive(run)["failure"]["cause"] == "unresolved"
    (listed,) = settler.get("/calls/unresolved/").body["items"]
    assert (listed["id"], listed["wait"]) == (str(call.id), None)
    found_out = settler.post(f"/calls/{call.id}/settle/", {"decision": "not_done", "reason": "They called back."})
    assert (found_out.body["state"], settler.get("/calls/unresolved/").body["items"]) == ("resolved_not_done", [])


def test_who_only_looks_sees_waits_and_answers_none(caller: Caller, onlooker: Caller, outsider: Caller, tmp_path: Path) -> None:
    waiting.publish(tmp_path / "w", waiting.EITHER)
    run = waiting.parked()
    wait, call = waiting.wait_of(run), waiting.call_of(run)
    assert len(onlooker.get("/waits/").body["items"]) == 2
    assert "not a member" in onlooker.get(f"/waits/{wait.id}/").body["why_not"]
    posts = [(f"/runs/{run.id}/signals/payment/", {"payload": {"amount": 1}}), (f"/calls/{call.id}/settle/", {"decision": "unknown", "reason": "x"})]
    assert [onlooker.post(*each).code for each in posts] == ["denied", "denied"]
    assert [outsider.post(*each).code for each in posts] == ["unknown-run", "unknown-call"]
    assert [Caller().post(*each).code for each in posts] == ["unauthenticated"] * 2
    assert [outsider.get(path).code for path in (f"/waits/{wait.id}/", f"/calls/{call.id}/")] == ["unknown-wait", "unknown-call"]
    assert {each.state for each in Wait.objects.filter(run=run)} == {"open"}


def test_a_wait_that_nobody_answered_reads_expired_before_anybody_wrote_it(caller: Caller, tmp_path: Path) -> None:
    run = waiting.for_a_signal(tmp_path / "w")
    wait = waiting.wait_of(run)
    waiting.expire(run)
    assert (caller.get("/waits/").body["items"], caller.get(f"/waits/{wait.id}/").body["state"]) == ([], "expired")
    said = caller.get(f"/runs/{run.id}/").body
    assert (said["outcome"], said["failure"]["cause"], said["waits"]) == ("failed", "expired", [])


def test_every_document_and_list_says_in_the_same_words_what_a_run_waits_for(caller: Caller, tmp_path: Path) -> None:
    run = waiting.for_a_signal(tmp_path / "w")
    (listed,) = caller.get("/runs/?state=waiting").body["items"]
    assert listed["label"] == caller.get(f"/runs/{run.id}/").body["label"] == "waiting for the signal payment"
    (row,) = typed("runs", "--json").document
    assert row["label"] == listed["label"] and listed["label"] in typed("showrun", run.id).out


def test_a_child_that_waits_says_for_what_in_the_document_of_the_run_above(tmp_path: Path) -> None:
    inner = families.pipeline("inner", waiting.SIGNAL, "- {id: use, agent: user, with: {got: =steps.paid}}")
    families.publish(tmp_path / "sample", inner, steps=("- {id: sub, pipeline: inner, with: {n: 1}}",))
    run = waiting.parked()
    assert [child["label"] for child in pipelines.document(run)["children"]] == ["waiting for the signal payment"]
