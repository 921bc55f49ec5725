"""What a team has people decide before it is published: proposed, decided by others than who wrote it, and enacted exactly as it was shown."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from agents import registry
from agents.errors import NotGranted, NotPublishable, UnknownProposal
from agents.models import Agent, Proposal, Publication, Team, Version
from approvals.errors import AlreadyDecided, ChangedSince, NotYours, Voided
from approvals.models import ProposalDecision
from approvals.services import proposal_documents, proposals
from audit import clock
from audit.actors import Actor
from audit.errors import Conflict
from audit.models import Entry
from tests import pipelines
from tests.approvals.test_at_once import NAMES, at_once
from tests.approving import actor, member
from tests.pipelines import SYSTEM, agent
from tests.proposing import POLICY, asked, folder, proposed, ruled

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice(tmp_path: Path) -> Actor:
    return ruled(tmp_path / "first")


def live() -> int:
    return Version.objects.get(agent__name="worker", state="published").number


def decide(proposal: Proposal, by: str, decision: str = "approved") -> Proposal:
    return proposals.decide(proposal=str(proposal.pk), decision=decision, reason="looked at it", actor=actor(by))


def test_what_is_published_waits_for_somebody_else_and_is_then_done_in_the_name_of_who_proposed_it(alice: Actor, tmp_path: Path) -> None:
    proposal = proposed(tmp_path / "next", alice)
    assert live() == 1 and Proposal.objects.get().reads(proposal.created_at) == "open"
    with pytest.raises(NotYours, match="you proposed it"):
        decide(proposal, "alice")
    assert [each.pk for each in proposals.waiting_for(actor("bob"), most=9)] == [proposal.pk]
    assert decide(proposal, "bob").state == "enacted"
    assert live() == 2
    version = Version.objects.get(agent__name="worker", number=2)
    assert {row.by for row in Publication.objects.filter(subject=f"version:{version.pk}")} == {"person:alice"}
    verbs = set(Entry.objects.filter(subject=proposal.subject).values_list("verb", flat=True))
    assert verbs == {"agents.proposal.made", "approvals.proposal.refused", "approvals.proposal.decided", "agents.proposal.ended"}


def test_a_no_ends_it_and_nothing_is_published(alice: Actor, tmp_path: Path) -> None:
    assert decide(proposed(tmp_path / "next", alice), "bob", "declined").state == "declined"
    assert live() == 1


def test_exactly_the_version_that_was_shown_is_published_whatever_draft_there_is_by_now(alice: Actor, tmp_path: Path) -> None:
    proposal = proposed(tmp_path / "next", alice)
    registry.apply_folder(folder(tmp_path / "later", tier="high"), actor=alice)
    decide(proposal, "bob")
    assert live() == 2


def test_who_decides_is_changed_by_an_administrator_alone_and_never_by_a_shell(alice: Actor, tmp_path: Path) -> None:
    for by in (alice, SYSTEM):
        with pytest.raises(NotGranted, match="only an administrator, as a person"):
            registry.apply_folder(folder(tmp_path / f"by-{by.id}", team='publishing: ""\n'), actor=by, publish=True)
    assert Agent.objects.get(name="worker").team.publishing == "careful"


def test_a_folder_is_put_to_people_as_one_and_stored_as_drafts(alice: Actor, tmp_path: Path) -> None:
    applied = registry.apply_folder(folder(tmp_path / "next", tier="middle", team='permissions: ["allow read feed:x"]\n'), actor=alice, publish=True)
    proposal = applied.proposal
    assert proposal is not None and live() == 1 and Agent.objects.get(name="worker").team.permissions == []
    assert [deed["do"] for deed in proposal.deeds] == ["permit", "publish", "publish"]
    again = registry.apply_folder(folder(tmp_path / "same", tier="middle", team='permissions: ["allow read feed:x"]\n'), actor=alice, publish=True)
    assert again.proposal == proposal
    decide(proposal, "bob")
    assert live() == 2 and Agent.objects.get(name="worker").team.permissions == ["allow read feed:x"]
    assert registry.release_for("sample", draft=False, actor=alice).manifest["agents"]["worker"]["version"] == 2
    assert registry.apply_folder(folder(tmp_path / "third", tier="middle"), actor=alice, publish=True).proposal is None


def test_a_policys_own_change_waits_for_people_under_the_one_in_force(alice: Actor, tmp_path: Path) -> None:
    made = folder(tmp_path / "next")
    file = made / "pipeline.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("within: 2h", "within: 3h"), encoding="utf-8")
    proposal = registry.apply_folder(made, actor=alice, publish=True).proposal
    assert proposal is not None and [deed["do"] for deed in proposal.deeds] == ["policy"]
    assert registry.policies_in_force(["careful"])["careful"].number == 1
    decide(proposal, "bob")
    assert registry.policies_in_force(["careful"])["careful"].number == 2


def test_permissions_without_a_file_wait_too(alice: Actor) -> None:
    for kind, name in ((Agent, "worker"), (Team, "platform")):
        done = asked(partial(registry.permit, kind, name, grant=["allow read feed:x"], actor=alice))
        assert registry.may("worker", "read", "feed:x", actor=SYSTEM).effect == "deny"
        decide(done, "bob")
        assert registry.may("worker", "read", "feed:x", actor=SYSTEM).effect == "allow"
        decide(asked(partial(registry.permit, kind, name, withdraw=["allow read feed:x"], actor=alice)), "bob")


def test_what_was_stopped_goes_on_with_somebody_elses_yes(alice: Actor, tmp_path: Path) -> None:
    assert registry.apply_folder(folder(tmp_path / "again", team="resuming: careful\n"), actor=alice, publish=True).proposal is None
    registry.suspend("worker", actor=alice, reason="odd")
    proposal = asked(lambda: registry.resume("worker", actor=alice))
    assert Agent.objects.get(name="worker").state == "suspended"
    decide(proposal, "bob")
    assert Agent.objects.get(name="worker").state == "active"


def test_who_is_asked_as_the_policy_is_another_one_by_now_is_told_that_it_is_void(alice: Actor, tmp_path: Path) -> None:
    proposal = proposed(tmp_path / "next", alice)
    made = folder(tmp_path / "other")
    file = made / "pipeline.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("within: 2h", "within: 3h"), encoding="utf-8")
    changed = registry.apply_folder(made, actor=alice, publish=True).proposal
    assert changed is not None
    decide(changed, "bob")
    with pytest.raises(Voided, match="not in force any more"):
        decide(proposal, "bob")
    assert Proposal.objects.get(pk=proposal.pk).state == "void"


def test_nothing_is_proposed_by_a_shell_that_is_nobody(alice: Actor, tmp_path: Path) -> None:
    registry.apply_folder(folder(tmp_path / "next", tier="high"), actor=alice)
    for what in (
        lambda: registry.publish("worker", actor=SYSTEM),
        lambda: registry.permit(Agent, "worker", grant=["allow read feed:x"], actor=SYSTEM),
        lambda: registry.apply_folder(folder(tmp_path / "again", tier="high"), actor=SYSTEM, publish=True),
    ):
        with pytest.raises(NotGranted, match="a person has to ask for it"):
            what()
    assert not Proposal.objects.exists() and live() == 1


def test_of_two_proposals_for_the_same_thing_the_newer_one_holds(alice: Actor, tmp_path: Path) -> None:
    first, second = proposed(tmp_path / "next", alice), asked(partial(registry.permit, Agent, "worker", grant=["allow read feed:x"], actor=alice))
    assert Proposal.objects.get(pk=first.pk).state == "withdrawn"  # both would change the same agent
    decide(second, "bob")
    assert live() == 3


def test_what_is_shown_is_what_differs_and_its_digest_is_bound_to_it(alice: Actor, tmp_path: Path) -> None:
    proposal = proposed(tmp_path / "next", alice)
    said = proposal_documents.document(proposal, actor=actor("bob"))
    [change] = said["changes"]
    assert (change["subject"], change["from_version"], change["to_version"]) == ("agent:worker", 1, 2)
    assert change["fields"] == [{"path": "risk_tier", "old": "low", "new": "middle"}]
    assert said["authors"] == ["alice"] and said["about"] == "publish agent worker 2" and said["deciders"] == ["bob"]
    with pytest.raises(ChangedSince):
        proposals.decide(proposal=str(proposal.pk), decision="approved", reason="x", seen="0" * 64, actor=actor("bob"))
    proposals.decide(proposal=str(proposal.pk), decision="approved", reason="x", seen=said["shown"], actor=actor("bob"))
    assert live() == 2


def test_whoever_proposed_it_takes_it_back_and_nobody_decides_it_then(alice: Actor, tmp_path: Path) -> None:
    proposal = proposed(tmp_path / "next", alice)
    registry.withdraw(str(proposal.pk), actor=alice)
    with pytest.raises(AlreadyDecided, match="withdrawn"):
        decide(proposal, "bob")
    with pytest.raises(Conflict, match="withdrawn already"):
        registry.withdraw(str(proposal.pk), actor=alice)


def test_what_nobody_decides_is_expired_and_nothing_was_done(alice: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = proposed(tmp_path / "next", alice)
    later = proposal.expires_at + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    proposals.tend()
    assert Proposal.objects.get(pk=proposal.pk).state == "expired" and live() == 1
    with pytest.raises(AlreadyDecided):
        decide(proposal, "bob")


def test_an_outsider_is_told_that_there_is_none_and_sees_none(alice: Actor, tmp_path: Path) -> None:
    proposal = proposed(tmp_path / "next", alice)
    charlie = member("charlie")
    assert not proposals.wanted(actor=charlie).exists()
    with pytest.raises(UnknownProposal):
        decide(proposal, "charlie")


def test_whom_the_policy_asks_decides_without_being_in_the_team(tmp_path: Path) -> None:
    member("carol")
    registry.apply_folder(
        folder(tmp_path / "first", team="publishing: careful\n", policy=POLICY.replace("{teams: [platform]}", "{people: [carol]}")),
        actor=SYSTEM, publish=True,
    )  # fmt: skip
    proposal = proposed(tmp_path / "next", member("alice", "platform"))
    assert [each.pk for each in proposals.wanted(actor=actor("carol"))] == [proposal.pk]
    decide(proposal, "carol")
    assert live() == 2


def test_a_row_that_was_changed_behind_everybodys_back_is_not_done(alice: Actor, tmp_path: Path) -> None:
    proposal = proposed(tmp_path / "next", alice)
    permit = {"do": "permit", "team": "platform", "permissions": ["allow write deploy:*"], "observe": None, "before": "x"}
    Proposal.objects.filter(pk=proposal.pk).update(deeds=[permit])
    with pytest.raises(Voided, match="changed since it was proposed"):
        decide(proposal, "bob")


def test_of_many_who_decide_at_once_one_does_it_and_the_others_are_told(alice: Actor, tmp_path: Path) -> None:
    proposal = proposed(tmp_path / "next", alice)
    people = [member(name, "platform") for name in NAMES]
    came_to = at_once([partial(decide, proposal, who.id, "declined" if place % 2 else "approved") for place, who in enumerate(people)])
    assert sorted(type(each).__name__ for each in came_to) == ["AlreadyDecided", "AlreadyDecided", "AlreadyDecided", "Proposal"]
    assert ProposalDecision.objects.count() == 1 and (live() == 2) == (ProposalDecision.objects.get().decision == "approved")


def test_two_proposals_of_one_thing_at_once_leave_one_open(alice: Actor, tmp_path: Path) -> None:
    grants = [partial(registry.permit, Agent, "worker", grant=[f"allow read feed:{each}"], actor=alice) for each in "abcd"]
    at_once([partial(asked_or_told, grant) for grant in grants])
    assert list(Proposal.objects.values_list("state", flat=True).order_by("created_at")).count("open") == 1


def asked_or_told(what: Callable[[], object]) -> None:
    with pytest.raises(registry.Proposed):
        what()


def test_what_was_never_published_is_not_run_as_a_draft_with_what_people_have_granted(alice: Actor, tmp_path: Path) -> None:
    registry.apply_folder(folder(tmp_path / "next", tier="high"), actor=alice)
    with pytest.raises(NotPublishable, match="people of team 'platform' say yes before something of it runs"):
        registry.release_for("sample", draft=True, actor=alice)


def test_nothing_is_taken_out_of_a_team_to_be_published_without_its_people(alice: Actor, tmp_path: Path) -> None:
    """By a file of another team that nobody has to ask."""
    red = tmp_path / "red"
    red.mkdir()
    (red / "team.yaml").write_text("kind: team\nname: red\n", encoding="utf-8")
    registry.apply_folder(red, actor=SYSTEM, publish=True)
    both = member("alice", "red")
    moved = agent("worker", "work:run", more='permissions: ["allow write deploy:*"]').replace("team: platform", "team: red")
    made = pipelines.folder(tmp_path / "moved", functions="def run() -> dict:\n    return {}\n", agents=[], steps="- {id: a, agent: worker}")
    (made / "pipeline.yaml").write_text(moved, encoding="utf-8")
    proposal = registry.apply_folder(made, actor=both, publish=True).proposal
    assert proposal is not None and proposal.team.name == "platform" and Agent.objects.get(name="worker").team.name == "platform"
    registry.apply_folder(made, actor=both)
    assert asked(lambda: registry.publish("worker", actor=both)).team.name == "platform"
