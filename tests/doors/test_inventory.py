"""The command inventory: what there is, in columns and as one document."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from agents import registry
from agents.models import Agent, Pipeline, Team
from audit.actors import Actor
from tests.agents.folders import READER, numbers
from tests.agents.inventory import MEMBER, SYSTEM
from tests.doors import world
from tests.rest import Caller

pytestmark = pytest.mark.django_db


def said(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("inventory", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def document(*arguments: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(said(*arguments, "--json")[0])
    return parsed


def refused(*arguments: str) -> str:
    err = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("inventory", *arguments, stdout=StringIO(), stderr=err)
    assert ended.value.code == 2
    return err.getvalue()


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    monkeypatch.setenv("COLUMNS", "80")
    folder = numbers(tmp_path / "one")
    call_command("apply", "-f", str(folder), "--publish", stdout=StringIO())
    call_command("apply", "-f", str(numbers(folder, reader=READER.replace("5s", "9s"))), stdout=StringIO())
    return Pipeline.objects.get()


def test_agents_and_pipelines_stand_in_columns_that_fit_in_80(published: Pipeline) -> None:
    assert published.current_release is not None
    out = said()[0]
    rows = [line.split() for line in out.splitlines()]
    assert ["reader", "platform", "gather", "active", "1,", "2", "draft", "–", "–"] in rows
    assert ["numbers", "platform", "active", published.current_release.digest[:12], "1", "–", "–"] in rows
    assert max(map(len, out.splitlines())) <= 80


def test_one_pipeline_is_shown_with_the_releases_that_a_rollback_takes(published: Pipeline) -> None:
    call_command("publish", "reader", stdout=StringIO())
    call_command("publish", "numbers", stdout=StringIO())
    digests = {release.digest[:12] for release in published.releases.all()}
    assert len(digests) == 2
    assert digests <= set(said("numbers")[0].split())
    shown = document("numbers")
    assert [release["current"] for release in shown["releases"]] == [True, False]
    assert [version["number"] for version in document("reader")["versions"]] == [2, 1]


def test_the_document_is_of_what_was_asked(published: Pipeline) -> None:
    assert set(document()) == {"agents", "pipelines", "teams", "aliases"}
    assert [(row["name"], row["published"], row["draft"]) for row in document("agents")["agents"]] == [("auditor", 1, None), ("reader", 1, 2)]
    assert document("teams")["teams"][0] | {"created_at": ""} == {
        "name": "platform",
        "accountable": "",
        "permissions": [],
        "observe": False,
        "verbs": [],
        "resources": [],
        "notices": [],
        "created_at": "",
        "agents": 2,
        "pipelines": 1,
    }
    assert document("pipelines", "--team", "platform")["pipelines"][0]["last_run"] is None


def test_what_is_not_there_is_refused_with_what_is_near(published: Pipeline) -> None:
    assert "did you mean 'reader'?" in refused("raeder")
    assert "there is no team 'nobody'" in refused("--team", "nobody")
    assert "leave one of them out" in refused("reader", "--team", "platform")


def test_an_empty_inventory_says_how_to_begin() -> None:
    assert "manage.py new pipeline NAME" in said()[1]


def test_hostile_text_is_shown_as_text(published: Pipeline) -> None:
    type(published.team).objects.update(accountable="a\x1b[31mred\u202e")
    assert "a␛[31mred<U+202E>" in said("teams")[0]


def test_after_a_pipelines_rollback_the_version_that_runs_is_shown_and_not_the_newest(published: Pipeline, alice: User) -> None:
    call_command("publish", "reader", stdout=StringIO())
    call_command("publish", "numbers", stdout=StringIO())
    call_command("rollback", "numbers", stdout=StringIO())
    (reader,) = [row for row in document("agents")["agents"] if row["name"] == "reader"]
    assert (reader["published"], reader["runs"]) == (2, {"numbers": 1})
    assert "1 (2 published)" in said("reader")[0]
    assert document("auditor")["agent"]["runs"] == {"numbers": 1} and "(1 published)" not in said("auditor")[0]
    registry.add_member("platform", "alice", actor=Actor.system("test"))
    assert Caller.of(alice).get("/agents/reader/").body["runs"] == {"numbers": 1}
    User.objects.filter(username="alice").update(is_staff=True)
    page = world.signed_in("alice").get(f"/admin/agents/agent/{Agent.objects.get(name='reader').pk}/change/").content.decode()
    assert "Version 2 is the published one, and no pipeline shown to you runs it" in page and "runs version 1" in page
    assert "5.00 s" in page and "9.00 s" not in page.partition('id="versions"')[0]


def test_a_version_that_runs_is_told_only_of_pipelines_that_are_shown(published: Pipeline) -> None:
    Team.objects.create(name="others", created_at=published.created_at)
    Pipeline.objects.update(team=Team.objects.get(name="others"))
    assert registry.versions_run(["reader", "auditor"], actor=MEMBER) == {}
    assert [one.number for one in registry.versions_run(["reader"], actor=SYSTEM)["reader"]] == [1]
    Pipeline.objects.update(state="retired")
    assert registry.versions_run(["reader"], actor=SYSTEM) == {}


def test_a_team_is_shown_with_what_it_owns_and_an_agent_with_what_its_team_grants(published: Pipeline) -> None:
    Team.objects.update(permissions=["allow read feed:*"])
    shown = document("platform")
    assert set(shown) == {"team", "agents", "pipelines", "aliases"} and shown["team"]["name"] == "platform"
    assert [row["name"] for row in shown["agents"]] == ["auditor", "reader"] and shown["agents"][0]["team_permissions"] == ["allow read feed:*"]
    assert "platform" in said("platform")[0]
    assert "did you mean 'platform'?" in refused("platfrom")
