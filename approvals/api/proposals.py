"""`/api/v1/proposals/…`: changes that a team has people say yes to before they are made, and what they say of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.response import Response

from agents import registry
from agents.errors import NotGranted, UnknownProposal
from approvals.api.proposal_shapes import DECISION, FILTERS
from approvals.api.views import TAG
from approvals.errors import AlreadyDecided, BadDecision, ChangedSince, NotYours, Voided
from approvals.services import proposal_documents, proposals
from audit import clock
from audit.api.doors import Asked, Door, operation
from audit.api.pages import PAGING, Order, cut
from audit.api.shapes import ref
from audit.errors import Conflict

OLDEST = Order("created_at", "id")


def shown(proposal: UUID, asked: Asked) -> dict[str, Any]:
    return proposal_documents.document(proposals.find(str(proposal), actor=asked.actor), actor=asked.actor)


class ProposalsView(Door):
    @operation(
        id="list_proposals",
        tag=TAG,
        summary="List what is proposed",
        does=(
            "Changes that teams have people say yes to before they are made: of teams that you see, and what a policy puts to you; oldest "
            "first. Filters add up: `?state=open&mine=true` is what waits for you."
        ),
        query={**FILTERS, **PAGING},
        gives=ref("ProposalPage"),
    )
    def get(self, asked: Asked) -> Response:
        said = asked.query
        wanted = proposals.wanted(actor=asked.actor, state=said.get("state"), mine=bool(said.get("mine")), team=said.get("team"))
        found, following = cut(wanted.prefetch_related("decisions"), OLDEST, asked)
        return Response({"items": proposal_documents.listed(found, clock.now()), "next": following})


class ProposalView(Door):
    @operation(
        id="show_proposal",
        tag=TAG,
        summary="Show a proposal",
        does="All that a decision is about, also of one that is over: what would change, field by field, who asks for it, and by which policy.",
        gives=ref("Proposal"),
        refuses=(UnknownProposal,),
    )
    def get(self, asked: Asked, proposal: UUID) -> Response:
        return Response(shown(proposal, asked))


class DecideProposalView(Door):
    @operation(
        id="decide_proposal",
        tag=TAG,
        summary="Approve or decline a proposal",
        does=(
            "With as many approvals as the policy asks for, exactly this is done, at once and as a whole. You must be a person whom the policy asks "
            "now, and have had no part in it: neither proposed it, nor written what it would publish, nor written or published the policy."
        ),
        takes=DECISION,
        gives=ref("Proposal"),
        refuses=(UnknownProposal, NotYours, AlreadyDecided, Voided, ChangedSince, BadDecision, Conflict),
    )
    def post(self, asked: Asked, proposal: UUID) -> Response:
        said = asked.body
        more = {"reason": said.get("reason", ""), "seen": said.get("seen")}
        proposals.decide(proposal=str(proposal), decision=said["decision"], **more, actor=asked.actor)
        return Response(shown(proposal, asked))


class WithdrawView(Door):
    @operation(
        id="withdraw_proposal",
        tag=TAG,
        summary="Take a proposal back",
        does="Nobody decides it any more. For whoever proposed it, and whoever may change what the team owns.",
        gives=ref("Proposal"),
        refuses=(UnknownProposal, NotGranted, Conflict),
    )
    def post(self, asked: Asked, proposal: UUID) -> Response:
        registry.withdraw(str(proposal), actor=asked.actor)
        return Response(shown(proposal, asked))
