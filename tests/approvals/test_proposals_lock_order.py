"""Whoever proposes, decides or withdraws takes rows in the order in which everybody else does, so that none waits for another's next row."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection

from agents import registry, stops
from agents.models import Agent, Proposal, Team
from agents.registry import asking, enacting, people, permitting, proposing, publishing, retiring, rollbacks, stopping
from approvals.services import proposals
from audit.actors import MANAGE_PEOPLE, Actor
from orchestra_site import credentials, tokens
from tests.agents.test_at_once import Meeting
from tests.approvals.test_proposals_held import docs
from tests.approving import actor
from tests.pipelines import SYSTEM
from tests.proposing import asked, folder, proposed, ruled

pytestmark = pytest.mark.django_db(transaction=True)
GRANT = "allow read feed:x"


@pytest.fixture(autouse=True)
def _several_writers() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer: whoever comes second waits at BEGIN")


@pytest.fixture
def alice(tmp_path: Path) -> Actor:
    """With a token, in a team that has people decide what is published and what goes on; of `worker` there is an older version and a draft."""
    by = ruled(tmp_path / "first")
    docs(tmp_path / "rule", "kind: team\nname: platform\nresuming: careful", by=SYSTEM, publish=True)
    decide(asked(partial(registry.permit, Agent, "worker", grant=["allow read feed:before"], actor=by)), actor("bob"))
    registry.apply_folder(folder(tmp_path / "draft", tier="middle"), actor=by)
    return with_token("alice")


def with_token(name: str) -> Actor:
    made = tokens.create_token(name, actor=SYSTEM)
    return replace(actor(name), by=credentials.token_of(made.token))


def decide(proposal: Proposal, by: Actor) -> Proposal:
    return proposals.decide(proposal=str(proposal.pk), decision="approved", reason="looked at it", actor=by)


def make_key(by: Actor) -> Callable[[], Any]:
    """Takes the row of whoever asks, then the agent's, as a run does that is started with a key of theirs."""
    return partial(registry.make_key, "worker", actor=by, scopes=["can"])


def show(to: str, by: Actor = SYSTEM) -> Callable[[], Any]:
    """As letting somebody in, where nothing else is to change: takes the team's row and the person's, and before that of who manages people."""
    return partial(registry.show_team, "platform", to, actor=replace(by, permissions=frozenset({MANAGE_PEOPLE})))


def deadlocked(errors: dict[str, Exception]) -> list[Exception]:
    return [error for error in errors.values() if isinstance(error, DatabaseError)]


def suspended(by: Actor) -> Callable[[], Any]:
    registry.suspend("worker", actor=SYSTEM, reason="odd")
    return partial(registry.resume, "worker", actor=by)


def suspended_by_id(by: Actor) -> Callable[[], Any]:
    stop = registry.stop("agent", "worker", actor=SYSTEM, reason="odd")
    return partial(registry.lift, str(stop.pk), actor=by)


def retired(by: Actor) -> Callable[[], Any]:
    registry.retire("sample", actor=SYSTEM, reason="old")
    registry.retire("worker", actor=SYSTEM, reason="old")
    return partial(registry.reinstate, "worker", actor=by)


CHANGES: tuple[tuple[Callable[[Actor], Callable[[], Any]], Any, str], ...] = (
    (lambda by: partial(registry.publish, "worker", actor=by), publishing, "target_of"),
    (lambda by: partial(registry.rollback, "worker", actor=by), rollbacks, "require_in_use"),
    (lambda by: partial(registry.permit, Agent, "worker", grant=[GRANT], actor=by), permitting, "require_in_use"),
    (suspended, stopping, "_stopped"),
    (suspended_by_id, stopping, "_target_of"),
    (retired, retiring, "require_member"),
)
"""What is proposed, and the first call after it has locked the agent."""


@pytest.mark.parametrize(("change", "module", "seam"), CHANGES, ids=("publish", "rollback", "permit", "resume", "lift", "reinstate"))
def test_a_proposal_and_a_key_of_the_same_person_never_wait_for_each_other(
    alice: Actor, monkeypatch: pytest.MonkeyPatch, change: Callable[[Actor], Callable[[], Any]], module: Any, seam: str
) -> None:
    first = change(alice)
    errors = Meeting(monkeypatch, module, seam).of(first, make_key(alice))
    assert not deadlocked(errors) and isinstance(errors["first"], registry.Proposed)


def test_a_folder_that_is_proposed_and_whoever_looks_at_the_team_never_wait_for_each_other(
    alice: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = folder(tmp_path / "next", tier="high", team="accountable: somebody\n")
    meeting = Meeting(monkeypatch, asking, "only_of")  # the team is written by then
    assert meeting.of(partial(registry.apply_folder, made, actor=alice, publish=True), show("alice", alice)) == {}
    assert Proposal.objects.filter(state="open").exists()


def test_who_is_let_into_a_team_and_decides_what_it_grants_never_wait_for_each_other(alice: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = asked(partial(registry.permit, Team, "platform", grant=[GRANT], actor=alice))
    meeting = Meeting(monkeypatch, people, "team_named")
    assert meeting.of(show("bob"), partial(decide, proposal, with_token("bob"))) == {}
    assert Team.objects.get(name="platform").permissions == [GRANT]


def test_who_is_let_into_a_team_and_proposes_what_it_grants_never_wait_for_each_other(alice: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    grants = partial(registry.permit, Team, "platform", grant=[GRANT], actor=alice)
    errors = Meeting(monkeypatch, permitting, "_denied").of(grants, show("alice", alice))
    assert list(errors) == ["first"] and isinstance(errors["first"], registry.Proposed)


def test_a_withdrawal_and_a_proposal_in_its_place_never_wait_for_each_other(alice: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = proposed(tmp_path / "next", alice, tier="high")
    newer = partial(registry.permit, Agent, "worker", grant=[GRANT], actor=alice)
    errors = Meeting(monkeypatch, proposing, "may_withdraw").of(partial(registry.withdraw, str(older.pk), actor=alice), newer)
    assert list(errors) == ["second"] and isinstance(errors["second"], registry.Proposed)


def test_a_stop_and_the_last_yes_to_what_a_team_grants_never_wait_for_each_other(
    alice: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    made = folder(tmp_path / "next", tier="high", team=f'permissions: ["{GRANT}"]\n')
    proposal = registry.apply_folder(made, actor=alice, publish=True).proposal
    assert proposal is not None
    meeting = Meeting(monkeypatch, enacting, "owner_named")  # the team is locked by then
    assert meeting.of(partial(decide, proposal, actor("bob")), partial(registry.suspend, "worker", reason="fire", actor=SYSTEM)) == {}
    assert Team.objects.get(name="platform").permissions == [GRANT]


def test_nobody_is_kept_from_sending_while_a_lift_waits_for_a_persons_row(alice: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent waits for whoever holds the stops: first all that is waited for, and then these."""
    lift, order = suspended(alice), list[str]()
    for module, name in ((stops, "hold"), (credentials, "_person")):
        monkeypatch.setattr(module, name, noting(order, name, getattr(module, name)))
    asked(lift)
    assert order == ["_person", "hold"]


def noting(order: list[str], name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*args: Any) -> Any:
        order.append(name)
        return real(*args)

    return noted
