"""What time, a stop and a sweep do to requests that nobody looks at."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from agents import registry
from agents.models import Stop
from approvals import services
from approvals.errors import Voided
from approvals.models import Decision, Request
from approvals.models import request as requests
from approvals.services import announcing, intake, stopping
from audit import clock, reports
from audit.models import Entry, Message
from runs import services as runs
from runs import sweeps
from runs.models import Run, Wait
from tests import approving, models, pipelines
from tests.approving import member
from tests.pipelines import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)
ESCALATING = """kind: policy
name: two
team: platform
approvers: {teams: [platform]}
within: 1h
silence: {escalate: {approvers: {people: [dora]}, within: 2h}}"""


def stop(scope: str, name: str = "") -> Stop:
    return runs.set_stop(scope=scope, name=name, reason="looking into it", actor=SYSTEM)


def verbs(run: Run) -> list[str]:
    found = Entry.objects.filter(run=run.id, verb__startswith="approvals.", seq__isnull=False).order_by("seq")
    return list(found.values_list("verb", flat=True))


def open_waits(run: Run) -> list[str]:
    return list(Wait.objects.filter(run=run, state="open").values_list("kind", flat=True))


SCOPES = [("everything", ""), ("team", "platform"), ("pipeline", "sample"), ("version", "sample@1"), ("agent", "worker"), ("version", "worker@1")]


@pytest.mark.parametrize(("scope", "name"), [*SCOPES, ("run", "")])
def test_a_stop_closes_the_requests_under_it_and_after_it_they_are_asked_anew(tmp_path: Path, scope: str, name: str) -> None:
    run, request = approving.waiting(tmp_path)
    bob = member("bob", "platform")
    row = stop(scope, str(run.id) if scope == "run" else name)
    sweeps.sweep()
    assert verbs(run) == ["approvals.request.voided"]
    with pytest.raises(Voided, match=r"has been stopped since .*, so nothing was decided: its step asks anew"):
        services.decide(request=str(request.pk), decision="approved", reason="go", actor=bob)
    pipelines.drive(run)
    assert (open_waits(run), approving.calls(run), Decision.objects.count()) == (["stopped"], 0, 0)
    runs.lift_stop(stop=str(row.id), actor=SYSTEM)
    pipelines.drive(run)
    again = approving.request_of(run)
    assert again.pk != request.pk and open_waits(run) == ["approval"]
    services.decide(request=str(again.pk), decision="approved", reason="go", actor=bob)
    assert (pipelines.drive(run)["outcome"], approving.calls(run)) == ("verified", 1)


def of_a_model(path: Path) -> Run:
    models.priced()
    writer = models.agent(permissions='["require_approval call model:reasoning"]')
    models.publish(path, models.alias(endpoint="http://127.0.0.1:1"), writer)
    return pipelines.start(input={"about": "rain"})


def of_a_tool(path: Path) -> Run:
    reader = f"kind: agent\nname: reader\nteam: platform\nrole: gather\npurpose: Read.\nrun: {{tool: fetch}}\ntimeout: 2s\n{FETCHES}"
    pipelines.publish(path, steps="- {id: only, agent: reader, with: {url: =input.url}}", agents=[reader], functions="")
    return pipelines.start(input={"url": "http://127.0.0.1:1/"})


FETCHES = 'permissions: ["require_approval read network:*"]'


@pytest.mark.parametrize(("scope", "name", "begun"), [("alias", "reasoning", of_a_model), ("tool", "fetch", of_a_tool)])
def test_a_stop_of_what_is_asked_closes_the_requests_to_ask_it(tmp_path: Path, scope: str, name: str, begun: Callable[[Path], Run]) -> None:
    run = begun(tmp_path)
    said = pipelines.drive(run)
    assert said["state"] == "waiting", said["failure"]
    approving.request_of(run)
    services.tend()
    assert open_waits(run) == ["approval"]
    stop(scope, name)
    services.tend()
    assert (verbs(run), open_waits(run)) == (["approvals.request.voided"], [])


def test_requests_of_other_versions_keep_nobodys_from_being_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "MOST", 1)
    first, _ = approving.waiting(tmp_path / "function")
    tool = f"kind: agent\nname: worker\nteam: platform\nrole: gather\npurpose: Read.\nrun: {{tool: fetch}}\ntimeout: 2s\n{FETCHES}"
    pipelines.publish(tmp_path / "tool", steps="- {id: only, agent: worker, with: {url: =input.url}}", agents=[tool], functions="")
    second = pipelines.start(input={"url": "http://127.0.0.1:1/"})
    pipelines.drive(second)
    approving.request_of(second)
    stop("tool", "fetch")
    services.tend()
    assert (open_waits(first), open_waits(second)) == (["approval"], [])


def test_however_many_policies_have_changed_what_was_asked_under_each_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MOST_POLICIES", 1)
    member("dora")
    approving.publish(tmp_path, rule=f"{approving.RULE} policy two", policy=ESCALATING)
    run, _ = approving.started()
    monkeypatch.setattr(registry, "policy_numbers", lambda: {"another": 2, "two": 2, "yet-another": 3})
    services.tend()
    assert (verbs(run), open_waits(run)) == (["approvals.request.voided"], [])


@pytest.mark.parametrize(("scope", "name"), [("agent", "judge"), ("version", "worker@2"), ("pipeline", "other")])
def test_a_stop_of_something_else_leaves_them_open(tmp_path: Path, scope: str, name: str) -> None:
    run, _ = approving.waiting(tmp_path)
    approving.publish(tmp_path / "second", more="risk_tier: high")  # so that there is another version
    other = {"functions": approving.WORK, "agents": [pipelines.agent("reader", "work:run")]}
    pipelines.publish(tmp_path / "other", name="other", steps="- {id: look, agent: reader, with: {feed: a}}", **other)
    stop(scope, name)
    services.tend()
    assert (verbs(run), open_waits(run)) == ([], ["approval"])


def test_a_sweep_takes_in_what_nobody_has_looked_at_and_puts_it_to_the_next_stage(tmp_path: Path) -> None:
    member("dora")
    approving.publish(tmp_path, rule=f"{approving.RULE} policy two", policy=ESCALATING)
    run = pipelines.start(input={"feed": "production"})
    pipelines.drive(run)
    sweeps.sweep()
    request = Request.objects.get(wait__run=run)
    assert request.look_at == request.wait.opened_at + timedelta(hours=1)
    approving.age(request, timedelta(hours=1, seconds=1))
    sweeps.sweep()
    sweeps.sweep()
    request.refresh_from_db()
    assert (verbs(run), request.escalated_to, request.look_at) == (["approvals.request.escalated"], 1, request.wait.expires_at)


def test_the_end_of_what_a_cancelled_run_has_asked_is_announced_at_once(tmp_path: Path) -> None:
    approving.publish(tmp_path)
    run, request = approving.started()
    _, other = approving.started()
    runs.cancel_run(run=str(run.id), actor=SYSTEM)
    sweeps.sweep()
    request.refresh_from_db()
    other.refresh_from_db()
    announced = Message.objects.filter(topic=announcing.TOPIC, payload__event="approval.ended").values_list("payload__request", flat=True)
    assert ([request.watched, other.watched], list(announced)) == ([False, True], [str(request.pk)])
    assert request.look_at > clock.now()
    sweeps.sweep()
    assert announced.count() == 1


def test_however_many_are_open_whatever_is_due_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MOST", 1)
    member("dora")
    approving.publish(tmp_path, rule=f"{approving.RULE} policy two", policy=ESCALATING)
    _, first = approving.started()
    _, second = approving.started()
    approving.age(first, timedelta(minutes=10))  # sooner, and nothing is due of it
    approving.age(second, timedelta(hours=1, seconds=1))
    services.tend()
    second.refresh_from_db()
    assert second.escalated_to == 1


def test_work_beside_a_sweep_that_fails_keeps_nothing_else_from_being_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> None:
        raise ValueError("no luck")

    run, _ = approving.waiting(tmp_path)
    stop("everything")
    monkeypatch.setattr(sweeps, "_beside", [failing, *sweeps._beside])
    sweeps.sweep()
    assert verbs(run) == ["approvals.request.voided"]


def test_what_was_approved_and_taken_up_by_no_worker_in_time_says_so_and_that_nothing_was_done(tmp_path: Path) -> None:
    """The row is held against what a person reads before anybody has written its end, and after."""
    run, request = approving.waiting(tmp_path)
    services.decide(request=str(request.pk), decision="approved", reason="go", actor=member("bob", "platform"))
    Run.objects.filter(id=run.id).update(deadline_at=clock.now() - timedelta(minutes=1))
    before = pipelines.document(run)
    assert (before["outcome"], before["failure"]["owner"]) == ("failed", "pipeline:sample")
    sweeps.sweep()
    said = pipelines.document(run)
    assert (said["failure"]["cause"], said["failure"]["owner"], approving.calls(run)) == ("deadline", "pipeline:sample", 0)
    assert "'work' had the answer that it waited for, and no worker went on with it" in said["failure"]["message"]
    assert said["not_undone"] == []
    (finished,) = [entry for entry in reports.entries_of(run.id) if entry["verb"] == "runs.run.finished"]
    assert "not_undone" not in finished["facts"]


def test_a_run_that_no_worker_began_in_time_says_so(tmp_path: Path) -> None:
    pipelines.publish(tmp_path / "p", functions=approving.WORK, agents=[pipelines.agent("worker", "work:run")], steps=approving.STEPS)
    run = pipelines.start(input={"feed": "a"})
    Run.objects.filter(id=run.id).update(deadline_at=clock.now() - timedelta(minutes=1))
    sweeps.sweep()
    assert "and was not finished: no worker began it" in pipelines.document(run)["failure"]["message"]
