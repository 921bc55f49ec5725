"""What the inventory says of agents and pipelines that have run, in the command and in the admin; and what that costs with many of them."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents import registry
from agents.models import Team
from audit import clock
from runs.admin import lately
from runs.models import Call, Run, Step
from tests import approving, pipelines
from tests.doors import world
from tests.pipelines import SYSTEM, agent
from tests.rest import Caller

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
def work(fail: bool = False, **_) -> dict:
    if fail:
        raise ValueError("no luck")
    return {"n": 1}
"""


def publish(path: Path, name: str = "sample") -> None:
    pipelines.publish(
        path / name, name=name, steps="- {id: only, agent: worker, with: {fail: =input.fail}}", agents=[agent("worker", "work:work")], functions=WORK
    )


def ran(name: str = "sample", *, fail: bool = False) -> Run:
    run = pipelines.start(name, input={"fail": fail})
    pipelines.drive(run)
    return Run.objects.get(pk=run.pk)


def document(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("inventory", *arguments, "--json", stdout=out)
    parsed: dict[str, Any] = json.loads(out.getvalue())
    return parsed


def told(kind: str, name: str) -> dict[str, Any]:
    return next(row for row in document(kind)[kind] if row["name"] == name)


def test_agents_and_pipelines_say_when_they_ran_last_and_what_came_of_it(tmp_path: Path) -> None:
    publish(tmp_path)
    good, bad = ran(), ran(fail=True)
    assert told("pipelines", "sample")["last_run"] == {"run": str(bad.id), "at": told("pipelines", "sample")["last_run"]["at"], "reads_as": "failed"}
    worker, judge = told("agents", "worker"), told("agents", "judge")
    assert (worker["last_run"]["run"], worker["last_run"]["reads_as"]) == (str(bad.id), "failed")
    assert (judge["last_run"]["run"], judge["last_run"]["reads_as"]) == (str(good.id), "verified")
    assert good.finished_at is not None and bad.outcome == "failed"
    assert worker["last_verified_at"] == judge["last_verified_at"] and worker["last_verified_at"].startswith(
        good.finished_at.strftime("%Y-%m-%dT%H:%M:%S")
    )


def test_what_somebody_made_verified_in_the_database_reads_broken_and_verifies_nobody(tmp_path: Path) -> None:
    publish(tmp_path)
    run = ran(fail=True)
    Run.objects.filter(id=run.id).update(outcome="verified")
    assert told("pipelines", "sample")["last_run"]["reads_as"] == "broken"
    assert told("agents", "worker")["last_run"]["reads_as"] == "broken" and told("agents", "worker")["last_verified_at"] is None


def test_a_run_that_has_not_ended_reads_as_its_state_and_a_child_is_not_its_pipelines_last(tmp_path: Path) -> None:
    publish(tmp_path)
    ended, live = ran(), pipelines.start("sample")
    assert told("pipelines", "sample")["last_run"]["reads_as"] == "queued"
    Run.objects.filter(id=live.id).update(parent_run=ended, root_run=ended, parent_step="only", depth=2)
    assert told("pipelines", "sample")["last_run"]["run"] == str(ended.id)


def test_the_columns_say_the_days_and_what_the_last_run_reads_as(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    publish(tmp_path)
    day, out = ran().created_at.date().isoformat(), StringIO()
    call_command("inventory", stdout=out)
    rows = [line.split() for line in out.getvalue().splitlines()]
    assert ["worker", "platform", "decide", "active", "1", day, day] in rows
    assert any(row[:1] == ["sample"] and row[-2:] == [day, "verified"] for row in rows)


def test_many_pipelines_that_have_run_cost_the_command_no_more_statements_than_one(tmp_path: Path) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as statements:
            assert all(row["last_run"]["reads_as"] == "verified" for row in document("pipelines")["pipelines"])
        return len(statements)

    publish(tmp_path)
    ran()
    one = asked()
    for number in range(8):
        publish(tmp_path, f"sample-{number}")
        ran(f"sample-{number}")
    assert asked() == one <= 6


def test_the_page_of_all_agents_asks_as_much_for_many_that_have_run_as_for_two(tmp_path: Path) -> None:
    publish(tmp_path)
    registry.create_person("root", actor=SYSTEM, administrator=True)
    client: Client = world.signed_in("root")
    page = reverse("admin:agents_agent_changelist")

    def asked() -> int:
        client.get(page)
        with CaptureQueriesContext(connection) as statements:
            assert "not lately" not in client.get(page).content.decode()
        return len(statements)

    ran()
    two = asked()
    for number in range(5):
        worker = agent(f"worker-{number}", "work:work")
        pipelines.publish(
            tmp_path / str(number), name=f"own-{number}", steps=f"- {{id: only, agent: worker-{number}}}", agents=[worker], functions=WORK
        )
        ran(f"own-{number}")
    assert asked() == two


def test_what_others_do_with_an_agent_hides_no_run_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lately, "NEWEST", 2)
    monkeypatch.setattr(lately, "AT_ONCE", 3)  # so that one look takes two statements
    publish(tmp_path)
    own, *others = [ran() for _ in range(4)]
    red = Team.objects.create(name="red", created_at=clock.now())
    Run.objects.filter(id__in=[run.id for run in others]).update(team=red)
    alice = approving.member("alice", "platform")
    assert [run.id for run in lately.lately(["worker"], alice)["worker"]] == [own.id]
    assert [run.id for run in lately.lately(["worker"], SYSTEM)["worker"]] == [run.id for run in (*reversed(others), own)]


def test_a_run_with_many_steps_hides_none_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lately, "NEWEST", 2)
    publish(tmp_path)
    first, second = ran(), ran()
    step = Step.objects.get(run=second, agent="worker")
    for number in range(4):
        step.pk, step.key = None, f"only/{number}"
        step.save(force_insert=True)
    assert [run.id for run in lately.lately(["worker"], SYSTEM)["worker"]] == [second.id, first.id]


def test_over_rest_it_is_the_same_and_says_of_which_agent_nothing_kept_the_code_from_the_network(tmp_path: Path) -> None:
    publish(tmp_path)
    ran()
    Call.objects.filter(agent="worker").update(contained=False)
    Call.objects.filter(agent="judge").update(contained=True)
    alice = Caller.of(User.objects.get(username=approving.member("alice", "platform").id))
    assert alice.get("/inventory/").body["items"] == document("agents")["agents"]
    assert [(each["name"], each["uncontained"]) for each in alice.get("/inventory/?role=decide").body["items"]] == [("worker", True)]
    assert not Caller.of(User.objects.get(username=approving.member("charlie").id)).get("/inventory/").body["items"]
    out = StringIO()
    call_command("inventory", "agents", stdout=out)
    assert [line.split()[-1] for line in out.getvalue().splitlines()] == ["uncontained", "–", "yes"]
