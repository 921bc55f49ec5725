"""Permissions that are granted and withdrawn without a file: by the rules of files, from the same moment on, and never beside a draft."""

from pathlib import Path

import pytest

from agents import registry
from agents.errors import NotGranted, NotPublishable, Retired, UnknownAgent, UnknownTeam
from agents.models import Agent, Granting, Team, Version
from audit.actors import Actor
from audit.errors import Conflict, Invalid
from audit.models import Entry
from tests import pipelines
from tests.approving import member
from tests.holders import person
from tests.pipelines import SYSTEM, agent

pytestmark = pytest.mark.django_db(transaction=True)
READ = "allow read feed:metrics"


def publish(path: Path, *, permissions: str = "[]", team: str = "", publish: bool = True) -> None:
    worker = agent("worker", "work:run", more=f'uses: ["read feed:metrics"]\npermissions: {permissions}')
    folder = pipelines.folder(path, functions="def run() -> dict:\n    return {}\n", agents=[worker], steps="- {id: a, agent: worker}")
    if team:
        file = folder / "pipeline.yaml"
        file.write_text(file.read_text(encoding="utf-8").replace("name: platform\n", f"name: platform\n{team}\n", 1), encoding="utf-8")
    registry.apply_folder(folder, actor=SYSTEM, publish=publish)


def grant(
    *rules: str, actor: Actor = SYSTEM, kind: type[Agent] | type[Team] = Agent, name: str = "worker", dry_run: bool = False
) -> registry.Permitted:
    return registry.permit(kind, name, grant=rules, actor=actor, dry_run=dry_run)


def withdraw(*rules: str, kind: type[Agent] | type[Team] = Agent, name: str = "worker") -> registry.Permitted:
    return registry.permit(kind, name, withdraw=rules, actor=SYSTEM)


def effect(verb: str = "read", resource: str = "feed:metrics") -> str:
    return registry.may("worker", verb, resource, actor=SYSTEM).effect


@pytest.fixture
def worker(tmp_path: Path) -> Agent:
    publish(tmp_path / "p", permissions=f'["{READ}"]')
    return Agent.objects.get(name="worker")


def test_what_is_granted_holds_at_once_in_a_version_of_its_own_with_the_same_code(worker: Agent) -> None:
    before = Version.objects.of(worker).get()
    alice = member("alice", "platform")
    done = grant("allow   write deploy:staging", "deny read feed:secret", actor=alice)
    assert (done.version, done.granted) == (2, ("allow write deploy:staging", "deny read feed:secret"))
    assert effect("write", "deploy:staging") == "allow" and effect("read", "feed:secret") == "deny"
    version = Version.objects.of(worker).get(state="published")
    assert (version.number, version.author, version.artifact_id) == (2, "alice", before.artifact_id)
    assert {**version.spec, "permissions": []} == {**before.spec, "permissions": []}
    assert {row.by for row in Granting.objects.filter(rule="allow write deploy:staging")} == {"person:alice"}
    assert Entry.objects.filter(verb="agents.agent.permitted", actor="alice").count() == 1


def test_what_is_withdrawn_holds_no_more_and_what_fails_by_that_is_said(worker: Agent) -> None:
    done = withdraw(READ)
    assert effect() == "deny" and done.now == ()
    assert "agent 'worker' uses 'read feed:metrics'" in done.denied[0] and "it fails in pipeline 'sample'" in done.denied[0]


def test_one_is_put_in_the_place_of_another_in_one_step(worker: Agent) -> None:
    done = registry.permit(Agent, "worker", grant=[f"{READ} rate 5/hour"], withdraw=[READ], actor=SYSTEM)
    assert (done.now, done.denied, effect()) == ((f"{READ} rate 5/1h",), (), "allow")


def test_a_dry_run_says_what_it_would_do_and_does_nothing(worker: Agent) -> None:
    assert grant("allow write deploy:x", dry_run=True).version == 2
    assert Version.objects.of(worker).count() == 1 and effect("write", "deploy:x") == "deny"
    with pytest.raises(Conflict):
        grant(READ, dry_run=True)
    assert not Entry.objects.filter(verb="agents.version.refused").exists()


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("allow", "permission"),
        ("allow raed feed:x", "raed"),
        ("allow read fead:x", "fead"),
        ("allow read feed:x when args.(", "never closed"),
        ("allow read feed:x when other.x == 1", "names 'other'"),
        ("require_approval read feed:x policy nowhere", "there is no policy 'nowhere'"),
    ],
)
def test_whatever_a_file_could_not_say_is_refused_with_its_line(worker: Agent, rule: str, why: str) -> None:
    with pytest.raises(NotPublishable, match="1 problem with what is granted") as refused:
        grant("deny read feed:y", rule)
    (problem,) = refused.value.details["problems"]
    assert problem.line == 2 and why in str(problem)
    assert Agent.objects.get(name="worker").permissions == [READ]
    assert Entry.objects.filter(verb="agents.version.refused", subject="agent:worker").count() == 1


def test_all_problems_are_said_together(worker: Agent) -> None:
    with pytest.raises(NotPublishable, match="2 problems"):
        grant("allow raed feed:x", "deny read feed:y", "allow read fead:x")


def test_what_holds_already_and_what_is_not_there_is_a_conflict(worker: Agent) -> None:
    with pytest.raises(Conflict, match="has the permission 'allow read feed:metrics' already"):
        grant(READ)
    with pytest.raises(Conflict, match="has no permission 'allow read feed:other'"):
        withdraw("allow read feed:other")
    with pytest.raises(Invalid, match="say what to grant or to withdraw"):
        grant()
    with pytest.raises(Conflict, match="granted and withdrawn at once"):
        registry.permit(Agent, "worker", grant=[READ], withdraw=[f" {READ} "], actor=SYSTEM)
    with pytest.raises(Conflict, match="withdrawn twice at once"):
        withdraw(READ, READ)


def test_what_holds_is_changed_beside_a_draft_that_waits_and_says_its_own(worker: Agent, tmp_path: Path) -> None:
    publish(tmp_path / "again", permissions=f'["{READ}", "allow write deploy:x"]', publish=False)
    assert grant("allow write deploy:y").version == 3
    withdraw(READ)
    states = dict(Version.objects.of(worker).values_list("number", "state"))
    assert states == {1: "retired", 2: "draft", 3: "retired", 4: "published"}
    assert (effect(), effect("write", "deploy:y"), effect("write", "deploy:x")) == ("deny", "allow", "deny")
    registry.publish("worker", actor=SYSTEM)
    assert (effect(), effect("write", "deploy:y"), effect("write", "deploy:x")) == ("allow", "deny", "allow")


def test_what_is_taken_back_needs_nothing_else_to_be_in_order(tmp_path: Path) -> None:
    """Here a permission stands beside it that names a policy which whoever takes it back doesn't see."""
    theirs = "require_approval write deploy:x policy theirs"
    one = agent("worker", "work:run", more=f'uses: ["read feed:metrics"]\npermissions: ["{READ}", "{theirs}"]')
    policy = "kind: team\nname: elsewhere\n---\nkind: policy\nname: theirs\nteam: elsewhere\napprovers: {teams: [elsewhere]}"
    pipelines.publish(tmp_path / "p", functions="def run() -> dict:\n    return {}\n", agents=[one, policy], steps="- {id: a, agent: worker}")
    alice = member("alice", "platform")
    with pytest.raises(NotPublishable, match="1 problem"):
        grant("require_approval write deploy:y policy theirs", actor=alice)
    done = registry.permit(Agent, "worker", withdraw=[READ], grant=["deny read feed:z"], actor=alice)
    assert done.now == (theirs, "deny read feed:z")


def test_whoever_wrote_the_code_has_a_part_in_the_version_that_somebody_else_permits_with_it(worker: Agent, tmp_path: Path) -> None:
    eve, pat = member("eve", "platform"), member("pat", "platform")
    worker_v2 = agent("worker", "work:run", more=f'uses: ["read feed:metrics"]\npermissions: ["{READ}"]\nrisk_tier: low')
    functions, steps = "def run() -> dict:\n    return {'by': 'eve'}\n", "- {id: a, agent: worker}"
    folder = pipelines.folder(tmp_path / "eves", functions=functions, agents=[worker_v2], steps=steps)
    registry.apply_folder(folder, actor=eve, publish=True)
    grant("allow write deploy:x", actor=pat)
    version = Version.objects.of(worker).get(state="published")
    assert registry.publishers_of([version])[registry.subject_of(version)] == {"person:eve", "person:pat"}


def test_of_an_agent_that_was_never_published_it_holds_as_its_files_would(tmp_path: Path) -> None:
    publish(tmp_path / "p", publish=False)
    assert grant(READ).version == 2
    assert effect() == "allow" and not Version.objects.filter(agent__name="worker", state="published").exists()


def test_a_team_grants_to_all_its_agents_and_takes_it_back(worker: Agent) -> None:
    grant("allow write deploy:*", kind=Team, name="platform")
    assert effect("write", "deploy:x") == "allow" and Version.objects.of(worker).count() == 1
    with pytest.raises(Conflict, match="it is its team's: withdraw it from team 'platform'"):
        withdraw("allow write deploy:*")
    withdraw("allow write deploy:*", kind=Team, name="platform")
    assert effect("write", "deploy:x") == "deny"
    assert Entry.objects.filter(verb="agents.team.permitted").count() == 2


def test_files_that_are_applied_later_say_it_again(worker: Agent, tmp_path: Path) -> None:
    grant("allow write deploy:x")
    publish(tmp_path / "again", permissions=f'["{READ}"]')
    assert effect("write", "deploy:x") == "deny" and Version.objects.of(worker).get(state="published").number == 3


def test_only_who_may_change_what_the_team_owns_grants_and_nobody_else_has_a_child_look_at_it(
    worker: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr("agents.children.describe", None)
    with pytest.raises(UnknownAgent):
        grant("allow read feed:x when args.n == 1", actor=member("charlie"))
    registry.show_team("platform", "charlie", actor=SYSTEM)
    onlooker = person("charlie")
    for kind, name in ((Agent, "worker"), (Team, "platform")):
        with pytest.raises(NotGranted):
            grant("allow write deploy:x when args.n == 1", actor=onlooker, kind=kind, name=name)
    with pytest.raises(UnknownTeam):
        grant(READ, kind=Team, name="nowhere")


def test_what_is_retired_gets_no_permission(worker: Agent) -> None:
    registry.retire("sample", actor=SYSTEM, reason="over")
    registry.retire("worker", actor=SYSTEM, reason="over")
    with pytest.raises(Retired):
        grant("allow write deploy:x")
