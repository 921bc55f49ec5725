"""Permissions granted and withdrawn at every door, and what each says of it."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError
from django.test import Client

from agents import registry
from agents.models import Agent, Team
from tests import pipelines
from tests.approving import member
from tests.pipelines import SYSTEM, agent
from tests.rest import Caller
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)
READ = "allow read feed:metrics"


@pytest.fixture(autouse=True)
def worker(tmp_path: Path) -> Agent:
    one = agent("worker", "work:run", more=f'uses: ["read feed:metrics"]\npermissions: ["{READ}"]')
    pipelines.publish(tmp_path / "p", functions="def run() -> dict:\n    return {}\n", agents=[one], steps="- {id: a, agent: worker}")
    member("alice", "platform")
    return Agent.objects.get(name="worker")


def held() -> list[str]:
    return list(Agent.objects.get(name="worker").permissions)


def test_the_command_shows_what_moved_and_what_is_refused_by_it() -> None:
    said = typed("permit", "agent", "worker", "--withdraw", READ, "--grant", "deny write deploy:*").out
    assert said.splitlines()[:3] == ["agent:worker: 1 permission (version 2)", f"    - {READ}", "    + deny write deploy:*"]
    assert "agent 'worker' uses 'read feed:metrics'" in said and held() == ["deny write deploy:*"]


def test_the_command_lists_every_problem_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError):
        typed("permit", "agent", "worker", "--grant", "allow raed feed:x", "--grant", "allow read fead:x")
    assert held() == [READ]


def test_a_dry_run_of_the_command_says_so_and_writes_nothing() -> None:
    said = typed("permit", "team", "platform", "--grant", "allow write deploy:staging", "--dry-run").out
    assert said.splitlines() == ["team:platform: 1 permission", "    + allow write deploy:staging", "dry run: nothing was written"]
    assert Team.objects.get(name="platform").permissions == []


def test_rest_says_what_moved_and_every_problem_with_its_number() -> None:
    alice = Caller.of(User.objects.get(username="alice"))
    done = alice.post("/agents/worker/permissions/", {"grant": ["allow  write deploy:x"]})
    assert (done.status, done.body["version"], done.body["granted"]) == (200, 2, ["allow write deploy:x"])
    refused = alice.post("/agents/worker/permissions/", {"grant": ["deny read feed:y", "allow raed feed:x"]})
    assert (refused.status, refused.code) == (422, "not-publishable")
    assert refused.body["problems"][0].startswith("permissions:2: ")
    team = alice.post("/teams/platform/permissions/", {"grant": ["allow write deploy:z"]})
    assert (team.status, team.body["version"], team.body["permissions"]) == (200, None, ["allow write deploy:z"])
    assert alice.post("/agents/worker/permissions/", {}).status == 422


def test_the_admin_grants_by_lines_and_withdraws_what_a_link_names(worker: Agent) -> None:
    client = Client()
    client.force_login(User.objects.get(username="alice"))
    page = f"/admin/agents/agent/{worker.pk}/"
    shown = client.get(f"{page}change/").content.decode()
    assert f'href="{page}grant/"' in shown and f'href="{page}withdraw/?permission=allow%20read%20feed%3Ametrics"' in shown
    done = client.post(f"{page}grant/", {"permissions": "allow write deploy:x\r\n\r\ndeny read feed:y\r\n"}, follow=True)
    assert "granted: allow write deploy:x; granted: deny read feed:y" in done.content.decode()
    filled = client.get(f"{page}withdraw/?permission=allow%20read%20feed%3Ametrics").content.decode()
    assert "allow read feed:metrics</textarea>" in filled
    client.post(f"{page}withdraw/", {"permission": READ})
    assert held() == ["allow write deploy:x", "deny read feed:y"]
    refused = client.post(f"{page}grant/", {"permissions": "allow raed feed:x"})
    assert refused.status_code == 422 and "raed" in refused.content.decode()


def test_an_onlooker_is_offered_nothing_and_told_why(worker: Agent) -> None:
    member("charlie")
    registry.show_team("platform", "charlie", actor=SYSTEM)
    client = Client()
    client.force_login(User.objects.get(username="charlie"))
    assert "grant/" not in client.get(f"/admin/agents/agent/{worker.pk}/change/").content.decode()
    assert "You may look at this" in client.get(f"/admin/agents/agent/{worker.pk}/grant/").content.decode()
    team = Team.objects.get(name="platform")
    assert "owns does this" in client.get(f"/admin/agents/team/{team.pk}/grant/").content.decode()
