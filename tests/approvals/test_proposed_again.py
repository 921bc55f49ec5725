"""Who has proposed something: whoever asked for the same too, nobody whose name is written into the row, and whose proposal gives way to another."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F

from agents import registry
from agents.models import Proposal, Team
from approvals.errors import NotYours, Voided
from approvals.services import proposals
from audit import reports
from audit.actors import Actor
from audit.models import Entry
from tests.agents.inventory import facts_of
from tests.approvals.test_proposals_held import docs, sample, tool
from tests.approving import actor, member
from tests.pipelines import SYSTEM
from tests.proposing import POLICY, asked, folder, proposed, ruled

pytestmark = pytest.mark.django_db(transaction=True)
GRANT = "allow read feed:x"


@pytest.fixture
def alice(tmp_path: Path) -> Actor:
    return ruled(tmp_path / "first")


def decide(proposal: Proposal, by: str) -> str:
    return proposals.decide(proposal=str(proposal.pk), decision="approved", reason="looked at it", actor=actor(by)).state


def test_whoever_asks_for_the_same_has_proposed_it_too(alice: Actor, tmp_path: Path) -> None:
    member("carol", "platform")
    first = proposed(tmp_path / "next", alice)
    for who in ("bob", "bob", "alice"):
        assert asked(partial(registry.publish, "worker", actor=actor(who))) == first
    assert Proposal.objects.get().asked_by == ["person:bob"]
    assert facts_of("agents.proposal.asked_again") == [{"digest": first.digest}]
    with pytest.raises(NotYours, match="you proposed it"):
        decide(first, "bob")
    assert decide(first, "carol") == "enacted"


def test_a_yes_counts_no_more_once_whoever_said_it_asks_for_the_same(tmp_path: Path) -> None:
    registry.apply_folder(folder(tmp_path / "first", team="publishing: careful\n", policy=f"{POLICY}\nrequired: 2"), actor=SYSTEM, publish=True)
    for name in ("bob", "carol", "dora"):
        member(name, "platform")
    first = proposed(tmp_path / "next", member("alice", "platform"))
    decide(first, "bob")
    asked(partial(registry.publish, "worker", actor=actor("bob")))
    assert decide(first, "carol") == "open" and decide(first, "dora") == "enacted"


@pytest.mark.parametrize(
    "said",
    [
        {"by": "person:bob"},
        {"kind": "resume"},
        {"created_at": F("created_at") - timedelta(minutes=1)},
        {"expires_at": F("expires_at") + timedelta(minutes=1)},
    ],
    ids=lambda said: next(iter(said)),
)
def test_who_proposed_it_and_when_is_not_changed_behind_everybodys_back(alice: Actor, said: dict[str, Any]) -> None:
    member("carol", "platform")
    proposal = asked(partial(registry.permit, Team, "platform", grant=[GRANT], actor=alice))
    Proposal.objects.update(**said)
    with pytest.raises(Voided, match="changed since it was proposed"):
        decide(proposal, "carol")
    assert Proposal.objects.get().state == "void" and Team.objects.get(name="platform").permissions == []


def test_under_which_policy_it_is_asked_is_not_changed_behind_everybodys_back(alice: Actor, tmp_path: Path) -> None:
    proposal = asked(partial(registry.permit, Team, "platform", grant=[GRANT], actor=alice))
    red = POLICY.replace("name: careful", "name: harder").replace("team: platform", "team: red", 1)
    docs(tmp_path / "h", f"kind: team\nname: red\n---\n{red}", by=SYSTEM, publish=True)
    Team.objects.filter(name="platform").update(publishing="harder")
    Proposal.objects.update(policy_name="harder")
    with pytest.raises(Voided, match="changed since it was proposed"):
        decide(proposal, "bob")


def test_a_proposal_gives_way_to_one_by_somebody_who_may_withdraw_it_and_to_no_other(alice: Actor, tmp_path: Path) -> None:
    """ron looks at platform and changes red, an agent of which a pipeline of platform runs: what he proposes changes that pipeline too."""
    docs(tmp_path / "red", "kind: team\nname: red", by=SYSTEM, publish=True)
    both = member("alice", "red")
    for number, rate in enumerate(("5/1h", "6/1h")):
        docs(tmp_path / f"t{number}", tool("red", f"rate: {rate}"), by=SYSTEM, publish=True)
    uses = docs(tmp_path / "p", sample(steps="[{id: b, agent: tool}]"), by=both, publish=True).proposal
    assert uses is not None and decide(uses, "bob") == "enacted"
    hers = docs(tmp_path / "q", sample(steps="[{id: c, agent: tool}]"), by=both, publish=True).proposal
    his = asked(partial(registry.rollback, "tool", actor=replace(member("ron", "red"), reads=frozenset({"platform"}))))
    assert hers is not None and set(Proposal.objects.filter(state="open")) == {hers, his}
    assert his.team.name == "platform" and {"pipeline:sample"} < set(his.changes.values_list("subject", flat=True))


def test_what_made_it_void_is_told_without_what_only_its_proposer_saw(alice: Actor, tmp_path: Path) -> None:
    docs(tmp_path / "red", "kind: team\nname: red", by=SYSTEM, publish=True)
    both = member("alice", "red")
    docs(tmp_path / "t", tool("red"), by=both)
    docs(tmp_path / "p", sample(steps="[{id: b, agent: tool}]"), by=both)
    proposal = asked(partial(registry.publish, "sample", actor=both))
    registry.remove_member("red", "alice", actor=SYSTEM)
    registry.show_team("red", "alice", actor=SYSTEM)
    with pytest.raises(Voided) as voided:
        decide(proposal, "bob")
    told, entry = Proposal.objects.get().why, Entry.objects.get(verb="agents.proposal.ended")
    assert told == "whoever proposed it may not do all of it any more" and told in str(voided.value)
    assert "team 'red'" in reports.openings_of([entry.id])[entry.id]["why"] and "red'" not in str(voided.value)
