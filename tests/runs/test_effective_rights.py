"""A run has no more rights than its agents, the pipelines above it, and the person who started it: at the boundary, for every call."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.db import connections

from agents import registry
from agents.models import GrantUse, Pipeline
from approvals.errors import NotYours
from approvals.services import deciding, parts
from audit import clock
from audit.actors import Actor
from audit.models import Entry
from runs import services
from runs.boundary.sending import Boundary
from runs.models import Call, Run
from tests import approving, families, feeds, pipelines
from tests.families import INNER, pipeline
from tests.pipelines import SYSTEM, agent
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)
Publish = Callable[..., None]

WORK = """
import orchestra, time
from pathlib import Path

def run(to: str = "staging", url: str = "", log: str = "", **_) -> dict:
    if log:
        Path(log).touch()
        orchestra.progress("begun")
        for _ in range(600):
            if Path(log + ".go").exists():
                break
            time.sleep(0.05)
    if url:
        try:
            orchestra.call("fetch", {"url": url})
        except orchestra.Denied as error:
            return {"denied": str(error)}
    return {"to": to}
"""
ONE = "- {id: work, agent: worker, with: {to: =input.to, url: =input.url, log: =input.log}}"
START = {"to": "staging", "url": "", "log": ""}
DEPLOYS = "allow write deploy:*"


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    def published(*own: str, bound: tuple[str, ...] | None = None, steps: str = ONE, uses: str = '["write deploy:{input.to}"]') -> None:
        lines = "".join(f"\n  - {line}" for line in own) or " []"
        worker = agent("worker", "work:run", role="act", more=f"mode: read\nuses: {uses}\npermissions:{lines}")
        more = "" if bound is None else "permissions:" + ("".join(f"\n  - {line}" for line in bound) or " []") + "\n"
        pipelines.publish(tmp_path / "p", functions=WORK, agents=[worker], steps=steps, more=more)

    return published


def ran(**given: Any) -> dict[str, Any]:
    return pipelines.run(input=START | given)


def said(run: dict[str, Any]) -> tuple[str, str]:
    return (run["failure"]["cause"], run["failure"]["message"]) if run["failure"] else (run["outcome"], "")


def sent(run: dict[str, Any]) -> int:
    return Call.objects.filter(run=run["id"], step="work").count()


# --- pipelines -------------------------------------------------------------------------------------------------------


def test_a_pipeline_that_says_nothing_narrows_nothing(publish: Publish) -> None:
    publish(DEPLOYS)
    assert Pipeline.objects.get().permissions is None
    assert ran()["outcome"] == "verified"


def test_what_none_of_a_pipelines_permissions_allows_is_denied_whatever_its_agent_may(publish: Publish) -> None:
    publish(DEPLOYS, bound=("allow write deploy:staging",))
    assert ran()["outcome"] == "verified"
    run = ran(to="production")
    cause, message = said(run)
    assert (cause, sent(run)) == ("denied", 0)
    assert "pipeline 'sample' does not allow it: no permission allows it" in message and "(in the document of pipeline 'sample')" in message
    assert (run["failure"]["owner"], run["failure"]["team"]) == ("pipeline:sample", "platform")
    assert Entry.objects.filter(run=run["id"], verb="runs.step.failed").exists()


def test_a_pipeline_allows_nothing_that_its_agent_may_not(publish: Publish) -> None:
    publish("allow write deploy:staging", bound=("allow write deploy:*",))
    cause, message = said(ran(to="production"))
    assert cause == "denied" and "pipeline" not in message


def test_a_deny_of_a_pipeline_wins(publish: Publish) -> None:
    publish(DEPLOYS, bound=(DEPLOYS, "deny write deploy:production"))
    assert ran()["outcome"] == "verified"
    assert "wins over whatever allows it" in said(ran(to="production"))[1]


def test_an_empty_list_lets_runs_do_nothing_that_needs_a_permission(publish: Publish) -> None:
    publish(DEPLOYS, bound=(), uses="[]")
    assert ran()["outcome"] == "verified"
    with feeds.feed() as feed:
        publish(f"allow read network:{feed.endpoint}", bound=(), uses="[]")
        assert "pipeline 'sample' does not allow it" in ran(url=f"{feed.url}/ok")["result"]["denied"]
    assert feed.paths == []


def test_what_a_pipeline_lets_its_runs_do_is_live_for_runs_at_work(publish: Publish, tmp_path: Path) -> None:
    two = f"{ONE}\n- {{id: then, agent: worker, with: {{to: =input.to}}}}"
    publish(DEPLOYS, bound=(DEPLOYS,), steps=two)
    log = tmp_path / "log"
    run = pipelines.start(input=START | {"log": str(log)})
    bound = ("{deny: 'write deploy:*', when: \"args.to == 'staging'\"}", DEPLOYS)
    document = changed_at_work(run, log, lambda: publish(DEPLOYS, bound=bound, steps=two))
    assert said(document)[0] == "denied" and "pipeline 'sample'" in said(document)[1]


def changed_at_work(run: Run, log: Path, change: Callable[[], Any]) -> dict[str, Any]:
    """Drive a run whose first step has begun when `change` is made, and ends when its engine has looked again since: it looks twice a second."""
    looked: list[datetime] = []
    look = Boundary.look

    def told(boundary: Boundary, stands: Any, *, asked_at: datetime) -> None:
        look(boundary, stands, asked_at=asked_at)
        looked.append(asked_at)

    def beside() -> None:
        try:
            until(log.exists, "the beginning of its first step")
            change()
            changed = clock.now()
            until(lambda: any(each > changed for each in looked), "a look after the change")
            Path(f"{log}.go").touch()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool, mock.patch.object(Boundary, "look", told):
        made = pool.submit(beside)
        document = pipelines.drive(run)
        made.result()
    return document


def test_a_pipelines_rate_counts_over_all_its_runs_and_says_whose_it_is(publish: Publish) -> None:
    publish(DEPLOYS, bound=("allow write deploy:* rate 2/1d",))
    assert [ran()["outcome"] for _ in range(2)] == ["verified"] * 2
    cause, message = said(run := ran())
    assert (cause, sent(run)) == ("rate", 0)
    assert "the permission \"allow write deploy:* rate 2/1d\" of pipeline 'sample' is used up" in message
    assert GrantUse.objects.get(agent="pipeline:sample").recent and GrantUse.objects.get(agent="worker").recent == []


def test_an_observed_line_of_a_pipeline_is_recorded_and_refuses_nothing(publish: Publish) -> None:
    publish(DEPLOYS, bound=(DEPLOYS, "deny write deploy:* observe"))
    run = ran()
    assert run["outcome"] == "verified"
    assert pipelines.step(run, "work")["calls"][0]["observed"] == ["deny write deploy:* observe"]


def test_a_childs_network_needs_the_pipelines_word_too(publish: Publish) -> None:
    work = pipelines.step
    publish("allow connect network:*", bound=("allow connect network:*",), uses="[]")
    assert work(ran(), "work")["calls"][0]["contained"] is False
    publish("allow connect network:*", bound=("allow read network:*",), uses="[]")
    assert work(ran(), "work")["calls"][0]["contained"] is True


def test_the_pipelines_of_all_runs_above_bound_a_child_run(tmp_path: Path) -> None:
    actor = agent("deployer", "work:use", role="act", more='mode: read\nuses: ["write deploy:staging"]\npermissions: ["allow write deploy:*"]')
    inner = pipeline("inner", "- {id: act, agent: deployer, with: {got: 1}}")
    for bound, outcome in (("allow write deploy:*", "verified"), ("allow write deploy:other", "failed")):
        steps = ("- {id: sub, pipeline: inner, with: {n: 1}}",)
        registry.apply_folder(
            families.folder(tmp_path / "p", inner, steps=steps, agents=(actor,), more=f'permissions: ["{bound}"]\n'), actor=SYSTEM, publish=True
        )
        run = pipelines.run(input={})
        assert run["outcome"] == outcome
    assert run["failure"]["cause"] == "denied" and "pipeline 'sample' does not allow it" in run["failure"]["message"]
    assert Call.objects.filter(agent="deployer").count() == 1


def test_an_approval_that_a_pipeline_asks_for_is_given_by_nobody_who_granted_that(tmp_path: Path) -> None:
    asks = 'permissions: ["require_approval write deploy:*"]\n'
    deployment(tmp_path / "p", by=SYSTEM)
    alice, bob, carol = (approving.member(name, "platform") for name in ("alice", "bob", "carol"))
    deployment(tmp_path / "p", asks, by=alice)
    deployment(tmp_path / "p", f"{asks}purpose: Another version.\n", by=carol)  # who wrote it has granted nothing
    run, request = approving.started()
    assert [(each["permission"], each["holder"]) for each in _asked(run)] == [("require_approval write deploy:*", "pipeline:sample")]
    with pytest.raises(NotYours, match="granted"):
        deciding.decide(request=str(request.pk), decision="approved", actor=alice)
    assert approving.calls(run) == 0
    deciding.decide(request=str(request.pk), decision="approved", actor=bob)
    assert pipelines.drive(run)["outcome"] == "verified" and approving.calls(run) == 1


def test_a_yes_is_worth_nothing_once_the_pipeline_denies_it(tmp_path: Path) -> None:
    asks = 'permissions: ["require_approval write deploy:*"]\n'
    deployment(tmp_path / "p", asks, by=SYSTEM)
    bob = approving.member("bob", "platform")
    run, request = approving.started()
    deciding.decide(request=str(request.pk), decision="approved", actor=bob)
    Pipeline.objects.update(permissions=["deny write deploy:*"])
    document = pipelines.drive(run)
    assert (document["failure"]["cause"], approving.calls(run)) == ("denied", 0)


def deployment(path: Path, more: str = "", *, by: Actor) -> None:
    worker = agent("worker", "work:act", role="act", more='uses: ["write deploy:{input.feed}"]\npermissions: ["allow write deploy:*"]')
    folder = pipelines.folder(path, functions=approving.WORK, agents=[worker], steps=approving.STEPS, more=more)
    registry.apply_folder(folder, actor=by, publish=True)


def _asked(run: Run) -> list[dict[str, str]]:
    return list(parts.asked_for(approving.request_of(run))["uses"])


# --- people ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def starter(publish: Publish, alice: User) -> Actor:
    publish(DEPLOYS)
    return approving.member("alice", "platform")


def started_by(actor: Actor, **given: Any) -> Run:
    return services.start_run(pipeline="sample", input=START | given, actor=actor, ring=False)


LOST = [
    (lambda: registry.remove_member("platform", "alice", actor=SYSTEM), "does not belong to team 'platform'"),
    (lambda: registry.set_active("alice", active=False, actor=SYSTEM), "may not sign in any more"),
    (lambda: registry.add_to_group("approver", "alice", actor=SYSTEM), "may not start runs of team 'platform' with their role"),
    (lambda: User.objects.filter(username="alice").delete(), "has no account here any more"),
]


@pytest.mark.parametrize(("lose", "why"), LOST)
def test_a_run_has_no_more_rights_than_whoever_started_it(starter: Actor, lose: Callable[[], Any], why: str) -> None:
    assert pipelines.drive(started_by(starter))["outcome"] == "verified"
    run = started_by(starter)
    lose()
    document = pipelines.drive(run)
    assert (document["outcome"], *said(document)[:1], sent(document)) == ("failed", "denied", 0)
    assert f"on behalf of 'alice', who {why}" in said(document)[1]
    assert "somebody who may start runs of team 'platform' starts it anew" in said(document)[1]
    assert Entry.objects.filter(run=run.id, verb="runs.step.failed").exists()
    assert ran()["outcome"] == "verified"  # what the system starts is made on nobody's behalf


def test_it_is_felt_by_a_run_at_work_at_its_next_call(publish: Publish, starter: Actor, tmp_path: Path) -> None:
    publish(DEPLOYS, steps=f"{ONE}\n- {{id: then, agent: worker, with: {{to: =input.to}}}}")
    log = tmp_path / "log"
    run = started_by(starter, log=str(log))

    document = changed_at_work(run, log, lambda: registry.remove_member("platform", "alice", actor=SYSTEM))
    assert said(document)[0] == "denied" and "does not belong to team" in said(document)[1]
    assert [call.step for call in Call.objects.filter(run=run.id)] == ["work"]


def test_whoever_administers_keeps_what_they_started_and_a_role_that_starts_runs_is_enough(starter: Actor) -> None:
    run = started_by(starter)
    registry.add_to_group("operator", "alice", actor=SYSTEM)
    assert pipelines.drive(run)["outcome"] == "verified"
    run = started_by(starter)
    registry.remove_member("platform", "alice", actor=SYSTEM)
    User.objects.filter(username="alice").update(is_superuser=True)
    assert pipelines.drive(run)["outcome"] == "verified"


def test_a_child_run_is_made_on_behalf_of_whoever_started_the_first(tmp_path: Path, alice: User) -> None:
    registry.apply_folder(families.folder(tmp_path / "p", INNER), actor=SYSTEM, publish=True)
    actor = approving.member("alice", "platform")
    assert pipelines.drive(services.start_run(pipeline="sample", input={"n": 2}, actor=actor, ring=False))["outcome"] == "verified"
    run = services.start_run(pipeline="sample", input={"n": 2}, actor=actor, ring=False)
    registry.set_active("alice", active=False, actor=SYSTEM)
    document = pipelines.drive(run)
    assert document["failure"]["cause"] == "denied" and "may not sign in any more" in document["failure"]["message"]
    assert not Call.objects.filter(run__root_run=run.id).exists()


def test_whoever_judges_a_run_again_needs_what_that_takes(starter: Actor) -> None:
    old = pipelines.drive(started_by(starter))
    new = services.reverify(run=old["id"], actor=starter)
    registry.add_to_group("integration", "alice", actor=SYSTEM)
    document = pipelines.drive(new)
    assert "may not judge runs again of team 'platform'" in document["failure"]["message"]
    assert "somebody who may judge runs again of team 'platform' judges it again" in document["failure"]["message"]
