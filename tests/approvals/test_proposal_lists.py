"""Lists of proposals: they say of each what is so at this moment, and ask the database as often for many as for few."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import registry
from agents.models import Proposal
from approvals.services import proposal_documents, proposals
from audit import clock
from audit.actors import Actor
from audit.errors import Conflict
from tests.approving import actor, member
from tests.pipelines import SYSTEM, agent
from tests.proposing import POLICY, asked, folder, proposed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice(tmp_path: Path) -> Actor:
    """Two of her team must say yes; bob, carol and dora are in it too."""
    registry.apply_folder(folder(tmp_path / "first", team="publishing: careful\n", policy=f"{POLICY}\nrequired: 2"), actor=SYSTEM, publish=True)
    for name in ("bob", "carol", "dora"):
        member(name, "platform")
    return member("alice", "platform")


def decide(proposal: Proposal, by: str) -> Proposal:
    return proposals.decide(proposal=str(proposal.pk), decision="approved", actor=actor(by))


def document(proposal: Proposal, by: str) -> dict[str, Any]:
    return proposal_documents.document(Proposal.objects.get(pk=proposal.pk), actor=actor(by))


def listed(by: str, **which: Any) -> list[dict[str, Any]]:
    found = proposals.wanted(actor=actor(by), **which).prefetch_related("decisions").order_by("created_at", "id")
    return proposal_documents.listed(list(found), clock.now())


def statements(what: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as seen:
        what()
    return [each["sql"] for each in seen.captured_queries]


def another_policy(path: Path, by: Actor) -> None:
    """Under the one in force bob and carol say yes to it."""
    changed = registry.apply_folder(folder(path, policy=f"{POLICY}\nrequired: 2\nreason: true"), actor=by, publish=True).proposal
    assert changed is not None
    decide(changed, "bob")
    assert decide(changed, "carol").state == "enacted"


def test_lists_take_as_many_statements_for_many_as_for_few(alice: Actor, tmp_path: Path) -> None:
    names = [f"new-{number}" for number in range(9)]
    made = tmp_path / "new"
    made.mkdir()
    (made / "work.py").write_text("def run() -> dict:\n    return {}\n", encoding="utf-8")
    (made / "new.yaml").write_text("\n---\n".join(agent(name, "work:run") for name in names), encoding="utf-8")
    registry.apply_folder(made, actor=alice)

    def propose(some: list[str]) -> None:
        for name in some:
            decide(asked(lambda name=name: registry.publish(name, actor=alice)), "dora")

    bob, lists = actor("bob"), (
        lambda: listed("bob", state="open"),
        lambda: listed("bob", mine=True),
        lambda: proposals.waiting_for(bob, most=99),
    )  # fmt: skip
    propose(names[:2])
    few = [len(statements(each)) for each in lists]
    propose(names[2:])
    assert len(proposals.waiting_for(bob, most=99)) == len(listed("bob", mine=True)) == 9
    assert [len(statements(each)) for each in lists] == few


def test_who_had_which_part_is_the_same_for_one_and_for_many(alice: Actor, tmp_path: Path) -> None:
    hers = proposed(tmp_path / "next", alice)
    policy = f"{POLICY}\nrequired: 2\nreason: true"  # nothing of the draft that she has stored beside hers
    changed = registry.apply_folder(folder(tmp_path / "policy", policy=policy), actor=actor("bob"), publish=True).proposal
    assert changed is not None
    assert proposals.parts_of_each([hers, changed]) == {each.pk: proposals.parts_of(each) for each in (hers, changed)}
    assert proposals.parts_of(hers).published == {"person:alice"}
    assert proposals.parts_of(changed).published == {"person:bob"}


def test_a_yes_that_does_not_count_any_more_is_lacking_in_lists_and_on_the_page(alice: Actor, tmp_path: Path) -> None:
    proposal = proposed(tmp_path / "next", alice)
    decide(proposal, "dora")
    assert document(proposal, "carol")["lacks"] == 1
    registry.same_person("dora", "alice", actor=SYSTEM)
    said = document(proposal, "carol")
    assert (said["lacks"], said["deciders"], said["stuck"]) == (2, ["bob", "carol"], None)
    assert decide(proposal, "bob").state == "open"
    assert [each["lacks"] for each in listed("carol", state="open")] == [1]
    registry.remove_member("platform", "carol", actor=SYSTEM)
    assert "1 more must approve, and nobody of team 'platform' can" in document(proposal, "alice")["stuck"]


def test_what_is_asked_under_an_older_policy_reads_void_everywhere_before_any_sweep(alice: Actor, tmp_path: Path) -> None:
    proposal = proposed(tmp_path / "next", alice)
    assert [each["id"] for each in listed("dora", mine=True)] == [str(proposal.pk)]
    another_policy(tmp_path / "other", alice)
    assert Proposal.objects.get(pk=proposal.pk).state == "open"
    assert listed("dora", state="open") == listed("dora", mine=True) == proposals.waiting_for(actor("dora"), most=9) == []
    why = "the policy that it was asked under is not in force any more"
    ended = {each["id"]: each for each in listed("dora", state="ended")}
    assert (ended[str(proposal.pk)]["state"], ended[str(proposal.pk)]["why"], ended[str(proposal.pk)]["lacks"]) == ("void", why, 0)
    said = document(proposal, "alice")
    assert (said["state"], said["why"], said["why_not"]) == ("void", why, f"it is void already: {why}")
    assert not said["may_withdraw"] and said["deciders"] == []
    with pytest.raises(Conflict, match=f"void already: {why}"):
        registry.withdraw(str(proposal.pk), actor=alice)
    before = {each["id"]: each["state"] for each in listed("dora")}
    proposals.tend()
    assert Proposal.objects.get(pk=proposal.pk).state == "void"
    assert {each["id"]: each["state"] for each in listed("dora")} == before


def test_lists_are_read_in_order_and_without_the_specs_that_they_say_nothing_of(alice: Actor, tmp_path: Path) -> None:
    proposed(tmp_path / "next", alice)
    for what in (lambda: listed("bob", state="open"), lambda: listed("bob", mine=True), lambda: proposals.waiting_for(actor("bob"), most=9)):
        read = statements(what)
        assert read and not [sql for sql in read if '"shown"' in sql and '"agents_proposal"' in sql]
    if connection.vendor == "sqlite":
        for by in (actor("bob"), SYSTEM):
            plan = proposals.wanted(actor=by, state="ended").order_by("created_at", "id")[:50].explain()
            assert "USING INDEX proposal_oldest" in plan and "TEMP B-TREE" not in plan
