"""Stops over REST: one call that asks for the reason, the proof, the lifting; who may, and who is told."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User

from agents import registry
from audit import reports
from runs.models import Call, Run, Wait
from runs.services.quiescence import calls_under
from tests import pipelines
from tests.pipelines import SYSTEM, agent
from tests.rest import Caller

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import orchestra, time

def work(hang: bool = False) -> dict:
    if hang:
        orchestra.progress("here")
        time.sleep(60)
    return {}
"""
STEPS = "- {id: one, agent: worker}\n- {id: two, agent: worker, with: {hang: =input.hang}}"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("worker", "work:work")], steps=STEPS)
    return tmp_path


@pytest.fixture
def run(published: Path) -> Run:
    """A worker that was at its second step has died."""
    run = pipelines.start(input={"hang": True})
    pipelines.crash(run, at="progress")
    return run


def test_a_stop_is_one_call_that_asks_for_the_reason_and_its_lifting_another(caller: Caller, published: Path) -> None:
    assert caller.post("/stops/", {"scope": "pipeline", "name": "sample"}).code == "bad-body"
    made = caller.post("/stops/", {"scope": "pipeline", "name": "sample", "reason": "its source is wrong"})
    assert (made.status, made.headers["Location"]) == (201, f"/api/v1/stops/{made.body['id']}/")
    assert (made.body["what"], made.body["reason"], made.body["stopped_by"]) == ("pipeline 'sample'", "its source is wrong", "person:alice")
    assert [each["id"] for each in caller.get("/stops/").body["items"]] == [made.body["id"]]
    refused = caller.post("/runs/", {"pipeline": "sample", "input": {"hang": False}})
    assert (refused.status, refused.code) == (409, "stopped")
    assert '"its source is wrong"' in refused.body["detail"] and "manage.py resume pipeline sample" in refused.body["detail"]
    assert caller.post("/stops/", {"scope": "pipeline", "name": "sample", "reason": "again"}).code == "conflict"
    lifted = caller.post(f"/stops/{made.body['id']}/lift/")
    assert (lifted.status, lifted.body["lifted_by"]) == (200, "person:alice")
    assert caller.post(f"/stops/{made.body['id']}/lift/").code == "conflict"
    assert (caller.get("/stops/").body["items"], len(caller.get("/stops/?lifted=true").body["items"])) == ([], 1)
    assert caller.post("/runs/", {"pipeline": "sample", "input": {"hang": False}}).status == 201


def test_the_proof_names_the_last_call_and_what_became_of_those_that_were_out(caller: Caller, run: Run) -> None:
    made = caller.post("/stops/", {"scope": "pipeline", "name": "sample", "reason": "odd"}).body
    proof = made["proof"]
    assert (proof["quiet"], proof["sent_after"], proof["in_flight"], proof["still_out"]) == (False, 0, 1, 1)
    assert (proof["last_before"]["step"], proof["calls"][0]["fate"]) == ("two", "still out")
    pipelines.drive(run)  # the next worker cuts it short and sends nothing again
    proof = caller.get(f"/stops/{made['id']}/").body["proof"]
    assert (proof["quiet"], proof["sent_after"], proof["in_flight"], proof["still_out"], proof["waiting"]) == (True, 0, 1, 0, 1)
    assert proof["calls"][0]["fate"] == "was cut short, and nobody waits for an answer"
    assert proof["quiet_since"] == proof["calls"][0]["settled_at"]
    assert "runs.call.resent" not in [entry["verb"] for entry in reports.entries_of(run.id)]


def test_a_call_that_was_sent_after_a_stop_is_said_whoever_sent_it(caller: Caller, run: Run) -> None:
    """Nothing of ours does it; rows that somebody wrote are looked at all the same."""
    made = caller.post("/stops/", {"scope": "run", "name": str(run.id), "reason": "odd"}).body
    call = Call.objects.get(run=run, step="two")
    Call.objects.create(
        key="o1_late", run=run, step="two", attempt=2, ordinal=0, agent="worker", kind="function", name="work:work", mode="read", state="dispatched",
        request_digest=call.request_digest, not_after=call.not_after, dispatched_at=pipelines.instant(made["proof"]["looked_at"]),
    )  # fmt: skip
    proof = caller.get(f"/stops/{made['id']}/").body["proof"]
    assert (proof["quiet"], proof["sent_after"], [each["state"] for each in proof["after"]]) == (False, 1, ["dispatched"])


@pytest.mark.parametrize(
    ("scope", "name", "mine"),
    [("version", "worker@1", 2), ("version", "sample@1", 2), ("version", "judge@1", 0), ("agent", "worker", 2), ("team", "platform", 2),
     ("tool", "fetch", 0)],
)  # fmt: skip
def test_every_scope_finds_its_calls(run: Run, scope: str, name: str, mine: int) -> None:
    row = registry.stop(scope, name, actor=SYSTEM, reason="odd")
    assert calls_under(row).filter(run=run).count() == mine


def test_a_wait_for_the_end_of_a_stop_says_who_ends_it_and_nobody_answers_it(caller: Caller, published: Path) -> None:
    caller.post("/agents/worker/suspend/", {"reason": "odd"})
    run = pipelines.start(input={"hang": False})
    pipelines.drive(run)
    (listed,) = caller.get("/waits/?kind=stopped").body["items"]
    assert (listed["subject"], listed["who"], listed["silence"]) == ("agent:worker", "whoever may lift the stop", "the step fails as stopped")
    wait = Wait.objects.get(run=run)
    assert caller.get(f"/waits/{wait.id}/").body["why_not"] == "nobody answers this: it ends when somebody lifts the stop"


def test_members_stop_what_is_their_teams_and_administrators_the_rest(caller: Caller, onlooker: Caller, outsider: Caller, published: Path) -> None:
    theirs = {"scope": "agent", "name": "worker", "reason": "odd"}
    assert (onlooker.post("/stops/", theirs).status, outsider.post("/stops/", theirs).status) == (403, 404)
    for scope, name in (("everything", ""), ("tool", "fetch")):
        body = {"scope": scope, "reason": "odd"} | ({"name": name} if name else {})
        refused = caller.post("/stops/", body)
        assert (refused.status, refused.code) == (403, "denied")
        assert "only who administers the installation" in refused.body["detail"]
    alice = User.objects.get(username="alice")
    alice.is_superuser = alice.is_staff = True
    alice.save()
    made = Caller.of(alice).post("/stops/", {"scope": "everything", "reason": "a leak"})
    assert made.status == 201
    seen = outsider.get(f"/stops/{made.body['id']}/").body
    assert (seen["reason"], seen["proof"]["complete"]) == ("a leak", False)
    assert outsider.post(f"/stops/{made.body['id']}/lift/").status == 403


@pytest.mark.parametrize(
    ("scope", "name", "code"),
    [("agent", "nobody", "unknown-agent"), ("alias", "nothing", "unknown-alias"), ("team", "none", "unknown-team"),
     ("run", "0199d3c1-5a52", "unknown-run"),
     ("version", "worker@9", "no-such-version"), ("version", "worker", "invalid"), ("pipeline", "", "invalid"), ("everything", "x", "invalid")],
)  # fmt: skip
def test_what_is_not_there_is_not_stopped_and_that_is_an_entry(caller: Caller, published: Path, scope: str, name: str, code: str) -> None:
    assert caller.post("/stops/", {"scope": scope, "name": name, "reason": "odd"}).code == code
