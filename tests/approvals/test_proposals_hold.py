"""What a proposal holds is what runs after it: nothing of a team that people decide for runs as a draft, and nothing is put back unseen."""

from pathlib import Path

import pytest

from agents import registry
from agents.errors import NotPublishable
from agents.models import Agent, Pipeline, Team, Version
from approvals.errors import NotYours, Voided
from audit.actors import Actor
from audit.errors import Conflict
from tests.approvals.test_proposals_held import WRITE, alice, decide, docs, sample, shown, tool  # noqa: F401 - a fixture among them
from tests.approving import actor, member
from tests.pipelines import SYSTEM, agent
from tests.proposing import asked, folder, ruled

pytestmark = pytest.mark.django_db(transaction=True)
RULE = "kind: team\nname: platform\npublishing: careful"


@pytest.fixture
def riskier(tmp_path: Path) -> Actor:
    """alice has said that worker is risky, at once, before platform had people decide; its published version says otherwise."""
    registry.apply_folder(folder(tmp_path / "first"), actor=SYSTEM, publish=True)
    member("bob", "platform")
    by = member("alice", "platform")
    registry.apply_folder(folder(tmp_path / "mid", tier="high"), actor=by)
    docs(tmp_path / "rule", RULE, by=by, publish=True)
    assert Agent.objects.get(name="worker").risk_tier == "high"
    return by


def test_no_release_that_was_never_published_runs_as_a_draft(alice: Actor, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """Its pipeline and its agents were: what it would run of another team was not."""
    docs(tmp_path / "t", tool("red"), by=alice, publish=True)
    proposal = docs(tmp_path / "p", sample(steps="[{id: a, agent: worker}, {id: b, agent: tool}]"), by=alice, publish=True).proposal
    assert proposal is not None and decide(proposal, "bob") == "enacted"
    assert registry.release_for("sample", draft=True, actor=alice).published_at is not None
    docs(tmp_path / "d", tool("red", "rate: 5/1h"), by=alice)
    with pytest.raises(NotPublishable, match="people of team 'platform' say yes before something of it runs"):
        registry.release_for("sample", draft=True, actor=alice)


def test_a_draft_of_theirs_keeps_no_other_team_from_trying_its_pipeline(alice: Actor, tmp_path: Path) -> None:  # noqa: F811
    docs(tmp_path / "o", sample("red", "[{id: a, agent: worker}]").replace("name: sample", "name: other"), by=alice, publish=True)
    registry.apply_folder(folder(tmp_path / "next", tier="high"), actor=alice)
    docs(tmp_path / "d", sample("red", "[{id: b, agent: worker}]").replace("name: sample", "name: other"), by=alice)
    assert registry.release_for("other", draft=True, actor=alice).manifest["agents"]["worker"]["version"] == 1


def test_what_was_said_at_once_is_put_back_by_a_yes_that_saw_it(riskier: Actor, tmp_path: Path) -> None:
    proposal = registry.apply_folder(folder(tmp_path / "back"), actor=riskier, publish=True).proposal
    assert proposal is not None and shown(proposal) == {"agent:worker": ["risk_tier"]}
    assert decide(proposal, "bob") == "enacted" and Agent.objects.get(name="worker").risk_tier == "low"


def test_with_a_rule_that_is_new_too(riskier: Actor, tmp_path: Path) -> None:
    proposal = registry.apply_folder(folder(tmp_path / "back", team="resuming: careful\n"), actor=riskier, publish=True).proposal
    assert proposal is not None and [deed["do"] for deed in proposal.deeds] == ["restore", "rule"]
    assert decide(proposal, "bob") == "enacted"
    assert (Agent.objects.get(name="worker").risk_tier, Team.objects.get(name="platform").resuming) == ("low", "careful")


def test_a_permission_shows_what_else_it_puts_back(riskier: Actor) -> None:
    proposal = asked(lambda: registry.permit(Agent, "worker", grant=["allow read feed:x"], actor=riskier))
    assert shown(proposal) == {"agent:worker": ["permissions", "risk_tier"]}
    assert [change.path for change in registry.preview("worker", actor=riskier, version=2).fields] == []


def test_so_does_a_pipeline_of_the_drafts_that_go_with_it(riskier: Actor, tmp_path: Path) -> None:
    registry.apply_folder(folder(tmp_path / "next", tier="low"), actor=riskier)
    text = agent("worker", "work:run", more="risk_tier: low\nrate: 5/1h")
    docs(tmp_path / "draft", text, by=riskier, code="def run() -> dict:\n    return {}\n")
    assert "risk_tier" in shown(asked(lambda: registry.publish("sample", actor=riskier)))["agent:worker"]


def test_a_draft_that_is_stored_later_goes_not_with_it_and_keeps_nothing_from_being_done(alice: Actor, tmp_path: Path) -> None:  # noqa: F811
    registry.apply_folder(folder(tmp_path / "next", tier="high"), actor=alice)
    proposal = asked(lambda: registry.publish("sample", actor=alice))
    registry.apply_folder(folder(tmp_path / "later", tier="higher"), actor=alice)
    assert decide(proposal, "bob") == "enacted"
    release = Pipeline.objects.select_related("current_release").get(name="sample").current_release
    assert release is not None and release.manifest["agents"]["worker"]["version"] == 2
    live = Version.objects.get(agent__name="worker", state="published")
    assert (live.number, Agent.objects.get(name="worker").risk_tier) == (2, "high")


def test_a_draft_does_not_go_with_it_over_what_was_published_meanwhile(alice: Actor, tmp_path: Path) -> None:  # noqa: F811
    docs(tmp_path / "t", tool("red"), by=alice, publish=True)
    proposal = docs(tmp_path / "p", sample(steps="[{id: a, agent: worker}, {id: b, agent: tool}]"), by=alice, publish=True).proposal
    assert proposal is not None and decide(proposal, "bob") == "enacted"
    docs(tmp_path / "d", tool("red", f'permissions: ["{WRITE}"]'), by=alice)
    proposal = asked(lambda: registry.publish("sample", actor=alice))
    docs(tmp_path / "r", tool("red", "rate: 5/1h"), by=member("ron", "red"), publish=True)
    with pytest.raises(Voided, match="an agent that would be published with it is not what it was"):
        decide(proposal, "bob")
    assert Agent.objects.get(name="tool").permissions == []


def test_whoever_wrote_a_draft_that_goes_with_it_does_not_say_yes_to_what_ran_before(alice: Actor, tmp_path: Path) -> None:  # noqa: F811
    member("carol", "platform")
    decide(asked(lambda: registry.permit(Agent, "worker", grant=[WRITE], actor=alice)), "carol")
    registry.apply_folder(folder(tmp_path / "again"), actor=actor("bob"))
    proposal = asked(lambda: registry.publish("sample", actor=alice))
    with pytest.raises(NotYours, match="you wrote what it would publish"):
        decide(proposal, "bob")


def test_those_who_are_asked_see_what_comes_to_them_and_what_leaves(alice: Actor, tmp_path: Path) -> None:  # noqa: F811
    docs(tmp_path / "t", tool("red"), by=alice, publish=True)
    docs(tmp_path / "d", tool("platform", f'permissions: ["{WRITE}"]'), by=alice)
    assert {"permissions", "team"} <= set(shown(asked(lambda: registry.publish("tool", actor=alice)), "bob")["agent:tool"])
    away = docs(tmp_path / "away", sample("red"), by=alice, publish=True).proposal
    assert away is not None and "team" in shown(away, "bob")["pipeline:sample"]


def test_what_is_said_of_an_agent_that_leaves_holds_too(alice: Actor, tmp_path: Path) -> None:  # noqa: F811
    leaves = agent("worker", "work:run", more="risk_tier: high").replace("team: platform", "team: red")
    proposal = docs(tmp_path / "l", leaves, by=alice, publish=True, code="def run() -> dict:\n    return {}\n").proposal
    assert proposal is not None and "risk_tier" in shown(proposal)["agent:worker"]
    assert decide(proposal, "bob") == "enacted" and Agent.objects.get(name="worker").risk_tier == "high"


def test_what_is_retired_leaves_its_team_only_once_it_is_brought_back(alice: Actor, tmp_path: Path) -> None:  # noqa: F811
    docs(tmp_path / "t", tool("red"), by=alice, publish=True)
    registry.retire("tool", reason="not used", actor=alice)
    with pytest.raises(Conflict, match="'tool' is retired and stays in team 'red'"):
        docs(tmp_path / "m", tool("platform"), by=alice, publish=True)


def test_a_policy_that_decides_what_goes_on_is_changed_by_a_yes_under_it_alone(alice: Actor, tmp_path: Path) -> None:  # noqa: F811
    calm = "kind: policy\nname: calm\nteam: platform\napprovers: {teams: [platform]}\nwithin: "
    first = docs(tmp_path / "c", f"{calm}2h", by=alice, publish=True).proposal
    assert first is not None and decide(first, "bob") == "enacted"
    docs(tmp_path / "r", "kind: team\nname: platform\nresuming: calm", by=alice, publish=True)
    proposal = docs(tmp_path / "n", f"{calm}3h", by=alice, publish=True).proposal
    assert proposal is not None and (proposal.policy_name, decide(proposal, "bob")) == ("calm", "enacted")


def test_a_retired_agent_is_published_as_its_files_say_and_stays_retired(tmp_path: Path) -> None:
    docs(tmp_path / "t", "kind: team\nname: platform", by=SYSTEM, publish=True)
    docs(tmp_path / "o", agent("idle", "work:f"), by=SYSTEM, publish=True)
    by = ruled(tmp_path / "first")
    registry.retire("idle", reason="not used", actor=by)
    proposal = docs(tmp_path / "i", agent("idle", "work:f", more="rate: 5/1h"), by=by, publish=True).proposal
    assert proposal is not None and decide(proposal, "bob") == "enacted"
    assert Agent.objects.get(name="idle").state == "retired"
