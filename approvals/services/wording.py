"""What people may write beside a decision. Pure."""

from __future__ import annotations

from typing import Final

from approvals.errors import BadDecision
from audit import canonical

MOST_REASON: Final = 2_000


def refuse_text(text: str, *, needed: bool, what: str) -> None:
    """BadDecision for what is no text, too long, or not there though it is needed."""
    try:
        canonical.canonical_bytes(text)
    except canonical.NotCanonical:
        raise BadDecision(f"the {what} holds what is no text; write it in UTF-8") from None
    if len(text) > MOST_REASON or "\0" in text or (needed and not text.strip()):
        least = 1 if needed else 0
        why = ": the policy asks for it, and whoever declines or asks for changes says why" if what == "reason" and needed else ""
        raise BadDecision(f"give a {what} of {least} to {MOST_REASON:,} characters{why}")
