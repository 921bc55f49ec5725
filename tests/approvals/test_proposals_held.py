"""Nobody gets round those who have to say yes first: not by another team, an older version, a policy, a draft, a second account, nor by leaving."""

from functools import partial
from pathlib import Path

import pytest

from agents import registry
from agents.errors import NotGranted, NotPublishable
from agents.models import Agent, Pipeline, Proposal, Stop, Team, Version
from agents.registry import Applied
from approvals.errors import NotYours, Voided
from approvals.services import proposal_documents, proposals
from audit.actors import Actor
from tests import pipelines
from tests.approving import actor, member
from tests.pipelines import SYSTEM, agent
from tests.proposing import POLICY, asked, folder, proposed, ruled

pytestmark = pytest.mark.django_db(transaction=True)
CODE = "def f() -> dict:\n    return {}\n"
TWICE = "[{id: a, agent: worker}, {id: b, agent: worker}]"
WRITE = "allow write deploy:*"


@pytest.fixture
def alice(tmp_path: Path) -> Actor:
    """In platform, where people say yes first, and in red, where nobody has to."""
    docs(tmp_path / "red", "kind: team\nname: red", by=SYSTEM, publish=True)
    ruled(tmp_path / "first")
    return member("alice", "red")


def docs(path: Path, text: str, *, by: Actor, publish: bool = False, code: str = CODE) -> Applied:
    path.mkdir()
    (path / "work.py").write_text(code, encoding="utf-8")
    (path / "all.yaml").write_text(text, encoding="utf-8")
    return registry.apply_folder(path, actor=by, publish=publish)


def sample(team: str = "platform", steps: str = TWICE, more: str = "") -> str:
    head = f"kind: pipeline\nname: sample\nteam: {team}\ninput: {{type: object}}\n"
    return f"{head}steps: {steps}\nverify: {{agent: judge, with: {{claim: =result}}}}\n{more}"


def tool(team: str, more: str = "") -> str:
    return agent("tool", "work:f", more=more).replace("team: platform", f"team: {team}")


def decide(proposal: Proposal, by: str, decision: str = "approved") -> str:
    return proposals.decide(proposal=str(proposal.pk), decision=decision, reason="looked at it", actor=actor(by)).state


def shown(proposal: Proposal, to: str = "bob") -> dict[str, list[str]]:
    """Of each thing the fields of which somebody is told."""
    said = proposal_documents.document(proposal, actor=actor(to))["changes"]
    return {each["subject"]: [field["path"] for field in each["fields"]] for each in said}


def test_of_a_pipeline_all_that_changes_is_shown_with_the_drafts_that_go_with_it(alice: Actor, tmp_path: Path) -> None:
    docs(tmp_path / "p", sample(more=f'permissions: ["{WRITE}"]'), by=alice)
    registry.apply_folder(folder(tmp_path / "next", tier="high"), actor=alice)
    docs(tmp_path / "again", sample(more=f'permissions: ["{WRITE}"]'), by=alice)
    proposal = asked(lambda: registry.publish("sample", actor=alice))
    assert shown(proposal)["agent:worker"] == ["risk_tier"] and "permissions" in shown(proposal)["pipeline:sample"]
    assert decide(proposal, "bob") == "enacted"


def test_a_pipeline_is_not_taken_to_another_team_and_back(alice: Actor, tmp_path: Path) -> None:
    docs(tmp_path / "away", sample("red"), by=alice)
    assert Pipeline.objects.get(name="sample").team.name == "platform"
    assert asked(lambda: registry.publish("sample", actor=alice)).team.name == "platform"


def test_nothing_of_another_team_enters_one_without_its_people(alice: Actor, tmp_path: Path) -> None:
    docs(
        tmp_path / "t",
        f"{tool('red')}\n---\n{sample('red', '[{id: a, agent: tool}]').replace('name: sample', 'name: other')}",
        by=alice,
        publish=True,
    )
    entering = docs(tmp_path / "in", sample("platform", "[{id: a, agent: tool}]").replace("name: sample", "name: other"), by=alice, publish=True)
    assert entering.proposal is not None and Pipeline.objects.get(name="other").team.name == "red"
    assert decide(entering.proposal, "bob") == "enacted" and Pipeline.objects.get(name="other").team.name == "platform"


def test_a_rollback_that_grants_again_what_was_taken_back_waits_too(alice: Actor) -> None:
    for moved in ({"grant": [WRITE]}, {"withdraw": [WRITE]}):
        decide(asked(partial(registry.permit, Agent, "worker", **moved, actor=alice)), "bob")
    proposal = asked(lambda: registry.rollback("worker", actor=alice, to=2))
    assert Agent.objects.get(name="worker").permissions == [] and shown(proposal)["agent:worker"] == ["permissions"]
    assert decide(proposal, "bob") == "enacted" and Agent.objects.get(name="worker").permissions == [WRITE]


def test_a_pipeline_goes_back_to_the_release_that_was_shown(alice: Actor, tmp_path: Path) -> None:
    first = Pipeline.objects.get(name="sample").current_release
    applied = docs(tmp_path / "p", sample(), by=alice, publish=True)
    assert applied.proposal is not None and first is not None
    decide(applied.proposal, "bob")
    proposal = asked(lambda: registry.rollback("sample", actor=alice))
    assert decide(proposal, "bob") == "enacted" and Pipeline.objects.get(name="sample").current_release_id == first.pk


def test_an_agent_of_others_that_goes_back_changes_no_pipeline_here_without_its_people(alice: Actor, tmp_path: Path) -> None:
    for number, rate in enumerate(("5/1h", "6/1h")):
        docs(tmp_path / f"t{number}", tool("red", f"rate: {rate}"), by=SYSTEM, publish=True)
    uses = docs(tmp_path / "p", sample(steps="[{id: a, agent: worker}, {id: b, agent: tool}]"), by=alice, publish=True)
    assert uses.proposal is not None and decide(uses.proposal, "bob") == "enacted"
    with pytest.raises(NotGranted, match="a pipeline of another team"):  # whose people are not shown to him
        registry.rollback("tool", actor=member("ron", "red"))
    proposal = asked(lambda: registry.rollback("tool", actor=alice))
    assert proposal.team.name == "platform" and shown(proposal) == {"agent:tool": [], "pipeline:sample": ["release"]}
    assert decide(proposal, "bob") == "enacted"


def test_a_permission_makes_nobody_elses_code_ones_own(alice: Actor, tmp_path: Path) -> None:
    docs(tmp_path / "n", agent("fresh", "work:f"), by=actor("bob"))
    decide(asked(lambda: registry.publish("fresh", actor=actor("bob"))), "alice")
    proposal = asked(partial(registry.permit, Agent, "fresh", grant=["allow read feed:x"], actor=alice))
    assert proposal_documents.document(proposal, actor=alice)["authors"] == ["alice", "bob"]
    with pytest.raises(NotYours, match="you wrote what it would publish"):
        decide(proposal, "bob")


def test_what_was_stopped_here_does_not_go_on_elsewhere(alice: Actor, tmp_path: Path) -> None:
    docs(tmp_path / "r", "kind: team\nname: platform\nresuming: careful", by=alice, publish=True)
    registry.stop("pipeline", "sample", actor=alice, reason="odd")
    moved = docs(tmp_path / "away", sample("red"), by=alice, publish=True)
    assert moved.proposal is not None and decide(moved.proposal, "bob") == "enacted"
    proposal = asked(lambda: registry.lift_named("pipeline", "sample", actor=alice))
    assert proposal.team.name == "platform" and decide(proposal, "bob") == "enacted"
    assert Stop.objects.get().lifted_by == "person:alice"


def test_what_was_retired_comes_back_with_a_yes_where_people_decide_what_goes_on(alice: Actor, tmp_path: Path) -> None:
    docs(tmp_path / "r", "kind: team\nname: platform\nresuming: careful", by=alice, publish=True)
    registry.retire("sample", actor=actor("bob"), reason="unsafe")
    proposal = asked(lambda: registry.reinstate("sample", actor=alice))
    assert Pipeline.objects.get(name="sample").state == "retired"
    assert decide(proposal, "bob") == "enacted" and Pipeline.objects.get(name="sample").state == "active"


def test_a_policy_by_which_people_decide_is_changed_by_a_yes_under_it_whosever_it_is(tmp_path: Path) -> None:
    docs(
        tmp_path / "red",
        f"kind: team\nname: red\n---\nkind: team\nname: platform\n---\n{POLICY.replace('team: platform', 'team: red', 1)}",
        by=SYSTEM,
        publish=True,
    )
    docs(tmp_path / "rule", "kind: team\nname: platform\nresuming: careful", by=SYSTEM, publish=True)
    both = member("alice", "red", "platform")
    member("bob", "platform")
    applied = docs(
        tmp_path / "weaker", POLICY.replace("team: platform", "team: red", 1).replace("{teams: [platform]}", "{people: [bob]}"), by=both, publish=True
    )
    assert applied.proposal is not None and registry.policies_in_force(["careful"])["careful"].number == 1
    with pytest.raises(NotYours):
        decide(applied.proposal, "alice")
    assert decide(applied.proposal, "bob") == "enacted"


def test_a_folder_is_enacted_though_something_else_waits_as_a_draft(alice: Actor, tmp_path: Path) -> None:
    registry.apply_folder(folder(tmp_path / "next", tier="high"), actor=alice)  # of worker, and not in the folder below
    applied = docs(tmp_path / "p", sample(), by=alice, publish=True)
    assert applied.proposal is not None and set(shown(applied.proposal)) == {"pipeline:sample"}
    assert decide(applied.proposal, "bob") == "enacted"
    assert Version.objects.get(agent__name="worker", state="published").number == 1


def test_what_is_said_of_an_agent_waits_with_its_version(alice: Actor, tmp_path: Path) -> None:
    applied = registry.apply_folder(folder(tmp_path / "next", tier="high"), actor=alice, publish=True)
    assert applied.proposal is not None and Agent.objects.get(name="worker").risk_tier == "low"
    decide(applied.proposal, "bob")
    assert Agent.objects.get(name="worker").risk_tier == "high"


def test_a_yes_under_a_policy_that_the_team_no_longer_names_does_nothing(alice: Actor, tmp_path: Path) -> None:
    proposal = proposed(tmp_path / "next", alice)
    harder = POLICY.replace("name: careful", "name: harder").replace("team: platform", "team: red", 1)
    docs(tmp_path / "h", harder, by=SYSTEM, publish=True)
    Team.objects.filter(name="platform").update(publishing="harder")
    with pytest.raises(Voided, match="another policy"):
        decide(proposal, "bob")


def test_a_rule_that_could_hold_nobody_is_refused(tmp_path: Path) -> None:
    docs(tmp_path / "t", f"kind: team\nname: platform\npublishing: careful\n---\n{POLICY}", by=SYSTEM)
    assert Team.objects.get(name="platform").publishing == ""  # with what makes it be in force, and not before
    with pytest.raises(NotPublishable, match="names policy 'careful', which is not in force"):
        docs(tmp_path / "u", "kind: team\nname: platform\npublishing: careful", by=SYSTEM, publish=True)
    registry.apply_folder(tmp_path / "t", actor=SYSTEM, publish=True)
    assert Team.objects.get(name="platform").publishing == "careful"


def test_what_is_of_a_team_that_somebody_does_not_see_is_not_shown_to_them(alice: Actor, tmp_path: Path) -> None:
    member("zed", "platform")
    docs(tmp_path / "t", tool("red"), by=SYSTEM, publish=True)
    both = (
        f"{tool('red').replace('purpose: Test.', 'purpose: the hidden words')}\n---\n{sample(steps='[{id: a, agent: worker}, {id: b, agent: tool}]')}"
    )
    proposal = docs(tmp_path / "p", both, by=alice, publish=True).proposal
    assert proposal is not None
    assert "purpose" in shown(proposal, "alice")["agent:tool"] and shown(proposal, "zed")["agent:tool"] == []
    said = proposal_documents.document(proposal, actor=actor("zed"))
    assert "hidden words" not in str(said) and [each["hidden"] for each in said["changes"] if each["subject"] == "agent:tool"] == [True, True]


def test_nothing_is_done_for_somebody_who_may_not_do_it_any_more(alice: Actor, tmp_path: Path) -> None:
    proposal = proposed(tmp_path / "next", alice)
    registry.remove_member("platform", "alice", actor=SYSTEM)
    with pytest.raises(Voided, match="can't be done as it was shown"):
        decide(proposal, "bob")


def test_a_yes_counts_no_more_once_it_turns_out_to_be_the_proposers(tmp_path: Path) -> None:
    registry.apply_folder(folder(tmp_path / "first", team="publishing: careful\n", policy=f"{POLICY}\nrequired: 2"), actor=SYSTEM, publish=True)
    for name in ("alice2", "bob", "carol"):
        member(name, "platform")
    proposal = proposed(tmp_path / "next", member("alice", "platform"))
    decide(proposal, "alice2")
    registry.same_person("alice2", "alice", actor=SYSTEM)
    assert decide(proposal, "bob") == "open" and decide(proposal, "carol") == "enacted"


def test_a_new_team_in_the_folder_gets_what_it_says_with_the_yes(alice: Actor, tmp_path: Path) -> None:
    registry.create_person("root", actor=SYSTEM, administrator=True)
    admin = Actor("person", "root", "test", permissions=frozenset({"change-everything", "see-everything"}))
    text = f'{sample()}\n---\nkind: team\nname: fresh\npermissions: ["allow read feed:*"]'
    applied = docs(tmp_path / "p", text, by=admin, publish=True)
    assert applied.proposal is not None and Team.objects.get(name="fresh").permissions == []
    assert decide(applied.proposal, "bob") == "enacted" and Team.objects.get(name="fresh").permissions == ["allow read feed:*"]


def test_the_same_asked_for_twice_is_one_proposal_and_keeps_its_yes(tmp_path: Path) -> None:
    registry.apply_folder(folder(tmp_path / "first", team="publishing: careful\n", policy=f"{POLICY}\nrequired: 2"), actor=SYSTEM, publish=True)
    for name in ("bob", "carol"):
        member(name, "platform")
    grant = partial(registry.permit, Agent, "worker", grant=[WRITE], actor=member("alice", "platform"))
    first = asked(grant)
    decide(first, "bob")
    assert asked(grant) == first and Version.objects.filter(agent__name="worker").count() == 2
    assert decide(first, "carol") == "enacted"


def test_a_dry_run_says_who_would_be_asked_also_to_a_shell(alice: Actor, tmp_path: Path) -> None:
    made = pipelines.folder(tmp_path / "p", functions=CODE, agents=[], steps="- {id: a, agent: worker}\n  - {id: b, agent: worker}")
    (made / "pipeline.yaml").write_text(sample(), encoding="utf-8")
    looked = registry.apply_folder(made, actor=SYSTEM, publish=True, dry_run=True)
    assert looked.proposal is None and looked.asks is not None and "1 of team 'platform' must say yes" in looked.asks
    assert not Proposal.objects.exists()
