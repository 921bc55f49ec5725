"""Whoever wrote what is proposed says no yes to it, under whichever name and with whatever change somebody else has stored it."""

from pathlib import Path

import pytest

from agents import registry
from approvals.errors import NotYours
from audit.actors import Actor
from tests.approvals.test_proposals_held import CODE, decide, docs, tool
from tests.approving import actor, member
from tests.pipelines import SYSTEM
from tests.proposing import POLICY, ruled

pytestmark = pytest.mark.django_db(transaction=True)
OTHER = POLICY.replace("name: careful", "name: other")
BOBS = "def f() -> dict:\n    return {'whose': 'bob'}\n"


@pytest.fixture
def alice(tmp_path: Path) -> Actor:
    return ruled(tmp_path / "first")


def refused(path: Path, text: str, by: Actor, code: str = CODE) -> None:
    """Proposed by this person, bob can't say yes to it; somebody else can."""
    proposal = docs(path, text, by=by, publish=True, code=code).proposal
    assert proposal is not None
    with pytest.raises(NotYours, match="you wrote what it would publish"):
        decide(proposal, "bob")
    member("carol", "platform")
    assert decide(proposal, "carol") == "enacted"


@pytest.mark.parametrize("live", [False, True])
def test_a_draft_of_a_policy_stays_its_writers_when_its_time_is_changed(alice: Actor, tmp_path: Path, live: bool) -> None:
    if live:
        proposal = docs(tmp_path / "live", OTHER, by=alice, publish=True).proposal
        assert proposal is not None and decide(proposal, "bob") == "enacted"
    bobs = OTHER.replace("{teams: [platform]}", "{people: [bob]}")
    docs(tmp_path / "bobs", bobs, by=actor("bob"))
    refused(tmp_path / "hers", bobs.replace("2h", "3h"), alice)
    assert registry.policies_in_force(["other"])["other"].stages[0].people == ("bob",)


def test_code_stays_its_writers_under_the_name_of_another_agent(alice: Actor, tmp_path: Path) -> None:
    docs(tmp_path / "bobs", tool("platform"), by=actor("bob"), code=BOBS)
    refused(tmp_path / "hers", tool("platform").replace("name: tool", "name: utensil"), alice, code=BOBS)


def test_code_of_a_draft_stays_its_writers_with_a_line_added(alice: Actor, tmp_path: Path) -> None:
    live = docs(tmp_path / "live", tool("platform"), by=alice, publish=True).proposal
    assert live is not None and decide(live, "bob") == "enacted"
    docs(tmp_path / "bobs", tool("platform"), by=actor("bob"), code=BOBS)
    refused(tmp_path / "hers", tool("platform"), alice, code=f"{BOBS}# one line\n")


def test_what_a_draft_has_left_as_it_was_is_not_its_writers(alice: Actor, tmp_path: Path) -> None:
    docs(tmp_path / "live", tool("platform"), by=SYSTEM)
    live = docs(tmp_path / "same", tool("platform"), by=alice, publish=True).proposal
    assert live is not None and decide(live, "bob") == "enacted"
    docs(tmp_path / "bobs", tool("platform", "rate: 5/1h"), by=actor("bob"))
    hers = docs(tmp_path / "hers", tool("platform"), by=alice, publish=True, code=BOBS).proposal
    assert hers is not None and decide(hers, "bob") == "enacted"
