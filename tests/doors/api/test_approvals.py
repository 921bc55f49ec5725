"""Approvals over REST: what waits for whom, all that a decision is about, and decisions with their refusals."""

from pathlib import Path
from uuid import UUID

import pytest
from django.contrib.auth.models import User

from agents import registry
from approvals.models import Decision, Request
from tests import approving, pipelines
from tests.approving import member
from tests.pipelines import SYSTEM
from tests.rest import Caller

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def request_of_alice(tmp_path: Path) -> Request:
    """Alice's run waits for somebody of her team."""
    approving.publish(tmp_path)
    _, request = approving.started(by=member("alice", "platform"))
    return request


def caller(name: str, *teams: str) -> Caller:
    member(name, *teams)
    return Caller.of(User.objects.get(username=name))


def test_what_waits_for_me_is_listed_and_what_i_started_is_not(request_of_alice: Request) -> None:
    address = "/approvals/?state=open&mine=true"
    assert [each["id"] for each in caller("bob", "platform").get(address).body["items"]] == [str(request_of_alice.pk)]
    assert caller("alice").get(address).body["items"] == [] == caller("charlie").get(address).body["items"]
    assert [each["state"] for each in caller("alice").get("/approvals/").body["items"]] == ["open"]


def test_a_request_shows_what_would_be_done_with_which_arguments_under_which_policy(request_of_alice: Request) -> None:
    said = caller("bob", "platform").get(f"/approvals/{request_of_alice.pk}/").body
    assert said["arguments"] == {"feed": "production"}
    assert said["uses"] == [{"verb": "write", "resource": "deploy:production", "permission": approving.RULE}]
    assert (said["asks"], said["lacks"], said["why_not"]) == ("1 of team 'platform'", 1, None)
    assert (said["policy"]["name"], said["started_by"], said["binding"]) == (None, "person:alice", request_of_alice.binding)
    assert caller("alice").get(f"/approvals/{request_of_alice.pk}/").body["why_not"].startswith("you started the run")


def test_a_decision_answers_with_what_it_came_to_and_the_run_goes_on(request_of_alice: Request) -> None:
    bob, address = caller("bob", "platform"), f"/approvals/{request_of_alice.pk}"
    shown = bob.get(f"{address}/").body["shown"]
    done = bob.post(f"{address}/decide/", {"decision": "approved", "reason": "the window is open", "seen": shown})
    assert (done.status, done.body["state"], done.body["decisions"][0]["reason"]) == (200, "approved", "the window is open")
    assert pipelines.drive(request_of_alice.wait.run)["outcome"] == "verified"
    late = caller("carol", "platform").post(f"{address}/decide/", {"decision": "declined", "reason": "no"})
    assert (late.status, late.code, "was answered by person:bob" in late.body["detail"]) == (409, "already-decided", True)


def test_every_refusal_has_its_own_code_and_changes_nothing(request_of_alice: Request) -> None:
    address = f"/approvals/{request_of_alice.pk}/decide/"
    yes = {"decision": "approved"}
    refused = caller("alice").post(address, yes)
    assert (refused.status, refused.code) == (403, "not-yours-to-decide")
    assert "you started the run that asks for it" in refused.body["detail"]
    outsider = caller("charlie").post(address, yes)
    assert (outsider.status, outsider.code) == (404, "unknown-approval")
    bob = caller("bob", "platform")
    assert bob.post(address, {**yes, "seen": "0" * 64}).code == "changed-since-shown"
    assert bob.post(address, {"decision": "declined"}).code == "bad-decision"
    assert bob.post(address, {"decision": "perhaps"}).status == 400
    assert bob.post(f"/approvals/{UUID(int=1)}/decide/", yes).code == "unknown-approval"
    assert not Decision.objects.exists()


@pytest.mark.parametrize(
    ("role", "decides"), [("operator", True), ("approver", True), ("compliance", True), ("auditor", False), ("integration", False)]
)
def test_whom_the_policy_asks_decides_whatever_their_role_but_for_auditors_and_programs(request_of_alice: Request, role: str, decides: bool) -> None:
    bob = caller("bob", "platform")
    registry.add_to_group(role, "bob", actor=SYSTEM)
    assert len(bob.get("/approvals/?state=open&mine=true").body["items"]) == decides
    answer = bob.post(f"/approvals/{request_of_alice.pk}/decide/", {"decision": "approved"})
    assert (answer.status, Decision.objects.count()) == ((200, 1) if decides else (403, 0))
    if not decides:
        assert answer.body["detail"] == f"you can't decide this: your role in this installation ({role}) gives no approval"
        assert bob.get(f"/approvals/{request_of_alice.pk}/").body["why_not"].startswith("your role")


def test_comments_are_kept_and_decide_nothing(request_of_alice: Request) -> None:
    said = caller("alice").post(f"/approvals/{request_of_alice.pk}/comment/", {"text": "please, before noon"})
    assert (said.body["state"], said.body["comments"][0]["text"]) == ("open", "please, before noon")


def test_policies_are_listed_with_what_is_in_force(tmp_path: Path) -> None:
    policy = "kind: policy\nname: two\nteam: platform\napprovers: {teams: [platform]}\nrequired: 2\nwithin: 2h"
    approving.publish(tmp_path, rule=f"{approving.RULE} policy two", policy=policy)
    said = caller("bob", "platform").get("/policies/two/").body
    assert (said["in_force"]["version"], said["in_force"]["stages"][0]["required"], said["draft"]) == (1, 2, None)
    assert caller("charlie").get("/policies/").body["items"] == []
