"""The ledger verbs of approvals. That one was asked for, and what it was used for, the runs themselves record."""

from typing import Final

from audit.ledger import Verb

DECIDED: Final = Verb("approvals.decision.made", frozenset({"reason", "edits", "instead_of"}))
REFUSED: Final = Verb("approvals.decision.refused", frozenset({"message"}))
VOIDED: Final = Verb("approvals.request.voided", frozenset({"reason"}))
ESCALATED: Final = Verb("approvals.request.escalated")
COMMENTED: Final = Verb("approvals.comment.made", frozenset({"text"}))
GIVEN_UP: Final = Verb("approvals.notice.given_up", frozenset({"person", "why"}))
PROPOSAL_DECIDED: Final = Verb("approvals.proposal.decided", frozenset({"reason", "instead_of"}))
PROPOSAL_REFUSED: Final = Verb("approvals.proposal.refused", frozenset({"message"}))
VERBS: Final = (DECIDED, REFUSED, VOIDED, ESCALATED, COMMENTED, GIVEN_UP, PROPOSAL_DECIDED, PROPOSAL_REFUSED)
