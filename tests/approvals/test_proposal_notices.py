"""Of proposals people and teams are told: who may decide, half through and at the next stage again; and who proposed it, how it ended."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models import F

from agents import registry
from agents.models import Proposal
from approvals.services import proposals
from audit.models import Entry
from tests.approving import actor, member
from tests.mail_server import MailServer
from tests.pipelines import SYSTEM
from tests.proposing import POLICY, folder, proposed
from tests.telling import reachable, tell

pytestmark = pytest.mark.django_db(transaction=True)
STAGES = POLICY + "\nsilence: {escalate: {approvers: {people: [carol]}, within: 4h}}"


@pytest.fixture
def proposal(tmp_path: Path, mailbox: MailServer) -> Proposal:
    """alice has proposed to publish what bob, or after two hours carol, decides."""
    member("carol")
    registry.apply_folder(folder(tmp_path / "first", team="publishing: careful\n", policy=STAGES), actor=SYSTEM, publish=True)
    alice = reachable("alice", "platform")
    reachable("bob", "platform")
    reachable("carol")
    return proposed(tmp_path / "next", alice)


def subjects(mailbox: MailServer) -> list[tuple[str, str]]:
    return [(mail.to[0].partition("@")[0], mail.subject.removeprefix("[Orchestra] ")) for mail in mailbox.taken]


ABOUT = "publish agent worker 2 (team platform)"


def test_who_may_decide_is_told_with_a_link_that_decides_nothing(proposal: Proposal, mailbox: MailServer) -> None:
    tell()
    assert subjects(mailbox) == [("bob", f"Approval needed: {ABOUT}")]
    [mail] = mailbox.taken
    for said in (f"https://orchestra.example.com/admin/agents/proposal/{proposal.pk}/change/", "alice", f"manage.py proposals {proposal.pk}"):
        assert said in mail.text


def test_they_are_reminded_half_through_and_the_next_stage_is_told_as_its_turn_comes(proposal: Proposal, mailbox: MailServer) -> None:
    tell()
    for hours in (1, 0, 1, 0):
        earlier = timedelta(hours=hours, seconds=1)
        Proposal.objects.update(created_at=F("created_at") - earlier, expires_at=F("expires_at") - earlier, look_at=F("look_at") - earlier)
        proposals.tend()
        tell()
    assert subjects(mailbox)[1:] == [
        ("bob", f"Still waiting for an approval: {ABOUT}"), ("carol", f"Approval needed, put to the next stage: {ABOUT}")
    ]  # fmt: skip
    assert Entry.objects.filter(verb="agents.proposal.escalated").count() == 1


def test_whoever_proposed_it_is_told_what_became_of_it(proposal: Proposal, mailbox: MailServer) -> None:
    tell()
    proposals.decide(proposal=str(proposal.pk), decision="approved", reason="x", actor=actor("bob"))
    tell()
    assert subjects(mailbox)[1:] == [("alice", f"Done: {ABOUT}")]


def test_what_is_over_before_it_was_sent_is_put_to_nobody(proposal: Proposal, mailbox: MailServer) -> None:
    registry.withdraw(str(proposal.pk), actor=actor("alice"))
    tell()
    assert subjects(mailbox) == []
