"""By which policy people decide changes with what it was put to them with, or by itself: never ahead of their yes."""

from pathlib import Path

import pytest

from agents import registry
from agents.models import Proposal, Team
from approvals.errors import Voided
from approvals.services import proposal_documents
from audit.actors import Actor
from tests.approvals.test_proposals_held import decide, docs, sample, shown
from tests.approving import member
from tests.pipelines import SYSTEM
from tests.proposing import POLICY, ruled

pytestmark = pytest.mark.django_db(transaction=True)
FRESH = f"kind: team\nname: platform\nresuming: fresh\n---\n{POLICY.replace('name: careful', 'name: fresh')}"


@pytest.fixture
def alice(tmp_path: Path) -> Actor:
    docs(tmp_path / "red", "kind: team\nname: red", by=SYSTEM, publish=True)
    ruled(tmp_path / "first")
    return member("alice", "red")


@pytest.fixture
def root(alice: Actor) -> Actor:
    registry.create_person("root", actor=SYSTEM, administrator=True)
    return Actor("person", "root", "test", permissions=frozenset({"change-everything", "see-everything"}))


def rules() -> tuple[str, str]:
    team = Team.objects.get(name="platform")
    return team.publishing, team.resuming


def put(path: Path, text: str, by: Actor) -> Proposal:
    proposal = docs(path, text, by=by, publish=True).proposal
    assert proposal is not None
    return proposal


def test_a_rule_that_changes_with_something_that_is_asked_waits_for_the_yes_under_the_old_one(root: Actor, tmp_path: Path) -> None:
    docs(
        tmp_path / "h",
        POLICY.replace("name: careful", "name: harder").replace("team: platform", "team: red", 1),
        by=SYSTEM,
        publish=True,
    )
    proposal = put(tmp_path / "p", f"kind: team\nname: platform\npublishing: harder\n---\n{sample()}", root)
    assert rules() == ("careful", "") and proposal.policy_name == "careful" and shown(proposal)["team:platform"] == ["publishing"]
    assert "change who decides for team platform" in proposal_documents.about(proposal)
    assert decide(proposal, "bob") == "enacted" and rules() == ("harder", "")


def test_a_first_rule_and_its_policy_are_put_to_people_together(alice: Actor, tmp_path: Path) -> None:
    proposal = put(tmp_path / "x", FRESH, alice)
    assert rules() == ("careful", "") and not registry.policies_in_force(["fresh"])
    assert decide(proposal, "bob") == "enacted" and rules() == ("careful", "fresh") and registry.policies_in_force(["fresh"])


def test_a_no_leaves_the_rule_as_it_is(alice: Actor, tmp_path: Path) -> None:
    assert decide(put(tmp_path / "x", FRESH, alice), "bob", "declined") == "declined" and rules() == ("careful", "")


def test_what_a_team_grants_and_who_decides_are_shown_together(alice: Actor, tmp_path: Path) -> None:
    proposal = put(tmp_path / "x", f"{FRESH}\n---\n{sample()}".replace("resuming:", 'permissions: ["allow read feed:x"]\nresuming:'), alice)
    assert shown(proposal)["team:platform"] == ["permissions", "resuming"]
    assert decide(proposal, "bob") == "enacted" and Team.objects.get(name="platform").permissions == ["allow read feed:x"]


def test_a_rule_that_was_moved_meanwhile_is_not_moved_by_a_yes(alice: Actor, tmp_path: Path) -> None:
    proposal = put(tmp_path / "x", FRESH, alice)
    docs(tmp_path / "r", "kind: team\nname: platform\nresuming: careful", by=alice, publish=True)
    with pytest.raises(Voided, match="has changed since it was proposed"):
        decide(proposal, "bob")
    assert rules() == ("careful", "careful")


def test_a_rule_by_itself_holds_at_once(root: Actor, tmp_path: Path) -> None:
    assert docs(tmp_path / "r", 'kind: team\nname: platform\npublishing: ""', by=root, publish=True).proposal is None
    assert rules() == ("", "")
