"""What agents give and what pipelines put to people: looked at, changed and sent back before a run goes on with it, from every door."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from agents import registry
from agents.errors import NotPublishable
from approvals import services
from approvals.errors import BadDecision, NotYours, Voided
from approvals.models import Kind, Request
from approvals.services.intake import tend
from audit import reports
from audit.models import Entry
from runs import services as runs
from runs.models import Run, Wait
from runs.services import run_document
from tests import approving, pipelines
from tests.approving import member
from tests.pipelines import ANY, SYSTEM, agent

pytestmark = pytest.mark.django_db(transaction=True)
WORK = """
def draft(feed: str, changes: list | None = None) -> dict:
    return {"text": "; ".join([feed, *(each["comment"] for each in changes or [])]), "sure": 0.5}
"""
TOLD = "{type: object, properties: {feed: {type: string}, changes: {type: array}}}"
GIVES = "{type: object, required: [text], properties: {text: {type: string}, sure: {type: number}}, additionalProperties: false}"
POLICY = "kind: policy\nname: editors\nteam: platform\napprovers: {teams: [platform]}\nedits: true"
DRAFT = "- {id: draft, agent: worker, with: {feed: =input.feed}, approve_when: {when: output.sure < 0.8, policy: editors, rounds: 1}}"
GO = "- {id: go, approval: {policy: editors, subject: {to: =input.feed}%s}}"


def publish(path: Path, steps: str = DRAFT, *, takes: str = TOLD, policy: str = POLICY, by: Any = SYSTEM) -> None:
    worker = agent("worker", "work:draft", role="decide").replace(f"input: {ANY}", f"input: {takes}").replace(f"output: {ANY}", f"output: {GIVES}")
    registry.apply_folder(pipelines.folder(path, functions=WORK, agents=[worker, policy], steps=steps), actor=by, publish=True)


def waiting(path: Path, steps: str = DRAFT, **said: Any) -> tuple[Run, Request]:
    publish(path, steps, **said)
    return approving.started()


def say(request: Request, decision: str, by: str = "bob", **more: Any) -> Request:
    return services.decide(request=str(request.pk), decision=decision, actor=member(by, "platform"), **{"reason": "looked at it", **more})


def test_a_result_that_meets_the_condition_waits_for_people_and_the_run_goes_on_with_their_yes(tmp_path: Path) -> None:
    run, request = waiting(tmp_path)
    said = services.document(request, actor=member("bob", "platform"))
    assert (request.kind, said["agent"], said["about"], said["version"]) == (Kind.RESULT, "worker", "what 'worker' gave", 1)
    assert (said["arguments"], said["rounds_left"], said["uses"]) == ({"output": {"text": "production", "sure": 0.5}}, 1, [])
    say(request, "approved")
    assert pipelines.drive(run)["result"] == {"text": "production", "sure": 0.5}
    assert reports.chain_problems(run.id) == []


def test_what_is_approved_with_edits_is_the_result_from_then_on(tmp_path: Path) -> None:
    run, request = waiting(tmp_path)
    say(request, "approved", arguments={"output": {"text": "better"}})
    said = pipelines.drive(run)
    assert said["result"] == {"text": "better"}
    made = {step["key"]: step["result"] for step in said["steps"]}
    assert made["draft"] == {"text": "production", "sure": 0.5}, "what the agent gave stays on record"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"output": {"text": 7}}, "breaks the contract"),
        ({"output": {"text": "a", "more": 1}}, "breaks the contract"),
        ({"text": "better"}, "nothing but 'output'"),
        ({"output": {"text": "a"}, "also": 1}, "nothing but 'output'"),
    ],
)
def test_edits_that_the_agents_contract_does_not_allow_are_refused(tmp_path: Path, arguments: Any, why: str) -> None:
    run, request = waiting(tmp_path)
    with pytest.raises(BadDecision, match=why):
        say(request, "approved", arguments=arguments)
    assert Wait.objects.get(pk=request.pk).state == "open" and Run.objects.get(pk=run.pk).state == "waiting"
    assert Entry.objects.filter(run=run.pk, verb="approvals.decision.refused").count() == 1


def test_what_is_sent_back_is_made_anew_with_the_comment_and_put_to_people_again_so_often_and_no_more(tmp_path: Path) -> None:
    run, request = waiting(tmp_path)
    say(request, "changes", reason="name the place")
    assert pipelines.drive(run)["state"] == "waiting"
    again = approving.request_of(run)
    said = services.document(again, actor=member("bob", "platform"))
    assert (said["arguments"]["output"]["text"], said["rounds_left"], said["step"]) == ("production; name the place", 0, "draft.2.approval")
    assert services.document(Request.objects.get(pk=request.pk), actor=member("bob", "platform"))["state"] == "changes"
    with pytest.raises(BadDecision, match="sent back 1 times"):
        say(again, "changes", reason="once more")
    say(again, "approved")
    said = pipelines.drive(run)
    assert (said["outcome"], said["result"]["text"]) == ("verified", "production; name the place")
    assert [step["key"] for step in said["steps"]] == ["draft", "draft.approval", "draft.2", "draft.2.approval", "verify"]


def test_whoever_sends_it_back_says_why(tmp_path: Path) -> None:
    _, request = waiting(tmp_path)
    with pytest.raises(BadDecision, match="asks for changes says why"):
        say(request, "changes", reason=" ")


def test_an_agent_that_takes_no_changes_is_asked_for_none(tmp_path: Path) -> None:
    _, request = waiting(tmp_path, takes="{type: object, properties: {feed: {type: string}}}")
    with pytest.raises(BadDecision, match="its input has no `changes`"):
        say(request, "changes")
    assert services.document(request, actor=member("bob", "platform"))["rounds_left"] == 0


def test_a_call_is_not_sent_back(tmp_path: Path) -> None:
    run, request = approving.waiting(tmp_path)
    with pytest.raises(BadDecision, match="decline it"):
        say(request, "changes")
    assert approving.calls(run) == 0


def test_a_node_puts_its_subject_to_people_and_gives_what_they_approved(tmp_path: Path) -> None:
    contract = ", output: {type: object, required: [to], properties: {to: {type: string}}, additionalProperties: false}"
    run, request = waiting(tmp_path, f"{GO % contract}\n- {{id: use, agent: worker, with: {{feed: =steps.go.to}}}}")
    said = services.document(request, actor=member("bob", "platform"))
    assert (request.kind, said["agent"], said["version"], said["about"]) == (Kind.SUBJECT, None, None, "step 'go'")
    with pytest.raises(BadDecision, match="breaks the contract"):
        say(request, "approved", arguments={"to": 3})
    say(request, "approved", arguments={"to": "staging"})
    assert pipelines.drive(run)["result"]["text"] == "staging"


def test_a_subject_of_which_the_pipeline_does_not_say_what_it_may_become_is_not_edited(tmp_path: Path) -> None:
    run, request = waiting(tmp_path, f"{GO % ''}\n- {{id: use, agent: worker, with: {{feed: =steps.go.to}}}}")
    with pytest.raises(BadDecision, match="write `output:`"):
        say(request, "approved", arguments={"to": "staging"})
    say(request, "approved")
    assert pipelines.drive(run)["result"]["text"] == "production"


def test_whoever_wrote_what_gave_the_result_or_published_the_pipeline_does_not_decide_on_it(tmp_path: Path) -> None:
    publish(tmp_path / "first")
    _, request = waiting(tmp_path / "second", DRAFT.replace("rounds: 1", "rounds: 2"), by=member("alice", "platform"))
    with pytest.raises(NotYours, match="you wrote or published"):
        say(request, "approved", by="alice")


def test_a_result_whose_maker_is_stopped_waits_for_the_end_of_that_and_is_asked_about_once_more_then(tmp_path: Path) -> None:
    run, request = waiting(tmp_path)
    stopped = registry.stop("agent", "worker", reason="looks odd", actor=SYSTEM)
    for _ in range(3):  # sweeps that look again ask nobody anew
        tend()
        pipelines.drive(run)
    assert [each.kind for each in Wait.objects.filter(run=run, state="open")] == ["stopped"]
    assert [each.watched for each in Request.objects.all()] == [False]
    registry.lift(str(stopped.id), actor=SYSTEM)
    runs.heed_stops(actor=SYSTEM)
    pipelines.drive(run)
    tend()
    assert [each.watched for each in Request.objects.order_by("pk")] == [False, True] and not Request.objects.get(pk=request.pk).watched
    say(Request.objects.get(watched=True), "approved")
    assert pipelines.drive(run)["outcome"] == "verified"


def test_whoever_changed_what_the_run_goes_on_with_does_not_approve_what_comes_of_it(tmp_path: Path) -> None:
    """But who had a result made anew looks at the next one of the same step."""
    run, request = waiting(tmp_path, f"{DRAFT}\n{DRAFT.replace('id: draft', 'id: then').replace('=input.feed', '=steps.draft.text')}")
    say(request, "changes", reason="say more")
    pipelines.drive(run)
    tend()
    again = Request.objects.get(watched=True)
    say(again, "approved", arguments={"output": {"text": "mine"}})
    pipelines.drive(run)
    tend()
    last = Request.objects.get(watched=True)
    with pytest.raises(NotYours, match="you changed what that run goes on with"):
        say(last, "approved")
    say(last, "approved", by="carol")
    assert pipelines.drive(run)["outcome"] == "verified"


def test_a_policy_that_changes_has_everything_asked_anew_under_the_new_one(tmp_path: Path) -> None:
    run, request = waiting(tmp_path)
    publish(tmp_path / "again", policy=f"{POLICY}\nreason: true")
    with pytest.raises(Voided):
        say(request, "approved")
    assert pipelines.drive(run)["state"] == "waiting"
    again = approving.request_of(run)
    assert (again.pk != request.pk, again.policy_number) == (True, 2)
    say(again, "approved")
    assert pipelines.drive(run)["outcome"] == "verified"


def test_a_policy_that_is_nowhere_denies(tmp_path: Path) -> None:
    publish(tmp_path, DRAFT.replace("editors", "nobodys"))
    from runs.services import start_run

    run = start_run(pipeline="sample", input={"feed": "production"}, actor=SYSTEM, ring=False)
    failure = pipelines.drive(run)["failure"]
    assert (failure["cause"], failure["step"]) == ("denied", "draft.approval")
    assert "policy 'nobodys', and none of this name is in force" in failure["message"]


def test_a_run_that_is_judged_again_asks_nobody(tmp_path: Path) -> None:
    from runs.services import reverify

    run, request = waiting(tmp_path)
    say(request, "approved", arguments={"output": {"text": "better"}})
    assert pipelines.drive(run)["outcome"] == "verified"
    again = reverify(run=str(run.pk), actor=SYSTEM, ring=False)
    said = pipelines.drive(again)
    assert (said["outcome"], said["steps"][0]["input"]["claim"]) == ("verified", {"text": "better"})


def test_the_shell_asks_for_changes_as_the_person_whose_token_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestra_site.tokens import create_token

    run, request = waiting(tmp_path)
    member("bob", "platform")
    monkeypatch.setenv("ORCHESTRA_TOKEN", create_token("bob", actor=SYSTEM, name="t", days=1).text)
    out = StringIO()
    call_command("decide", str(request.pk), "changes", reason="name the place", stdout=out)
    assert "sent back; the agent does it again" in " ".join(out.getvalue().split())
    pipelines.drive(run)
    out = StringIO()
    call_command("approvals", stdout=out)
    assert "for what 'worker' gave" in out.getvalue()
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("showrun", str(run.pk), stdout=out)
    assert "sent back" in out.getvalue() and "policy:editors" not in out.getvalue()


def test_the_record_of_a_run_names_people_where_it_names_no_agent(tmp_path: Path) -> None:
    run, _ = waiting(tmp_path)
    steps = {step["key"]: step["agent"] for step in run_document(Run.objects.get(pk=run.pk), actor=SYSTEM)["steps"]}
    assert steps == {"draft": "worker", "draft.approval": ""}
    assert json.dumps(run_document(Run.objects.get(pk=run.pk), actor=SYSTEM), default=str).count("policy:editors") == 0


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ("- {id: draft, agent: worker, with: {feed: =input.feed}, approve_when: output.nothing < 1}", "has no 'nothing'"),
        ("- {id: draft, agent: worker, with: {feed: =input.feed}, approve_when: =output.sure < 1}", "is a condition already"),
        ("- {id: draft, agent: worker, with: {feed: =input.feed}, approve_when: output.text}", "never true or false"),
        ("- {id: draft, agent: worker, with: {feed: =input.feed}, approve_when: {policy: editors}}", "write when: output.confidence < 0.8"),
        ("- {id: draft, agent: worker, with: {feed: =input.feed}, approve_when: {when: 'true', rounds: 11}}", "rounds"),
        ("- {id: draft, agent: worker, fallback: judge, with: {feed: =input.feed}, approve_when: 'true'}", "would be taken for its own"),
        ("- {id: go, approval: {policy: editors}}", "has no subject"),
        ("- {id: go, approval: {subject: {a: =steps.gone.x}}}", "no earlier step produces"),
        ("- {id: go, approval: {subject: {a: 1}, output: {type: object, properties: {a: {type: string}}}}}", "can never be"),
        ("- {id: go, approval: {subject: {a: 1}, approvers: [bob]}}", "approvers"),
        ("- {id: go, approval: {subject: {a: 1}}}", "verifies nothing"),
    ],
)
def test_what_could_not_be_asked_is_not_published(tmp_path: Path, steps: str, why: str) -> None:
    with pytest.raises(NotPublishable) as refused:
        publish(tmp_path, steps)
    assert any(why in problem.message for problem in refused.value.details["problems"])
