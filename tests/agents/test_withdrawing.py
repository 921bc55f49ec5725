"""A permission that is taken back is said to break what runs by it, however little of it the folder holds; nothing is refused for that."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from agents import registry
from agents.models import Agent, Team
from audit.actors import Actor
from tests import pipelines
from tests.agents.inventory import MEMBER, SYSTEM
from tests.doors import world
from tests.pipelines import agent
from tests.rest import Caller
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)
USES = 'uses: ["read feed:{input.to}"]'
GRANTING = 'permissions: ["allow read feed:*"]'


def published(path: Path, *, team: str = GRANTING, more: str = USES) -> registry.Applied:
    """A pipeline `numbers` whose worker is allowed what it uses by its team."""
    worker = agent("worker", "work:run", more=more)
    steps = "- {id: work, agent: worker, with: {to: =input.to}}"
    folder = pipelines.folder(path, functions="def run(to: str) -> dict:\n    return {}\n", agents=[worker], steps=steps)
    file = folder / "pipeline.yaml"
    file.write_text(file.read_text().replace("kind: team\nname: platform", f"kind: team\nname: platform\n{team}"))
    return registry.apply_folder(folder, actor=SYSTEM, publish=True)


def of_team(path: Path, permissions: str, *, publish: bool = True, actor: Actor = SYSTEM) -> registry.Applied:
    """The team's document alone, in a folder of its own."""
    path.mkdir(exist_ok=True)
    (path / "team.yaml").write_text(f"kind: team\nname: platform\npermissions: {permissions}\n")
    return registry.apply_folder(path, actor=actor, publish=publish)


def test_a_teams_permission_that_is_taken_back_names_the_uses_and_the_pipelines_that_it_breaks(tmp_path: Path) -> None:
    assert published(tmp_path / "p").denied == []
    (said,) = of_team(tmp_path / "t", "[]").denied
    assert "agent 'worker' uses 'read feed:{input.to}' and none of its permissions allows that; add: allow read feed:*" in said
    assert said.endswith("until that is mended it fails in pipeline 'sample' (team 'platform')")
    assert Team.objects.get().permissions == []  # taking back is never refused
    assert of_team(tmp_path / "t", "[]").denied == []  # and it is said of what changes, not for ever


def test_the_shell_says_it_before_and_when_it_is_done(tmp_path: Path) -> None:
    published(tmp_path / "p")
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "team.yaml").write_text('kind: team\nname: platform\npermissions: ["deny read feed:*", "allow read feed:*"]\n')
    for more in (("--dry-run",), ("--dry-run", "--publish"), (), ("--publish",)):
        said = typed("apply", "-f", str(tmp_path / "t"), *more).out
        assert "its permission 'deny read feed:*' wins over whatever allows that" in said, more
        assert "it fails in pipeline 'sample' (team 'platform')" in said, more


def test_what_ends_counts_as_taken_back_and_what_still_allows_it_is_enough(tmp_path: Path) -> None:
    published(tmp_path / "p")
    (said,) = of_team(tmp_path / "t", '["allow read feed:* until 2020-01-01"]').denied
    assert "what allowed that held only until 2020-01-01T00:00:00Z" in said
    published(tmp_path / "p", team="permissions: []", more=f'{USES}\npermissions: ["allow read feed:*"]')
    of_team(tmp_path / "t", '["allow read feed:*"]')
    assert of_team(tmp_path / "t", "[]").denied == []


def test_an_agent_that_no_pipeline_runs_and_a_retired_one(tmp_path: Path) -> None:
    published(tmp_path / "p")
    registry.retire("sample", actor=SYSTEM, reason="no more")
    registry.apply_folder(_alone(tmp_path / "a"), actor=SYSTEM, publish=True)
    said = of_team(tmp_path / "t", "[]").denied
    assert any(each.startswith("agent 'loner'") and each.endswith("no published pipeline runs it") for each in said)
    of_team(tmp_path / "t", '["allow read feed:*"]')
    Agent.objects.update(state="retired")
    assert of_team(tmp_path / "t", "[]").denied == []


def _alone(path: Path, permissions: str = "[]") -> Path:
    path.mkdir(exist_ok=True)
    (path / "work.py").write_text("def run(to: str) -> dict:\n    return {}\n")
    (path / "a.yaml").write_text(agent("loner", "work:run", more=f"{USES}\npermissions: {permissions}"))
    return path


def test_an_agents_own_permission_says_so_too_when_its_publication_is_looked_at_and_done(tmp_path: Path) -> None:
    own = f'{USES}\npermissions: ["allow read feed:*"]'
    published(tmp_path / "p", team="", more=own)
    path = tmp_path / "a"
    path.mkdir()
    (path / "work.py").write_text("def run(to: str) -> dict:\n    return {}\n")
    (path / "a.yaml").write_text(agent("worker", "work:run", more='uses: ["read file:{input.to}"]\npermissions: ["allow read file:*"]'))
    registry.apply_folder(path, actor=SYSTEM)
    (said,) = registry.preview("worker", actor=SYSTEM).denied
    assert "uses 'read feed:{input.to}'" in said and "pipeline 'sample'" in said
    assert registry.publish("worker", actor=SYSTEM).denied == (said,)


def test_pipelines_of_teams_that_are_not_shown_are_counted_and_not_named(tmp_path: Path) -> None:
    published(tmp_path / "p")
    theirs = tmp_path / "o"
    theirs.mkdir()
    text = (tmp_path / "p" / "pipeline.yaml").read_text()
    pipeline = next(each for each in text.split("---\n") if "kind: pipeline" in each)
    (theirs / "p.yaml").write_text("kind: team\nname: others\n---\n" + pipeline.replace("name: sample", "name: hidden").replace("platform", "others"))
    registry.apply_folder(theirs, actor=SYSTEM, publish=True)
    (said,) = of_team(tmp_path / "t", "[]", actor=MEMBER).denied
    assert "pipeline 'sample' (team 'platform'), 1 pipeline of other teams" in said and "hidden" not in said


def test_the_page_of_a_publication_says_what_it_breaks_elsewhere(tmp_path: Path, alice: User) -> None:
    published(tmp_path / "p", team="", more=f'{USES}\npermissions: ["allow read feed:*"]')
    registry.add_member("platform", "alice", actor=SYSTEM)
    User.objects.filter(username="alice").update(is_staff=True)
    path = tmp_path / "a"
    path.mkdir()
    (path / "work.py").write_text("def run(to: str) -> dict:\n    return {}\n")
    (path / "a.yaml").write_text(agent("worker", "work:run", more="permissions: []"))
    registry.apply_folder(path, actor=SYSTEM)
    client, url = world.signed_in("alice"), reverse("admin:agents_agent_publish", args=[Agent.objects.get(name="worker").pk])
    page = client.get(url)
    assert "What runs already, and will be refused" in page.content.decode() and "pipeline &#x27;sample&#x27;" in page.content.decode()
    done = client.post(url, {"seen": registry.preview("worker", actor=SYSTEM).seen}, follow=True)
    assert "What ran already and is refused now: agent &#x27;worker&#x27; uses" in done.content.decode()
    assert Caller.of(alice).get("/agents/worker/may/?verb=read&resource=feed:x").body["effect"] == "deny"
