"""What people have said yes to is done: the deeds of a proposal, in their order and in the transaction of the last yes, or none of them.

Each deed says what has to be so for it; where that is not so any more it is a Conflict, and the proposal void. Called by approvals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.auth.models import User

from agents.errors import NotGranted, NotPublishable
from agents.models import Agent, Pipeline, Proposal, ProposalKind, ProposalState, Team, Version
from audit import clock
from audit.actors import Actor
from audit.errors import Conflict, OrchestraError

from . import policies, publishing, retiring, rollbacks, rows, stopping, versions
from .acting import actor_of_person
from .enforcing import as_it_holds, observe_team, permit_team
from .locking import inventory_held
from .owners import owner_named, require_in_use
from .proposed import Deed, ends_of, grants_digest, running
from .proposing import end, holds_together
from .ruling import Ruling, refuse_rules_not_in_force
from .writing import Turn, require_member


@dataclass(frozen=True, slots=True)
class HeldProposal:
    """Under its lock, and that of the inventory, until the transaction ends; `now` was read after them."""

    proposal: Proposal
    now: datetime


class Changed(Conflict):
    """What was proposed is not what it was. Names nothing but that, so everybody may read it who sees the proposal."""


@contextmanager
def proposal_held(found: Proposal) -> Iterator[HeldProposal]:
    """A transaction in which it can be decided and enacted."""
    with inventory_held():
        row = Proposal.objects.select_for_update(of=("self",)).select_related("team").get(pk=found.pk)
        yield HeldProposal(row, clock.now())


def enact(held: HeldProposal) -> None:
    """Do it, as whoever proposed it. Conflict, NotGranted, NotPublishable and what else stands against it by now: the caller rolls it back."""
    proposal = held.proposal
    if not holds_together(proposal):
        raise Changed("its row was changed since it was proposed, so nobody can say what they would say yes to")
    turn, ruling = Turn(_proposer(proposal), held.now), Ruling.now()
    resumed = list[Team | None]()
    for deed in proposal.deeds:
        resumed += _DO[str(deed["do"])](turn, deed) or ()
    asks = ruling.asks_of(turn) if proposal.kind == ProposalKind.PUBLISH else ruling.asks_to_resume(resumed)
    if asks is None or (asks.policy.name, asks.policy.number) != (proposal.policy_name, proposal.policy_number):
        raise Changed("it is decided under another policy by now, or by nobody")
    turn.judged = True
    end(turn, proposal, ProposalState.ENACTED)
    turn.close()


def told_of(refusal: OrchestraError) -> str:
    """Why it could not be enacted, for everybody who sees it: what was refused was said to whoever proposed it, and may name what only they see."""
    if isinstance(refusal, Changed):
        return refusal.message
    if isinstance(refusal, NotGranted):
        return "whoever proposed it may not do all of it any more"
    if isinstance(refusal, NotPublishable):
        return "what it would put in force can't be published as things are now"
    return "what it would change, or something that depends on it, is not what it was"


def _proposer(proposal: Proposal) -> Actor:
    """As they are now: what they may not do any more is not done for them."""
    person = User.objects.filter(username=proposal.by.removeprefix("person:"), is_active=True).first()
    if person is None:
        raise Changed("whoever proposed it can't sign in any more")
    return actor_of_person(person, auth="proposal")


def end_proposal(held: HeldProposal, state: ProposalState, *, actor: Actor, why: str = "", full: str = "") -> None:
    """Declined, expired or void; `why` and `full` as `end` has them."""
    turn = Turn(actor, held.now)
    end(turn, held.proposal, state, why=why, full=full)
    turn.close()


def _publish(turn: Turn, deed: Deed) -> None:
    owner = _as_it_was(turn, deed)
    drafts = {name: _draft_as_it_was(name, number, instead_of) for name, number, instead_of in deed["drafts"]}
    publishing.carry_out(turn, owner, publishing.target_of(owner, deed["number"]), deed["seen"], instead=drafts)


def _draft_as_it_was(name: str, number: int, instead_of: str | None) -> Version:
    """One that is published with its pipeline, as long as it is to take the place of what they were shown."""
    draft = Version.objects.select_related("agent__team").get(agent__name=name, number=number)
    if running(draft.owner) != instead_of or draft.published_at is not None:
        raise Changed("an agent that would be published with it is not what it was when this was proposed")
    return draft


def _rollback(turn: Turn, deed: Deed) -> None:
    before = len(turn.released)
    rollbacks.carry_out(turn, _as_it_was(turn, deed), deed["number"] if deed["release"] is None else None, deed["release"])
    if [list(each) for each in ends_of(turn.released[before:])] != deed["touches"]:
        raise Changed("pipelines would not run by it what they would have when this was proposed")


def _restore(turn: Turn, deed: Deed) -> None:
    agent = _as_it_was(turn, deed)
    live = versions.published(agent)
    assert isinstance(agent, Agent)
    assert live is not None  # else it would not be as it was
    if as_it_holds(agent, live.spec) != deed["was"]:
        raise Changed(f"what holds of '{agent.name}' is not what it was when this was proposed")
    versions.publish(turn, live)


def _as_it_was(turn: Turn, deed: Deed) -> Agent | Pipeline:
    """What is to be changed, locked, as long as what runs of it is what they were shown. A retired agent is published too, and stays retired."""
    owner = owner_named(deed["name"], turn.actor)
    require_member(turn.actor, owner.team.name, f"'{owner.name}'")
    if isinstance(owner, Pipeline):
        require_in_use(owner)
    if running(owner) != deed["instead_of"]:
        raise Changed(f"what runs of '{owner.name}' is not what it was when this was proposed")
    return owner


def _policy(turn: Turn, deed: Deed) -> None:
    policies.put_version_in_force(turn, deed["name"], deed["number"], seen=deed["seen"], instead_of=deed["instead_of"])


def _permit(turn: Turn, deed: Deed) -> None:
    team = Team.objects.select_for_update(no_key=True).get(name=deed["team"])
    require_member(turn.actor, team.name, f"team '{team.name}'")
    if grants_digest(team) != deed["before"]:
        raise Changed(f"what team '{team.name}' grants to its agents has changed since it was proposed")
    if deed["permissions"] is not None:
        permit_team(turn, team, list(deed["permissions"]))
    if deed["observe"] is not None:
        observe_team(turn, team, observe=deed["observe"])


def _rule(turn: Turn, deed: Deed) -> None:
    team = Team.objects.select_for_update(no_key=True).get(name=deed["team"])
    require_member(turn.actor, team.name, f"team '{team.name}'")
    if {key: getattr(team, key) for key in deed["before"]} != deed["before"]:
        raise Changed(f"who decides for team '{team.name}' has changed since it was proposed")
    rows.rule_team(turn, team, deed["rules"])
    refuse_rules_not_in_force([team.name])


def _resume(turn: Turn, deed: Deed) -> list[Team | None]:
    return stopping.carry_out_lift(turn, deed["scope"], deed["name"], deed["stop"])


def _reinstate(turn: Turn, deed: Deed) -> list[Team | None]:
    return [retiring.carry_out_reinstatement(turn, owner_named(deed["name"], turn.actor)).team]


_DO: Final[Mapping[str, Callable[[Turn, Deed], list[Team | None] | None]]] = {
    "publish": _publish,
    "rollback": _rollback,
    "restore": _restore,
    "policy": _policy,
    "permit": _permit,
    "rule": _rule,
    "resume": _resume,
    "reinstate": _reinstate,
}
"""Each says of which teams something goes on by it, where it does."""
