"""Nobody decides what they had a hand in, by whatever way; and whose yes counts no more when the last one comes."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agents import registry
from agents.models import Granting, Team
from approvals import services
from approvals.errors import NotYours
from audit import clock, reports
from runs.engine.states import Resolution
from runs.models import Call, Run, Wait
from runs.services import Settlement, send_signal, settle_call
from tests import approving, families, pipelines
from tests.approving import member
from tests.pipelines import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)
RULE = f"{approving.RULE} policy two"
TWO = "kind: policy\nname: two\nteam: platform\napprovers: {teams: [platform]}\nrequired: 2"
PAY = "\nimport orchestra, time\n\ndef pay(**_) -> dict:\n    orchestra.progress('paying')\n    time.sleep(60)\n"
ASKING = f'uses: ["write deploy:{{{{input.feed}}}}"]\npermissions: ["{approving.RULE}"]'


def decide(run: Run, by: str, decision: str = "approved") -> None:
    services.decide(request=str(approving.request_of(run).pk), decision=decision, reason="looked at it", actor=approving.actor(by))


def settled(path: Path, resolution: Resolution, *, by: str, result: object = None) -> Run:
    """Waits for a yes to what a person's word on a lost call has led to."""
    payer = pipelines.agent("payer", "work:pay", role="act", timeout="1s")
    worker = pipelines.agent("worker", "work:act", role="act", more=ASKING)
    steps = "- {id: pay, agent: payer, with: {}}\n- {id: work, agent: worker, with: {feed: =steps.pay.feed}}"
    pipelines.publish(path, functions=approving.WORK + PAY, agents=[payer, worker], steps=steps)
    run = pipelines.start()
    assert pipelines.drive(run)["state"] == "waiting"
    Call.objects.filter(run=run).update(not_after=clock.now() - timedelta(minutes=1))
    settle_call(call=str(Call.objects.get(run=run).id), settlement=Settlement(resolution, result, "asked the bank"), actor=member(by, "platform"))
    assert pipelines.drive(run)["state"] == "waiting"
    return run


def test_whoever_said_what_a_call_has_given_cant_approve_what_is_done_with_that(tmp_path: Path) -> None:
    run = settled(tmp_path, Resolution.DONE, by="alice", result={"feed": "production"})
    with pytest.raises(NotYours, match="you said what became of a call of that run"):
        decide(run, "alice")
    member("bob", "platform")
    decide(run, "bob")
    assert pipelines.drive(run)["outcome"] == "verified"


def test_whoever_sent_a_signal_to_a_run_below_cant_approve_what_the_run_above_does_with_it(tmp_path: Path) -> None:
    deployer = pipelines.agent("deployer", "work:use", role="act", more=ASKING.replace("input.feed", "input.got"))
    inner = families.pipeline("inner", "- {id: said, wait: {signal: go, timeout: 2d}}", "- {id: twice, agent: user, with: {got: =steps.said}}")
    steps = ("- {id: sub, pipeline: inner, with: {}}", "- {id: after, agent: deployer, with: {got: =steps.sub.got.feed}}")
    families.publish(tmp_path, inner, agents=(deployer,), steps=steps)
    run = pipelines.start()
    pipelines.drive(run)
    child = families.child_of(run)
    pipelines.drive(child)
    send_signal(run=str(child.id), signal="go", payload={"feed": "production"}, actor=member("alice", "platform"))
    pipelines.drive(child)
    assert pipelines.drive(run)["state"] == "waiting"
    with pytest.raises(NotYours, match="you sent that run a signal"):
        decide(run, "alice")


def test_whoever_wrote_or_published_the_policy_cant_decide_what_is_asked_under_it(tmp_path: Path) -> None:
    approving.publish(tmp_path / "first", rule=RULE, policy=TWO)
    alice, carol = member("alice", "platform"), member("carol", "platform")
    mine = TWO.replace("{teams: [platform]}", "{people: [alice, carol, bob]}").replace("required: 2", "required: 1")
    member("bob", "platform")
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "policy.yaml").write_text(mine)
    registry.apply_folder(tmp_path / "second", actor=alice, publish=False)
    registry.apply_folder(tmp_path / "second", actor=carol, publish=True)
    run, _ = approving.started()
    for name in ("alice", "carol"):
        with pytest.raises(NotYours, match="you wrote or published the policy that it is asked under"):
            decide(run, name)
    decide(run, "bob")
    assert pipelines.drive(run)["outcome"] == "verified"


def test_whoever_brought_the_code_first_may_approve_a_call_of_a_later_version_that_others_wrote_and_published(tmp_path: Path) -> None:
    worker = pipelines.agent("worker", "work:act", role="act")
    pipelines.publish(tmp_path / "old", functions=f"{approving.WORK}\n", agents=[worker], steps=approving.STEPS)
    registry.permit(Team, "platform", grant=[approving.RULE], actor=SYSTEM)
    twice = f"{approving.STEPS}\n{approving.STEPS.replace('id: work', 'id: again')}"
    for by, said in (("alice", {}), ("bob", {"more": "rate: 9/1h", "steps": twice})):
        approving.publish(tmp_path / by, rule="allow read feed:metrics", by=member(by, "platform"), **said)
    run, _ = approving.started()
    with pytest.raises(NotYours, match="you wrote or published a version that it runs"):
        decide(run, "bob")
    decide(run, "alice")


def test_a_yes_counts_as_long_as_its_person_would_be_asked_still(tmp_path: Path) -> None:
    run, request = approving.waiting(tmp_path, rule=RULE, policy=TWO)
    for name in ("bob", "carol", "dora", "erin"):
        member(name, "platform")
    decide(run, "bob")
    decide_later = approving.actor("dora")
    registry.remove_member("platform", "bob", actor=SYSTEM)
    assert services.listed([request], clock.now())[0]["lacks"] == 2
    decide(run, "carol")
    registry.set_active("carol", actor=SYSTEM, active=False)
    services.decide(request=str(request.pk), decision="approved", actor=decide_later)
    assert Wait.objects.get(pk=request.pk).state == "open"
    decide(run, "erin")
    assert pipelines.drive(run)["outcome"] == "verified"
    entry = Wait.objects.get(pk=request.pk).answer_entry
    assert entry is not None and reports.openings_of([entry])[entry]["answer"]["by"] == ["dora", "erin"]


def test_whoever_is_let_out_of_the_team_between_their_request_and_their_decision_decides_nothing(tmp_path: Path) -> None:
    _, request = approving.waiting(tmp_path)
    bob = member("bob", "platform")
    registry.remove_member("platform", "bob", actor=SYSTEM)
    with pytest.raises(NotYours, match="until just now"):
        services.decide(request=str(request.pk), decision="approved", actor=bob)
    assert Wait.objects.get(pk=request.pk).state == "open"


# --- when nobody can ---


def test_a_request_that_nobody_can_decide_says_so_and_what_to_do(tmp_path: Path) -> None:
    approving.publish(tmp_path)
    alice = member("alice", "platform")
    run, request = approving.started(by=alice)
    said = services.document(request, actor=alice)
    assert said["deciders"] == []
    assert said["stuck"] == (
        "1 more must approve, and nobody of team 'platform' can (of whom it asks, alice: they started the run that asks for it). "
        "Have somebody else let into the team, or change the policy and publish it: then it is asked anew"
    )
    member("bob", "platform")
    said = services.document(request, actor=alice)
    assert (said["deciders"], said["stuck"]) == (["bob"], None)
    decide(run, "bob")
    assert services.document(request, actor=alice)["stuck"] is None


def test_those_who_have_approved_are_not_counted_twice_among_those_who_can(tmp_path: Path) -> None:
    run, request = approving.waiting(tmp_path, rule=RULE, policy=TWO)
    for name in ("bob", "carol"):
        member(name, "platform")
    decide(run, "bob")
    said = services.document(request, actor=approving.actor("bob"))
    assert (said["deciders"], said["stuck"]) == (["carol"], None)
    registry.set_active("carol", actor=SYSTEM, active=False)
    assert services.document(request, actor=approving.actor("bob"))["stuck"].startswith("1 more must approve, and nobody of team 'platform' can")


def test_whoever_granted_the_permission_approves_nothing_by_it_for_as_long_as_the_installation_says(tmp_path: Path, settings: Any) -> None:
    approving.publish(tmp_path, rule="allow write deploy:*")
    carol = member("carol", "platform")
    registry.permit(Team, "platform", grant=[approving.RULE], actor=carol)
    run, _ = approving.started(by=member("alice", "platform"))
    for days, ago, may in ((0, 4_000, False), (30, 29, False), (30, 31, True)):
        settings.ORCHESTRA_GRANTED_DAYS = days
        Granting.objects.filter(by="person:carol").update(at=clock.now() - timedelta(days=ago))
        if may:
            decide(run, "carol")
        else:
            with pytest.raises(NotYours, match="you granted the permission"):
                decide(run, "carol")
    assert pipelines.drive(run)["outcome"] == "verified"
