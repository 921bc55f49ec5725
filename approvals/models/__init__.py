"""Rows of approvals: what is asked of whom, what was decided and what was said about it; and the ledger verbs of this app."""

from .request import Approver, Comment, Decision, Kind, Request, RequestQuerySet
from .verbs import COMMENTED, DECIDED, ESCALATED, GIVEN_UP, REFUSED, VERBS, VOIDED

__all__ = [
    "COMMENTED", "DECIDED", "ESCALATED", "GIVEN_UP", "REFUSED", "VERBS", "VOIDED", "Approver", "Comment", "Decision", "Kind", "Request",
    "RequestQuerySet",
]  # fmt: skip
