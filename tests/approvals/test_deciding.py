"""Decisions: a person's yes lets exactly what was asked for out, once; everything else leaves it where it is and says why."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from approvals import services
from approvals.errors import AlreadyDecided, BadDecision, ChangedSince, NotYours, UnknownApproval, Voided
from approvals.models import Decision, Request
from approvals.services import deciding
from audit import reports
from audit.actors import Actor
from audit.models import Entry
from runs.models import Call, Run, Wait
from runs.services import cancel_run
from tests import approving, pipelines, waiting
from tests.approving import member

pytestmark = pytest.mark.django_db(transaction=True)
TWO = "kind: policy\nname: two\nteam: platform\napprovers: {teams: [platform]}\nrequired: 2\nwithin: 2h\nreason: true"


def verbs(run: Run, *beginnings: str) -> list[str]:
    found = Entry.objects.filter(run=run.id, seq__isnull=False).order_by("seq").values_list("verb", flat=True)
    return [verb for verb in found if verb.startswith(beginnings)]


def decide(request: Request, by: Actor, decision: str = "approved", **more: Any) -> Request:
    return services.decide(request=str(request.pk), decision=decision, actor=by, **{"reason": "looked at it", **more})


def test_what_needs_an_approval_waits_until_another_member_gives_it_and_goes_out_once(tmp_path: Path) -> None:
    run, request = approving.waiting(tmp_path)
    assert approving.calls(run) == 0
    decide(request, member("bob", "platform"))
    said = pipelines.drive(run)
    call = Call.objects.get(run=run, step="work")
    assert (said["outcome"], call.approval_id) == ("verified", request.pk)
    told = verbs(run, "approvals", "runs.approval", "runs.wait", "runs.call.dispatched")
    assert told[:4] == ["approvals.decision.made", "runs.wait.answered", "runs.approval.consumed", "runs.call.dispatched"]
    assert reports.chain_problems(run.id) == []


def test_a_no_ends_the_step_with_its_reason_and_nothing_was_sent(tmp_path: Path) -> None:
    run, request = approving.waiting(tmp_path)
    decide(request, member("bob", "platform"), "declined", reason="not on a Friday")
    failure = pipelines.drive(run)["failure"]
    assert (failure["cause"], failure["owner"], approving.calls(run)) == ("declined", "agent:worker", 0)
    assert failure["message"].startswith("bob declined it at ") and failure["message"].endswith(": not on a Friday")


def test_silence_denies(tmp_path: Path) -> None:
    run, request = approving.waiting(tmp_path)
    waiting.expire(run)
    with pytest.raises(AlreadyDecided):
        decide(request, member("bob", "platform"))
    failure = pipelines.drive(run)["failure"]
    assert (failure["cause"], failure["owner"], approving.calls(run)) == ("expired", "agent:worker", 0)
    assert "silence denies it" in failure["message"] and not Decision.objects.exists()


def test_while_it_waits_the_work_clock_stands_and_goes_on_with_the_answer(tmp_path: Path) -> None:
    run, request = approving.waiting(tmp_path)
    assert run.remaining_ms is not None and run.remaining_ms <= 3_600_000
    assert run.deadline_at - run.created_at > timedelta(hours=23)
    decide(request, member("bob", "platform"))
    run.refresh_from_db()
    assert run.deadline_at - run.created_at < timedelta(hours=2)


def test_as_many_as_the_policy_asks_for_must_and_the_same_person_counts_once(tmp_path: Path) -> None:
    run, request = approving.waiting(tmp_path, rule=f"{approving.RULE} policy two", policy=TWO)
    bob = member("bob", "platform")
    decide(request, bob)
    assert services.document(request, actor=bob)["lacks"] == 1
    with pytest.raises(AlreadyDecided, match="you have said"):
        decide(request, bob)
    assert Wait.objects.get(pk=request.pk).state == "open"
    decide(request, member("carol", "platform"))
    assert pipelines.drive(run)["outcome"] == "verified"
    assert [each.person for each in Decision.objects.all()] == ["bob", "carol"]


def test_whoever_declines_needs_nobody_else(tmp_path: Path) -> None:
    run, request = approving.waiting(tmp_path, rule=f"{approving.RULE} policy two", policy=TWO)
    decide(request, member("bob", "platform"))
    decide(request, member("carol", "platform"), "declined")
    failure = pipelines.drive(run)["failure"]
    assert (failure["cause"], failure["owner"], failure["team"]) == ("declined", "policy:two", "platform")


# --- separation of duties ---


def test_whoever_started_the_run_cant_approve_it_and_is_told_the_rule(tmp_path: Path) -> None:
    approving.publish(tmp_path)
    alice = member("alice", "platform")
    run, request = approving.started(by=alice)
    with pytest.raises(NotYours, match="you started the run that asks for it, so somebody else has to decide"):
        decide(request, alice)
    assert Entry.objects.filter(verb="approvals.decision.refused", actor="alice", run=run.id).count() == 1
    assert (approving.calls(run), Wait.objects.get(pk=request.pk).state) == (0, "open")
    decide(request, member("bob", "platform"))
    assert pipelines.drive(run)["outcome"] == "verified"


def test_whoever_published_the_version_cant_approve_what_it_does(tmp_path: Path) -> None:
    approving.publish(tmp_path / "first")
    alice = member("alice", "platform")
    approving.publish(tmp_path / "second", more="risk_tier: high", by=alice)
    _, request = approving.started()
    with pytest.raises(NotYours, match="you wrote or published a version that it runs"):
        decide(request, alice)


def test_whoever_granted_the_permission_cant_approve_its_use(tmp_path: Path) -> None:
    """Also where somebody else has published the version that runs since."""
    approving.publish(tmp_path / "first", rule="require_approval write deploy:production")
    alice, carol = member("alice", "platform"), member("carol", "platform")
    approving.publish(tmp_path / "second", by=alice)
    approving.publish(tmp_path / "third", more="risk_tier: high", by=carol)
    _, request = approving.started()
    for person, rule in ((alice, "you granted the permission"), (carol, "you wrote or published")):
        with pytest.raises(NotYours, match=rule):
            decide(request, person)


def test_whoever_sent_the_signal_that_the_run_acts_on_cant_approve_it(tmp_path: Path) -> None:
    from runs.services import send_signal

    wait = "- {id: said, wait: {signal: go, timeout: 2d}}\n- {id: work, agent: worker, with: {feed: =steps.said.feed}}"
    approving.publish(tmp_path, steps=wait)
    run = pipelines.start(input={})
    pipelines.drive(run)
    alice = member("alice", "platform")
    send_signal(run=str(run.id), signal="go", payload={"feed": "production"}, actor=alice)
    pipelines.drive(run)
    with pytest.raises(NotYours, match="you sent that run a signal"):
        decide(approving.request_of(run), alice)


def test_a_shell_without_a_persons_token_decides_nothing(tmp_path: Path) -> None:
    _, request = approving.waiting(tmp_path)
    for nobody in (Actor.system("shell"), Actor.system("worker")):
        with pytest.raises(NotYours, match="an approval is a person's to give"):
            decide(request, nobody)


def test_an_outsider_finds_no_request_and_a_person_of_another_team_whom_the_policy_names_does(tmp_path: Path) -> None:
    named = TWO.replace("{teams: [platform]}", "{people: [dora]}").replace("required: 2", "required: 1")
    member("dora")
    run, request = approving.waiting(tmp_path, rule=f"{approving.RULE} policy two", policy=named)
    with pytest.raises(UnknownApproval):
        decide(request, member("charlie"))
    with pytest.raises(NotYours, match=r"policy 'two' \(version 1\) asks 1 of dora now, and you are none of them"):
        decide(request, member("bob", "platform"))
    decide(request, approving.actor("dora"))
    assert pipelines.drive(run)["outcome"] == "verified"


# --- bound to what was asked for ---


def test_a_policy_that_changes_voids_what_was_asked_under_it_and_it_is_asked_anew(tmp_path: Path) -> None:
    rule = f"{approving.RULE} policy two"
    run, request = approving.waiting(tmp_path / "first", rule=rule, policy=TWO)
    bob = member("bob", "platform")
    approving.publish(tmp_path / "second", rule=rule, policy=TWO.replace("required: 2", "required: 1"))
    with pytest.raises(Voided, match="nothing was decided"):
        decide(request, bob)
    assert not Decision.objects.exists()
    assert pipelines.drive(run)["state"] == "waiting"
    again = approving.request_of(run)
    assert again.pk != request.pk and again.binding != request.binding
    decide(again, bob)
    assert pipelines.drive(run)["outcome"] == "verified"
    assert verbs(run, "approvals")[0] == "approvals.request.voided"


def test_a_yes_is_void_where_the_policy_changes_before_the_call_goes_out(tmp_path: Path) -> None:
    rule = f"{approving.RULE} policy two"
    one = TWO.replace("required: 2", "required: 1")
    run, request = approving.waiting(tmp_path / "first", rule=rule, policy=one)
    decide(request, member("bob", "platform"))
    approving.publish(tmp_path / "second", rule=rule, policy=TWO)
    assert pipelines.drive(run)["state"] == "waiting"
    assert (approving.calls(run), verbs(run, "runs.approval")) == (0, ["runs.approval.voided"])
    assert approving.request_of(run).policy["version"] == 2


def test_what_was_fresh_when_it_was_asked_for_and_is_stale_now_is_not_done(tmp_path: Path) -> None:
    functions = (
        approving.WORK + "\nfrom datetime import UTC, datetime\n\ndef read(**_) -> dict:\n    return {'as_of': datetime.now(UTC).isoformat()}\n"
    )
    reader = pipelines.agent("reader", "work:read", role="gather", more="freshness: {field: as_of, max_age: 1h}")
    steps = "- {id: look, agent: reader, with: {}}\n- {id: work, agent: worker, with: {feed: production, saw: =steps.look}}"
    worker = pipelines.agent("worker", "work:act", role="act", more=f'uses: ["write deploy:{{input.feed}}"]\npermissions: ["{approving.RULE}"]')
    pipelines.publish(tmp_path, functions=functions, agents=[reader, worker], steps=steps)
    run, request = approving.started()
    assert services.document(request, actor=member("bob", "platform"))["evidence"][0]["age_s"] < 600
    from runs.models import Step

    Step.objects.filter(run=run, key="look").update(best_before=run.created_at)
    decide(request, approving.actor("bob"))
    failure = pipelines.drive(run)["failure"]
    assert (failure["cause"], approving.calls(run), verbs(run, "runs.approval")) == ("stale", 0, ["runs.approval.voided"])


def test_a_row_that_says_approved_without_a_decision_is_not_believed(tmp_path: Path) -> None:
    from runs.models import Step

    run, request = approving.waiting(tmp_path)
    Wait.objects.filter(pk=request.pk).update(state="answered", ended_at=run.created_at, answered_by="person:bob", answer_entry=request.pk)
    Step.objects.filter(run=run, key="work").update(state="running", approval=request.pk)
    Run.objects.filter(id=run.id).update(state="running", remaining_ms=None, wake_at=None)
    failure = pipelines.drive(run)["failure"]
    assert (failure["cause"], approving.calls(run)) == ("tampered", 0)


def test_each_attempt_asks_again(tmp_path: Path) -> None:
    """A yes lets one call out: what failed and is made anew is asked for anew."""
    failing = "def act(feed: str, **_) -> dict:\n    raise ValueError('no luck')\n"
    worker = pipelines.agent("worker", "work:act", more=f'uses: ["write deploy:{{input.feed}}"]\npermissions: ["{approving.RULE}"]')
    steps = "- {id: work, agent: worker, with: {feed: =input.feed}, retry: {max: 1, backoff: 1ms}}"
    pipelines.publish(tmp_path, functions=failing, agents=[worker], steps=steps)
    run, request = approving.started()
    decide(request, member("bob", "platform"))
    assert pipelines.drive(run)["state"] == "waiting"
    again = approving.request_of(run)
    assert (again.pk != request.pk, again.binding == request.binding, approving.calls(run)) == (True, True, 1)
    decide(again, approving.actor("bob"))
    assert pipelines.drive(run)["failure"]["cause"] == "exception"
    assert sorted(Call.objects.filter(step="work").values_list("approval", flat=True)) == sorted([request.pk, again.pk])


# --- too late, and odd ---


def test_whoever_comes_later_is_told_what_happened_meanwhile(tmp_path: Path) -> None:
    run, request = approving.waiting(tmp_path)
    decide(request, member("bob", "platform"))
    with pytest.raises(AlreadyDecided, match="was answered by person:bob at"):
        decide(request, member("carol", "platform"))
    assert Decision.objects.count() == 1
    assert pipelines.drive(run)["outcome"] == "verified"


def test_a_cancelled_run_takes_no_decision(tmp_path: Path) -> None:
    run, request = approving.waiting(tmp_path)
    cancel_run(run=str(run.id), actor=pipelines.SYSTEM)
    with pytest.raises(AlreadyDecided, match="ended without an answer"):
        decide(request, member("bob", "platform"))
    assert approving.calls(run) == 0


def test_a_decision_on_something_else_than_was_shown_is_refused(tmp_path: Path) -> None:
    _, request = approving.waiting(tmp_path)
    bob = member("bob", "platform")
    with pytest.raises(ChangedSince):
        decide(request, bob, seen="0" * 64)
    shown = services.document(request, actor=bob)["shown"]
    decide(request, bob, seen=shown)
    assert Decision.objects.get().shown == shown


def test_a_reason_is_asked_for_where_the_policy_says_so_and_of_whoever_declines(tmp_path: Path) -> None:
    _, request = approving.waiting(tmp_path, rule=f"{approving.RULE} policy two", policy=TWO)
    bob = member("bob", "platform")
    for decision, reason in (("approved", " "), ("declined", ""), ("approved", "x" * 2_001), ("perhaps", "why not")):
        with pytest.raises(BadDecision):
            decide(request, bob, decision, reason=reason)


def test_what_is_said_about_a_request_stands_beside_it(tmp_path: Path) -> None:
    run, request = approving.waiting(tmp_path)
    bob = member("bob", "platform")
    services.comment(request=str(request.pk), text="is the window open?", actor=bob)
    assert [(each["person"], each["text"]) for each in services.document(request, actor=bob)["comments"]] == [("bob", "is the window open?")]
    assert verbs(run, "approvals") == ["approvals.comment.made"]


def test_so_many_comments_are_kept_and_the_next_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "MOST_COMMENTS", 2)
    run, request = approving.waiting(tmp_path)
    bob = member("bob", "platform")
    for text in ("one", "two"):
        services.comment(request=str(request.pk), text=text, actor=bob)
    with pytest.raises(BadDecision, match="there are 2 comments on it"):
        services.comment(request=str(request.pk), text="three", actor=bob)
    assert verbs(run, "approvals") == ["approvals.comment.made"] * 2


# --- what waits for whom ---


def test_the_inbox_holds_what_this_person_may_decide_and_nothing_else(tmp_path: Path) -> None:
    approving.publish(tmp_path)
    alice, bob = member("alice", "platform"), member("bob", "platform")
    _, request = approving.started(by=alice)
    assert services.waiting_for(alice, most=10) == [] == services.waiting_for(member("charlie"), most=10)
    assert services.waiting_for(bob, most=10) == [request]
    decide(request, bob)
    assert services.waiting_for(bob, most=10) == []
    assert [each.pk for each in services.decided(bob)] == [request.pk]


def test_a_policy_that_escalates_puts_it_to_the_next_ones_and_never_approves(tmp_path: Path) -> None:
    member("dora")
    silence = "silence: {escalate: {approvers: {people: [dora]}, within: 2h}}"
    policy = f"kind: policy\nname: two\nteam: platform\napprovers: {{teams: [platform]}}\nwithin: 1h\n{silence}"
    run, request = approving.waiting(tmp_path, rule=f"{approving.RULE} policy two", policy=policy)
    dora, bob = approving.actor("dora"), member("bob", "platform")
    assert request.wait.expires_at - request.wait.opened_at == timedelta(hours=3)
    with pytest.raises(NotYours, match="and you only if they stay silent"):
        decide(request, dora)
    approving.age(request, timedelta(hours=1, seconds=1))
    assert services.waiting_for(dora, most=10) == [request] and services.waiting_for(bob, most=10) == []
    with pytest.raises(NotYours, match="you are none of them"):
        decide(request, bob)
    decide(request, dora)
    assert pipelines.drive(run)["outcome"] == "verified"
    assert verbs(run, "approvals") == ["approvals.request.escalated", "approvals.decision.made"]


# --- edits ---

EDITS = "kind: policy\nname: two\nteam: platform\napprovers: {teams: [platform]}\nedits: true\nrequired: %d"
CONTRACT = "{type: object, required: [feed], properties: {feed: {type: string}, count: {type: integer, maximum: 10}}}"


def to_be_edited(path: Path, *, required: int = 1, policy: str = EDITS) -> tuple[Run, Request]:
    approving.publish(path, rule=f"{approving.RULE} policy two", policy=policy % required, contract=CONTRACT, steps=COUNTED)
    return approving.started(input={"feed": "production", "count": 9})


COUNTED = "- {id: work, agent: worker, with: {feed: =input.feed, count: =input.count}}"


def test_approved_with_edits_the_edited_call_goes_out_and_the_difference_is_kept(tmp_path: Path) -> None:
    run, request = to_be_edited(tmp_path)
    bob = member("bob", "platform")
    decide(request, bob, arguments={"feed": "production", "count": 3})
    said = pipelines.drive(run)
    assert (said["outcome"], said["result"]) == ("verified", {"done": "production", "count": 3})
    (decision,) = services.document(Request.objects.get(pk=request.pk), actor=bob)["decisions"]
    assert (decision["edits"], decision["binding"] != request.binding) == ([{"path": "count", "old": 9, "new": 3}], True)
    consumed = Entry.objects.get(run=run.id, verb="runs.approval.consumed").envelope()["facts"]
    assert consumed["binding"] == decision["binding"]


def test_edits_must_fit_the_contract_and_may_not_change_what_is_touched_and_the_policy_must_allow_them(tmp_path: Path) -> None:
    _, request = to_be_edited(tmp_path / "p")
    bob = member("bob", "platform")
    for arguments, why in (({"feed": "production", "count": 11}, "break the contract"), ({"feed": "staging", "count": 3}, "what the call touches")):
        with pytest.raises(BadDecision, match=why):
            decide(request, bob, arguments=arguments)
    _, request = to_be_edited(tmp_path / "q", policy=EDITS.replace("edits: true", "edits: false"))
    with pytest.raises(BadDecision, match="allows no edits"):
        decide(request, bob, arguments={"feed": "production", "count": 3})


def test_edits_beside_a_no_are_refused_instead_of_lost_and_a_form_that_was_left_as_it_was_is_none(tmp_path: Path) -> None:
    _, request = to_be_edited(tmp_path)
    bob = member("bob", "platform")
    with pytest.raises(BadDecision, match="other arguments go with an approval"):
        decide(request, bob, "declined", arguments={"feed": "production", "count": 3})
    decide(request, bob, "declined", arguments={"feed": "production", "count": 9})


def test_where_two_must_approve_they_have_to_approve_the_same(tmp_path: Path) -> None:
    run, request = to_be_edited(tmp_path, required=2)
    decide(request, member("bob", "platform"))
    decide(request, member("carol", "platform"), arguments={"feed": "production", "count": 3})
    assert Wait.objects.get(pk=request.pk).state == "open"
    decide(request, member("dora", "platform"), arguments={"feed": "production", "count": 3})
    assert pipelines.drive(run)["result"] == {"done": "production", "count": 3}


def test_a_worker_that_dies_after_an_edit_goes_on_with_it_and_a_retry_begins_with_what_was_asked_for(tmp_path: Path) -> None:
    failing = (
        "import orchestra, time\n\ndef act(feed: str, count: int) -> dict:\n    orchestra.progress('at it')\n    time.sleep(0.5)\n"
        "    raise ValueError(f'no luck with {count}')\n"
    )
    rule = f"{approving.RULE} policy two"
    more = f'uses: ["write deploy:{{input.feed}}"]\npermissions: ["{rule}"]'
    worker = pipelines.agent("worker", "work:act", more=more).replace(f"input: {pipelines.ANY}", f"input: {CONTRACT}")
    steps = COUNTED.replace("}}", "}, retry: {max: 1, backoff: 1ms}}")
    pipelines.publish(tmp_path, functions=failing, agents=[EDITS % 1, worker], steps=steps)
    run, request = approving.started(input={"feed": "production", "count": 9})
    decide(request, member("bob", "platform"), arguments={"feed": "production", "count": 3})
    pipelines.crash(run, at="progress")
    assert pipelines.drive(run)["state"] == "waiting"
    retried = Entry.objects.get(run=run.id, verb="runs.step.retried").id
    assert "no luck with 3" in reports.openings_of([retried])[retried]["failure"]["message"]
    assert Call.objects.get(run=run, step="work").approval_id == request.pk
    again = approving.request_of(run)
    assert (again.binding, services.document(again, actor=approving.actor("bob"))["arguments"]["count"]) == (request.binding, 9)
