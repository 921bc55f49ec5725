"""What there is to tell of a proposal as things stand now: who is asked, or what has become of it. Reads only; called by `about`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Q

from agents.models import Proposal, ProposalState
from approvals.notify.notice import Notice, Place, Told
from approvals.services import inbox, proposal_documents, proposals
from audit.instants import to_the_second
from audit.visible import visible

_TITLES: Final = {
    "proposal.requested": "Approval needed: {}",
    "proposal.reminder": "Still waiting for an approval: {}",
    "proposal.escalated": "Approval needed, put to the next stage: {}",
}
_ENDS: Final = {
    ProposalState.ENACTED: ("Done: {}", "People have approved it, and exactly that was done."),
    ProposalState.DECLINED: ("Declined: {}", "People have declined it, and nothing was done. The reason stands beside the proposal."),
    ProposalState.EXPIRED: ("Not approved in time: {}", "Nobody has decided it in time, and silence denies it: nothing was done."),
    ProposalState.VOID: ("Void: {}", "It could not be done any more as it was shown, so nothing was: {}. It has to be proposed anew."),
    ProposalState.WITHDRAWN: ("Withdrawn: {}", "It was withdrawn{}, so nobody decides it any more, and nothing was done."),
}
_KEPT: Final = ("id", "kind", "about", "team", "state", "by", "stage", "stages", "asks", "created_at", "expires_at", "shown")


def place_of(payload: Told) -> Place:
    proposal = _proposal(payload)
    return Place("proposal:?") if proposal is None else Place(proposal.subject, proposal.team.name)


def found(_: str, payload: Told, now: datetime) -> Notice | None:
    """None where there is nothing to tell any more."""
    proposal, event = _proposal(payload), str(payload["event"])
    if proposal is None:
        return None
    state = ProposalState(proposal.reads(now))
    if event == "proposal.ended":
        return None if state is ProposalState.OPEN else _ended(proposal, state, event, now)
    if state is not ProposalState.OPEN or proposal.stage_at(now) != payload["stage"] or proposals.why_void(proposal) is not None:
        return None
    return _open(proposal, event, now)


def _proposal(payload: Told) -> Proposal | None:
    return Proposal.objects.select_related("team").prefetch_related("decisions").filter(pk=UUID(payload["proposal"])).first()


def _open(proposal: Proposal, event: str, now: datetime) -> Notice:
    policy, number = proposal.governing, proposal.stage_at(now)
    stage = policy.stages[number]

    def people() -> frozenset[str]:
        return frozenset(inbox.deciders(policy, number, proposals.parts_of(proposal), proposals.said_of(proposal), now=now).free)

    lines = (
        ("Asked under", f"{policy.said}, stage {number + 1} of {len(policy.stages)}"),
        ("Who decides", stage.said),
        ("Silence", f"it is denied at {to_the_second(proposal.expires_at)}"),
    )
    teams = frozenset({proposal.team.name, *stage.teams})
    return _notice(proposal, event, (_TITLES[event], "Nothing of it is done before people have said yes."), lines, teams, people, now)


def _ended(proposal: Proposal, state: ProposalState, event: str, now: datetime) -> Notice:
    title, sentence = _ENDS[state]
    reached = proposal.governing.stages[: proposal.stage_at(now) + 1]
    teams = frozenset({proposal.team.name, *(team for stage in reached for team in stage.teams)})
    why = visible(proposal.why, 300)
    said = (title, sentence.format(f", for {why}" if why and state is ProposalState.WITHDRAWN else why))
    return _notice(proposal, event, said, (), teams, lambda: _proposer(proposal, state), now)


def _proposer(proposal: Proposal, state: ProposalState) -> frozenset[str]:
    """As long as they may look at it. Who took it back knows; whose was replaced by another one may not."""
    name = proposal.by.removeprefix("person:")
    person = User.objects.filter(username=name, is_active=True).filter(Q(is_superuser=True) | Q(orchestra_teams=proposal.team))
    told = state is not ProposalState.WITHDRAWN or bool(proposal.why)
    return frozenset({name}) if told and person.exists() else frozenset()


def _notice(
    proposal: Proposal, event: str, said: tuple[str, str], lines: tuple[tuple[str, str], ...], teams: frozenset[str],
    people: Callable[[], frozenset[str]], now: datetime,
) -> Notice:  # fmt: skip
    [short] = proposal_documents.listed([proposal], now)
    about = f"{visible(short['about'], 120)} (team {visible(proposal.team.name, 63)})"
    policy = {name: short["policy"][name] for name in ("name", "version")}
    return Notice(
        event=event,
        title=said[0].format(about),
        sentence=said[1],
        lines=(("Would", short["about"]), ("Proposed by", proposal.by.removeprefix("person:")), *lines),
        path=f"/admin/agents/proposal/{proposal.pk}/change/",
        advice=f"Or type: manage.py proposals {proposal.pk}",
        data={**{name: short[name] for name in _KEPT}, "policy": policy},
        teams=teams,
        people=people,
    )
