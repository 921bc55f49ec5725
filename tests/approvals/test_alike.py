"""Calls of low risk that ask for exactly the same are decided together, each by itself; what differs or is risky is decided one by one."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from approvals import services
from approvals.errors import BadDecision, ChangedSince
from approvals.models import Decision, Request
from audit.actors import Actor
from orchestra_site.tokens import create_token
from runs.models import Run
from tests import approving, pipelines
from tests.approving import actor, member
from tests.pipelines import SYSTEM
from tests.rest import Caller
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice(tmp_path: Path) -> Actor:
    approving.publish(tmp_path, more="risk_tier: low")
    member("bob", "platform")
    return member("alice", "platform")


def ask(by: Actor, *feeds: str) -> list[tuple[Run, Request]]:
    return [approving.started(by=by, input={"feed": feed}) for feed in feeds]


def decided() -> set[str]:
    return set(map(str, Decision.objects.values_list("request", flat=True)))


def together(first: Request, decision: str, *others: Request) -> services.Together:
    also = [str(each.pk) for each in others] or services.document(first, actor=actor("bob"))["alike"]
    return services.decide_alike(request=str(first.pk), also=also, decision=decision, reason="as ever", actor=actor("bob"))


def test_all_that_ask_for_the_same_are_decided_and_each_is_sent_once(alice: Actor) -> None:
    same, other = ask(alice, "production", "production", "production"), ask(alice, "europe")
    first = same[0][1]
    assert services.document(first, actor=actor("bob"))["alike"] == [str(request.pk) for _, request in same[1:]]
    assert services.document(first, actor=alice)["alike"] == []
    done = together(first, "approved")
    assert done.decided[0] == str(first.pk) and set(done.decided) == {str(request.pk) for _, request in same} == decided() and not done.refused
    for run, _ in same:
        assert pipelines.drive(run)["outcome"] == "verified" and approving.calls(run) == 1
    assert approving.calls(other[0][0]) == 0


def test_what_somebody_had_a_hand_in_is_left_out(alice: Actor) -> None:
    (_, first), (_, mine) = ask(alice, "production") + ask(actor("bob"), "production")
    done = together(first, "declined", mine)
    assert done.refused[0][0] == str(mine.pk) and done.decided == (str(first.pk),) and str(mine.pk) not in decided()


def test_only_calls_of_low_risk_are(tmp_path: Path) -> None:
    approving.publish(tmp_path, more="risk_tier: high")
    bob = member("bob", "platform")
    requests = [request for _, request in ask(member("alice", "platform"), "production", "production")]
    assert services.document(requests[0], actor=bob)["alike"] == []
    with pytest.raises(BadDecision, match="risk_tier is low"):
        services.decide_alike(request=str(requests[0].pk), also=[], decision="approved", actor=bob)
    assert not decided()


def test_calls_of_an_agent_that_is_risky_by_now_are_decided_one_by_one(alice: Actor, tmp_path: Path) -> None:
    (_, first), (_, other) = ask(alice, "production", "production")
    approving.publish(tmp_path / "riskier", more="risk_tier: high")
    assert Request.objects.get(pk=first.pk).risk == "low"
    assert services.document(first, actor=actor("bob"))["alike"] == []
    with pytest.raises(BadDecision, match="risk_tier is low"):
        together(first, "approved", other)
    assert not decided()
    services.decide(request=str(first.pk), decision="approved", actor=actor("bob"))
    assert decided() == {str(first.pk)}


def test_nothing_is_decided_where_the_one_that_was_looked_at_is_another_by_now(alice: Actor) -> None:
    requests = [request for _, request in ask(alice, "production", "production")]
    with pytest.raises(ChangedSince):
        services.decide_alike(request=str(requests[0].pk), also=[str(requests[1].pk)], decision="approved", seen="0" * 64, actor=actor("bob"))
    assert not decided()


def test_the_command_rest_and_the_admin_decide_alike(alice: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [request for _, request in ask(alice, "a", "a", "b", "b", "c", "c")]
    monkeypatch.setenv("ORCHESTRA_TOKEN", create_token("bob", actor=SYSTEM).text)
    assert "1 more ask for exactly this" in typed("approvals", requests[0].pk).out
    assert typed("decide", requests[0].pk, "approve", "--alike").out == "your decision is kept for 2 requests\n"
    assert typed("decide", requests[0].pk, "changes", "--alike", "--reason", "x").status == 2
    bob = User.objects.get(username="bob")
    done = Caller.of(bob).post(f"/approvals/{requests[2].pk}/decide-alike/", {"decision": "approved", "also": [str(requests[3].pk)]})
    assert done.status == 200 and len(done.body["decided"]) == 2 and done.body["refused"] == []
    client, at = Client(), f"/admin/approvals/request/{requests[4].pk}/change/"
    client.force_login(bob)
    assert "Also the 1 other of low risk that asks for exactly this" in client.get(at).content.decode()
    said = {
        "decision": "declined",
        "reason": "no",
        "alike": "on",
        "others": str(requests[5].pk),
        "seen": services.document(requests[4], actor=actor("bob"))["shown"],
    }
    assert "Your decision is kept for 2 requests." in client.post(at, said, follow=True).content.decode()
    assert decided() == {str(request.pk) for request in requests}


def test_what_was_asked_for_as_risky_is_not_taken_with_what_is_of_low_risk_by_now(alice: Actor) -> None:
    (_, first), (_, risky) = ask(alice, "production", "production")
    Request.objects.filter(pk=risky.pk).update(risk="high")
    assert services.document(first, actor=actor("bob"))["alike"] == []
    assert together(first, "approved", risky).refused[0][0] == str(risky.pk) and str(risky.pk) not in decided()
