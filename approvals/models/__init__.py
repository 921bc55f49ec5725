"""Rows of approvals: what is asked of whom, what was decided and what was said about it; and the ledger verbs of this app."""

from .proposal import ProposalDecision
from .request import Approver, Comment, Decision, Kept, Kind, Request, RequestQuerySet
from .verbs import COMMENTED, DECIDED, ESCALATED, GIVEN_UP, PROPOSAL_DECIDED, PROPOSAL_REFUSED, REFUSED, VERBS, VOIDED

__all__ = [
    "COMMENTED",
    "DECIDED",
    "ESCALATED",
    "GIVEN_UP",
    "PROPOSAL_DECIDED",
    "PROPOSAL_REFUSED",
    "REFUSED",
    "VERBS",
    "VOIDED",
    "Approver",
    "Comment",
    "Decision",
    "Kept",
    "Kind",
    "ProposalDecision",
    "Request",
    "RequestQuerySet",
]  # fmt: skip
