"""The inventory over REST: what is shown, and each change with its effect and its refusal."""

import json
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from agents import registry
from agents.models import Agent, ModelAlias, Pipeline, Release, Team
from audit import clock
from audit.models import Entry
from runs.models import Run
from tests import pipelines
from tests.doors import world
from tests.pipelines import SYSTEM
from tests.rest import Caller

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def draft(folder: Path) -> Path:
    """The published pipeline, applied again with another function and another bound: a draft."""
    (folder / "work.py").write_text("def work() -> dict:\n    return {'more': 1}\n")
    file = folder / "pipeline.yaml"
    file.write_text(file.read_text().replace("maximum: 9", "maximum: 8"))
    registry.apply_folder(folder, actor=SYSTEM)
    return folder


@pytest.fixture
def manager(caller: Caller) -> Caller:
    """Alice, who may also manage people."""
    registry.permit_person("alice", "manage-people", allowed=True, actor=SYSTEM)
    return caller


def recorded(verb: str) -> bool:
    return Entry.objects.filter(verb=verb, actor="alice").exists()


# --- pipelines -----------------------------------------------------------------------------------------------------


def test_a_pipeline_is_shown_with_the_input_that_a_run_takes(caller: Caller) -> None:
    (listed,) = caller.get("/pipelines/?team=platform&state=active").body["items"]
    shown = caller.get("/pipelines/sample/").body
    assert shown["input"]["properties"]["number"]["maximum"] == 9
    assert (shown["version"], shown["published"], shown["draft"], shown["agents"]) == (1, 1, None, {"judge": 1, "worker": 1})
    assert listed["release"] == shown["release"] == Release.objects.get().digest
    assert caller.get("/pipelines/?state=retired").body["items"] == []


def test_the_preview_and_the_answer_of_applying_say_what_changed_in_the_code(caller: Caller, draft: Path) -> None:
    files = {path.name: path.read_text() for path in draft.iterdir() if path.is_file()}
    (code,) = caller.post("/apply/", {"files": {**files, "work.py": files["work.py"] + "X = '<b>'\n"}}).body["code"]
    assert [(file["path"], file["what"], file["left_out"]) for file in code["files"]] == [("work.py", "changed", 0)]
    (told,) = caller.get("/agents/worker/preview/").body["code"]
    assert (told["agents"], told["files"][0]["lines"][-2:]) == (["worker"], ["+X = '<b>'", " "])


def test_a_draft_is_previewed_then_published_then_rolled_back(caller: Caller, draft: Path) -> None:
    told = caller.get("/pipelines/sample/preview/").body
    assert {"path": "input.properties.number.maximum", "old": 9, "new": 8} in told["fields"]
    assert (told["from_version"], told["to_version"], told["unchanged"], told["problems"]) == (1, 2, False, [])
    assert [(pin["name"], pin["running"], pin["version"]) for pin in told["agents"]] == [("judge", 1, 2), ("worker", 1, 2)]
    assert Pipeline.objects.get().current_release.version.number == 1
    other = caller.post("/pipelines/sample/publish/", {"seen": "0" * 64})
    assert (other.status, other.code) == (409, "conflict") and "has changed since it was shown" in other.body["detail"]
    done = caller.post("/pipelines/sample/publish/", {"seen": told["seen"]}).body
    assert (done["to_version"], done["releases"][0]["agents"]) == (2, {"judge": 2, "worker": 2})
    again = caller.post("/pipelines/sample/publish/", {})
    assert (again.status, again.code) == (409, "conflict")
    back = caller.post("/pipelines/sample/rollback/", {"version": 1}).body
    assert (back["from_version"], back["to_version"], back["forward"]) == (2, 1, False)
    assert caller.get("/pipelines/sample/").body["version"] == 1
    assert recorded("agents.release.published") and recorded("agents.pipeline.rolled_back")


def test_a_rollback_takes_one_target_that_exists(caller: Caller) -> None:
    assert caller.post("/pipelines/sample/rollback/", {}).code == "conflict"
    assert caller.post("/pipelines/sample/rollback/", {"version": 7}).code == "no-such-version"
    assert caller.post("/pipelines/sample/rollback/", {"release": "0" * 8}).code == "no-such-release"
    assert caller.post("/pipelines/sample/rollback/", {"version": 1, "release": "0" * 8}).code == "invalid"
    assert caller.post("/pipelines/sample/rollback/", {"release": "short"}).code == "bad-body"


def test_a_pipeline_is_retired_with_a_reason_and_reinstated(caller: Caller) -> None:
    assert caller.post("/pipelines/sample/retire/", {}).code == "bad-body"
    assert caller.post("/pipelines/sample/retire/", {"reason": "superseded"}).body["state"] == "retired"
    assert caller.post("/pipelines/sample/retire/", {"reason": "superseded"}).code == "conflict"
    assert caller.post("/pipelines/sample/reinstate/").body["state"] == "active"
    assert recorded("agents.pipeline.retired") and recorded("agents.pipeline.reinstated")


def test_versions_and_releases_are_read_newest_first(caller: Caller, draft: Path) -> None:
    versions = caller.get("/pipelines/sample/versions/").body["items"]
    assert [(each["number"], each["state"]) for each in versions] == [(2, "draft"), (1, "published")]
    assert caller.get("/pipelines/sample/versions/2/").body["spec"]["input"]["properties"]["number"]["maximum"] == 8
    assert caller.get("/pipelines/sample/versions/3/").code == "no-such-version"
    assert caller.get("/agents/worker/versions/1/").body["spec"]["role"] == "decide"
    assert len(caller.get("/agents/worker/versions/").body["items"]) == 2
    (release,) = caller.get("/releases/?pipeline=sample").body["items"]
    assert release["current"] is True and release["version"] == 1
    shown = caller.get(f"/releases/{release['digest'][:12]}/").body
    assert (shown["manifest"]["pipeline"]["version"], shown["agents"]["worker"]) == (1, 1)
    assert caller.get("/releases/00000000/").code == "no-such-release"


@pytest.mark.parametrize("place", [["abc"], [""], ["9" * 100], ["1.5"], ["1", "2"], [1], []])
def test_a_place_where_no_version_could_lie_is_no_cursor(caller: Caller, place: list[object]) -> None:
    cursor = urlsafe_b64encode(json.dumps(place).encode()).decode()
    assert caller.get(f"/agents/worker/versions/?cursor={cursor}").code == "bad-cursor"


# --- agents --------------------------------------------------------------------------------------------------------


def test_an_agent_is_shown_with_what_it_may_and_its_newest_run(caller: Caller) -> None:
    assert caller.get("/agents/worker/").body["last_run"] is None
    run = pipelines.start(input={"number": 1})
    pipelines.drive(run)
    shown = caller.get("/agents/worker/").body
    assert (shown["role"], shown["team"], shown["permissions"], shown["last_run"]["run"]) == ("decide", "platform", [], str(run.id))
    assert [each["name"] for each in caller.get("/agents/?role=check&state=active&team=platform").body["items"]] == ["judge"]


def test_an_agent_is_suspended_with_a_reason_and_resumed(caller: Caller) -> None:
    assert caller.post("/agents/worker/suspend/", {"reason": " "}).code == "bad-body"
    assert caller.post("/agents/worker/suspend/", {"reason": "reads nonsense"}).body["state"] == "suspended"
    assert caller.post("/agents/worker/suspend/", {"reason": "again"}).code == "conflict"
    assert caller.post("/agents/worker/resume/").body["state"] == "active"
    assert recorded("agents.agent.suspended") and recorded("agents.agent.resumed")


def test_an_agent_that_a_pipeline_needs_is_not_retired(caller: Caller) -> None:
    refused = caller.post("/agents/worker/retire/", {"reason": "old"})
    assert (refused.status, refused.code) == (409, "conflict")
    assert "needed by 'sample'" in refused.body["detail"]
    caller.post("/pipelines/sample/retire/", {"reason": "old"})
    assert caller.post("/agents/worker/retire/", {"reason": "old"}).body["state"] == "retired"
    assert caller.post("/agents/worker/reinstate/").body["state"] == "suspended"


def test_an_agent_is_published_and_rolled_back_by_itself(caller: Caller, draft: Path) -> None:
    assert caller.get("/agents/worker/preview/").body["to_version"] == 2
    assert caller.post("/agents/worker/publish/", {"version": 2}).body["stay"] == ["sample"]
    assert caller.post("/agents/worker/rollback/", {}).body["to_version"] == 1
    assert Agent.objects.get(name="worker").versions.get(state="published").number == 1


@pytest.mark.parametrize("action", ["publish", "rollback", "retire", "reinstate", "preview"])
def test_the_address_of_an_agent_does_not_reach_a_pipeline(caller: Caller, action: str) -> None:
    """One name belongs to one object, and the use-cases take either kind."""
    said = {"reason": "x"} if action == "retire" else {}
    answer = caller.get("/agents/sample/preview/") if action == "preview" else caller.post(f"/agents/sample/{action}/", said)
    assert answer.code == "unknown-agent"
    answer = caller.get("/pipelines/worker/preview/") if action == "preview" else caller.post(f"/pipelines/worker/{action}/", said)
    assert answer.code == "unknown-pipeline"
    assert recorded("agents.agent.refused") + recorded("agents.version.refused") == (action != "preview")


def test_a_model_alias_is_shown_without_any_secret(caller: Caller) -> None:
    ModelAlias.objects.create(name="reasoning", team=Team.objects.get(), provider="scripted", model="m", secret_ref="env:KEY", created_at=clock.now())
    (listed,) = caller.get("/model-aliases/").body["items"]
    assert (listed, listed["secret_ref"]) == (caller.get("/model-aliases/reasoning/").body, "env:KEY")
    assert caller.get("/model-aliases/other/").code == "unknown-alias"


# --- teams and people ----------------------------------------------------------------------------------------------


def test_people_come_and_go(manager: Caller, bob: User) -> None:
    assert manager.get("/teams/platform/").body["members"] == ["alice"]
    assert manager.post("/teams/platform/members/", {"person": "bob"}).body["members"] == ["alice", "bob"]
    assert manager.post("/teams/platform/members/", {"person": "bob"}).code == "conflict"
    assert manager.delete("/teams/platform/members/bob/").body["members"] == ["alice"]
    assert manager.post("/teams/platform/onlookers/", {"person": "bob"}).body["shown_to"] == ["bob"]
    assert manager.delete("/teams/platform/onlookers/bob/").body["shown_to"] == []
    assert manager.post("/teams/platform/members/", {"person": "zoe"}).code == "unknown-person"
    assert recorded("agents.team.member_added") and recorded("agents.team.hidden")


def test_an_account_is_made_permitted_and_ended(manager: Caller) -> None:
    made = manager.post("/people/", {"name": "dora"})
    assert (made.status, made.body["active"], len(made.body["password"]) >= 16) == (201, True, True)
    assert User.objects.get(username="dora").is_superuser is False
    assert manager.post("/people/", {"name": "dora"}).code == "conflict"
    assert manager.post("/people/dora/permissions/", {"permission": "manage-people", "allowed": True}).status == 200
    assert (
        manager.post("/people/dora/permissions/", {"permission": "see-everything", "allowed": True}).code == "denied"
    )  # nobody gives what they lack
    assert manager.post("/people/dora/permissions/", {"permission": "everything", "allowed": True}).code == "bad-body"
    deactivated = manager.post("/people/dora/deactivate/").body
    assert (deactivated["name"], deactivated["active"], deactivated["administrator"]) == ("dora", False, False)
    assert manager.post("/people/dora/activate/").body["active"] is True


def test_who_belongs_where_is_not_said_by_its_members(caller: Caller, bob: User) -> None:
    for answer in (
        caller.post("/teams/platform/members/", {"person": "bob"}),
        caller.delete("/teams/platform/members/alice/"),
        caller.post("/people/", {"name": "dora"}),
        caller.post("/people/bob/deactivate/"),
    ):
        assert (answer.status, answer.code) == (403, "denied")
        assert "manage-people" in answer.body["detail"]
    assert User.objects.get(username="bob").is_active and not User.objects.filter(username="dora").exists()


# --- apply ---------------------------------------------------------------------------------------------------------


def files_in(folder: Path) -> dict[str, object]:
    return {each.name: each.read_text() for each in folder.iterdir()}


def test_files_that_are_sent_become_what_the_command_would_make_of_them(caller: Caller, folder: Path) -> None:
    files = files_in(folder)
    assert caller.post("/apply/", {"files": files, "publish": True}).body["unchanged"] is True
    files["work.py"] = {"base64": b64encode(b"def work() -> dict:\n    return {'more': 1}\n").decode()}
    tried = caller.post("/apply/", {"files": files, "publish": True, "dry_run": True}).body
    assert tried["dry_run"] and tried["releases"] and Pipeline.objects.get().versions.count() == 1
    done = caller.post("/apply/", {"files": files, "publish": True}).body
    assert {each["name"]: each["action"] for each in done["changes"]}["worker"] == "changed"
    assert pipelines.run(input={"number": 1})["result"] == {"more": 1}
    assert Run.objects.get().release.digest == done["releases"][0]["digest"]


def test_files_with_problems_are_refused_with_all_of_them(caller: Caller) -> None:
    refused = caller.post("/apply/", {"files": {"a.yaml": "kind: agent\nname: x\nrole: boss\nteam: platform\n", "b.yaml": "kind: nothing\n"}})
    assert (refused.status, refused.code) == (422, "not-publishable")
    assert {each.split(":")[0] for each in refused.body["problems"]} == {"a.yaml", "b.yaml"}


@pytest.mark.parametrize("name", ["../x.yaml", "/x.yaml", "a/../b", ".hidden", "a\\b", ""])
def test_a_file_name_that_leads_anywhere_is_refused(caller: Caller, name: str) -> None:
    assert caller.post("/apply/", {"files": {name: "x"}}).code == "bad-body"


def test_a_file_below_a_file_and_a_broken_base64_are_refused(caller: Caller) -> None:
    assert caller.post("/apply/", {"files": {"a": "x", "a/b": "y"}}).code == "artifact-refused"
    assert caller.post("/apply/", {"files": {"a": {"base64": "abc"}}}).code == "artifact-refused"


def test_a_strangers_code_is_not_even_looked_at(outsider: Caller, folder: Path) -> None:
    looked = folder.parent / "looked"
    files = files_in(folder)
    files["work.py"] = f"open({str(looked)!r}, 'w').close()\ndef work() -> dict:\n    return {{}}\n"
    refused = outsider.post("/apply/", {"files": files, "dry_run": True})
    assert (refused.status, refused.code) == (403, "denied")
    assert not looked.exists()


def test_files_cannot_name_what_another_team_owns(caller: Caller, tmp_path: Path) -> None:
    """Whoever could would run the other team's code, and read it in the release."""
    world.red(tmp_path / "red")
    path = pipelines.folder(tmp_path / "mine", functions="", agents=[], steps="- {id: only, agent: hidden}", name="mine")
    file = path / "pipeline.yaml"
    file.write_text(file.read_text().replace("kind: team\nname: platform\n---\n", ""))
    refused = caller.post("/apply/", {"files": files_in(path), "publish": True})
    assert (refused.status, refused.code) == (422, "not-publishable")
    assert "there is no agent 'hidden'" in str(refused.body["problems"])
    assert [each["pipeline"] for each in caller.get("/releases/").body["items"]] == ["sample"]
