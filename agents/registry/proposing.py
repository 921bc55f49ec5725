"""Proposals as use-cases: what a team's policy asks people about before it is done is put down for them, and withdrawn. Each with its entry.

Decides nothing and does nothing of what is proposed: `enacting` does, once approvals say so. Called by whoever publishes or lets go on,
and by doors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from agents.errors import NotGranted, UnknownProposal
from agents.models import Proposal
from agents.models.proposal import ProposalChange, ProposalKind, ProposalQuerySet, ProposalState
from audit import canonical, clock, outbox
from audit.actors import Actor
from audit.errors import Conflict, Deferred, OrchestraError
from audit.visible import named, visible

from . import verbs
from .locking import inventory_held
from .proposed import Deed, Item
from .ruling import Asks
from .writing import Turn, record_refusal, require_credential, require_member

ASK_AS: Final = "a person has to ask for it, with a token of theirs in ORCHESTRA_TOKEN or in the admin: whoever asks doesn't decide"
TOPIC: Final = "agents.proposal"
"""Of the outbox: what has become of a proposal."""
_SELF: Final = Actor.system("proposals")
MOST_OPEN: Final = 200
"""Of one team: each is somebody's to look at."""
OLDER_POLICY: Final = "the policy that it was asked under is not in force any more"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be put to people: the deeds, what they would change, and what is shown of them."""

    kind: ProposalKind
    asks: Asks
    deeds: tuple[Deed, ...]
    subjects: frozenset[str]
    shown: tuple[Item, ...] = ()


class Proposed(Deferred):
    """Raised once the proposal is committed."""

    def __init__(self, proposal: Proposal) -> None:
        super().__init__(f"proposed, and not done yet: {Asks(proposal.team, proposal.governing).said}", proposal=str(proposal.pk))
        self.proposal = proposal


def put(turn: Turn, asked: Asked) -> Proposal:
    """Put it to people. One that is open and proposes exactly this already is returned; what changes one of the same things is withdrawn, where
    the actor may do that. What else is open about them stays so: it is void once they are not what they were.

    The inventory is held, and what the actor asks with has been looked at.
    """
    team, policy = asked.asks.team, asked.asks.policy
    if turn.actor.kind != "person":
        raise NotGranted(f"{policy.said} has people decide this, so {ASK_AS}", team=team.name)
    about = list(Proposal.objects.open(turn.now).filter(kind=asked.kind).about(asked.subjects).select_related("team"))
    standing = next((each for each in about if _is_same(each, asked)), None)
    if standing is not None:
        return _asked_again(turn, standing)
    for older in about:
        if may_withdraw(older, turn.actor):
            end(turn, older, ProposalState.WITHDRAWN, why="something else was proposed in its place")
    if Proposal.objects.open(turn.now).filter(team=team).count() >= MOST_OPEN:
        raise Conflict(f"team '{team.name}' has {MOST_OPEN} proposals that are open, which is the most; withdraw one, or have it decided")
    return _made(turn, asked)


def _is_same(proposal: Proposal, asked: Asked) -> bool:
    team, policy = asked.asks.team, asked.asks.policy
    if (proposal.team_id, proposal.policy) != (team.pk, policy.as_record()):
        return False
    return canonical.digest([proposal.deeds, proposal.shown]) == canonical.digest([_plain(asked.deeds), _plain(asked.shown)])


def _asked_again(turn: Turn, standing: Proposal) -> Proposal:
    """Whoever asks for it too has proposed it: it isn't theirs to say yes to."""
    if turn.by not in (standing.by, *standing.asked_by):
        standing.asked_by = [*standing.asked_by, turn.by]
        standing.save(update_fields=["asked_by"])
        turn.note(verbs.PROPOSAL_ASKED_AGAIN, standing.subject, team=standing.team.name, facts={"digest": standing.digest})
    return standing


def digest_of(proposal: Proposal) -> str:
    """What a yes is bound to: SHA-256 over RFC 8785. What people see is in it, as whom it is done, and when it began, which says whose turn it is."""
    said = {"kind": str(proposal.kind), "team": proposal.team.name, "policy": proposal.governing.as_record(), "by": proposal.by}
    times = {"created_at": clock.to_text(proposal.created_at), "expires_at": clock.to_text(proposal.expires_at)}
    return canonical.digest({**said, **times, "deeds": proposal.deeds, "shown": proposal.shown})


def holds_together(proposal: Proposal) -> bool:
    """Whether the row still says what its digest is of."""
    policy = proposal.governing
    return (proposal.policy_name, proposal.policy_number) == (policy.name, policy.number) and digest_of(proposal) == proposal.digest


def _plain(values: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [dict(each) for each in values]


def _made(turn: Turn, asked: Asked) -> Proposal:
    team, policy = asked.asks.team, asked.asks.policy
    made = Proposal(kind=asked.kind, team=team, deeds=_plain(asked.deeds), shown=_plain(asked.shown), by=turn.by, created_at=turn.now)
    made.policy, made.policy_name, made.policy_number = policy.as_record(), policy.name, policy.number
    made.look_at = turn.now + timedelta(milliseconds=policy.stages[0].within_ms) / 2
    made.expires_at = turn.now + timedelta(milliseconds=policy.within_ms)
    made.digest = digest_of(made)
    made.save(force_insert=True)
    ProposalChange.objects.bulk_create(ProposalChange(proposal=made, subject=subject) for subject in sorted(asked.subjects))
    facts = {"kind": str(asked.kind), "digest": made.digest, "policy": policy.name, "policy_version": policy.number}
    facts |= {"changes": sorted(asked.subjects)}
    turn.note(verbs.PROPOSAL_MADE, made.subject, team=team.name, facts=facts, openings={"deeds": made.deeds})
    tell("requested", made, 0, turn.now)
    return made


def look_after(proposal: Proposal, *, now: datetime) -> None:
    """Whoever is asked next is told, and half through a stage they are reminded: each once, whoever looks first."""
    stage = proposal.stage_at(now)
    still = Proposal.objects.filter(pk=proposal.pk, state=ProposalState.OPEN, look_at=proposal.look_at)
    with transaction.atomic():
        if stage > proposal.told_stage:
            if still.update(told_stage=stage, look_at=proposal.remind_at(stage)):
                turn = Turn(_SELF, now)
                turn.note(verbs.PROPOSAL_ESCALATED, proposal.subject, team=proposal.team.name, facts={"stage": stage, "digest": proposal.digest})
                turn.close()
                tell("escalated", proposal, stage, now)
        elif still.update(look_at=proposal.ends_at(stage)):
            tell("reminder", proposal, stage, now)


def tell(step: str, proposal: Proposal, stage: int, now: datetime) -> None:
    """For whoever is to be told, once: who that is, and what they are told, is found out when it is sent."""
    said = {"event": f"proposal.{step}", "proposal": str(proposal.pk), "stage": stage, "at": clock.to_text(now)}
    outbox.put_all([(TOPIC, f"{said['event']}:{proposal.pk}:{stage}", said)], now=now)


def withdraw(proposal: str, *, actor: Actor, now: datetime | None = None) -> Proposal:
    """By whoever proposed it, or somebody who may change what the team owns. UnknownProposal, NotGranted, Conflict (it is open no more)."""
    subject = named("proposal", proposal)
    try:
        with inventory_held():
            require_credential(actor, now)
            found = proposal_shown(proposal, actor=actor)
            subject = found.subject
            held, turn = Proposal.objects.select_for_update(of=("self",)).select_related("team").get(pk=found.pk), Turn(actor, now or clock.now())
            if not may_withdraw(held, actor):
                require_member(actor, held.team.name, "this proposal")
            require_open(held, turn.now)
            end(turn, held, ProposalState.WITHDRAWN)
            turn.close()
    except OrchestraError as refusal:
        problems, facts = [refusal.message], {"code": refusal.code, "asked": "withdraw"}
        record_refusal(actor, subject, now=now, problems=problems, facts=facts, verb=verbs.PROPOSAL_REFUSED)
        raise
    return held


def may_withdraw(proposal: Proposal, actor: Actor) -> bool:
    """Whoever proposed it, and whoever may change what the team owns."""
    return proposal.by == f"{actor.kind}:{actor.id}" or actor.may_change(proposal.team.name)


def require_open(proposal: Proposal, now: datetime) -> None:
    """Conflict tells what happened meanwhile."""
    state, why = states_of([proposal], now)[proposal.pk]
    if state != ProposalState.OPEN:
        raise Conflict(f"this proposal is {state} already{f': {why}' if why else ''}; there is nothing to be said of it any more")


def states_of(found: Collection[Proposal], now: datetime) -> dict[UUID, tuple[str, str]]:
    """By key what each is at this moment, and why: void also where no sweep has said so yet, its policy being another one. One statement."""
    states = {each.pk: (each.reads(now), each.why) for each in found}
    pending = [key for key, (state, _) in states.items() if state == ProposalState.OPEN]
    older = Proposal.objects.filter(pk__in=pending).under_older().values_list("pk", flat=True) if pending else ()
    return states | dict.fromkeys(older, (str(ProposalState.VOID), OLDER_POLICY))


def end(turn: Turn, proposal: Proposal, state: ProposalState, *, why: str = "", full: str = "") -> None:
    """Once. `why` is for everybody who sees it, `full` for the entry. Conflict where somebody was quicker."""
    moved = Proposal.objects.filter(pk=proposal.pk, state=ProposalState.OPEN).update(state=state, ended_at=turn.now, why=why)
    if not moved:
        raise Conflict("this proposal was ended by somebody else at this moment; look again")
    proposal.state, proposal.ended_at, proposal.why = state, turn.now, why
    facts, said = {"state": str(state), "digest": proposal.digest}, full or why
    turn.note(verbs.PROPOSAL_ENDED, proposal.subject, team=proposal.team.name, facts=facts, openings={"why": said} if said else None)
    tell("ended", proposal, proposal.stage_at(turn.now), turn.now)


def proposals_visible_to(actor: Actor, *, also: ProposalQuerySet | None = None) -> ProposalQuerySet:
    """Those of the actor's teams, and these."""
    return Proposal.objects.select_related("team").visible_to(actor, also)


def proposal_shown(proposal: str, *, actor: Actor) -> Proposal:
    """UnknownProposal, also for one that the actor may not see."""
    try:
        return proposals_visible_to(actor).get(pk=UUID(proposal))
    except (ValueError, Proposal.DoesNotExist):
        raise UnknownProposal(f"there is no proposal '{visible(proposal, 60)}' that you may see; `manage.py proposals` lists them") from None


def proposal_named(proposal: str) -> Proposal | None:
    """Whoever may see it: for approvals, which know whom it is put to."""
    try:
        return Proposal.objects.select_related("team").filter(pk=UUID(proposal)).first()
    except ValueError:
        return None
