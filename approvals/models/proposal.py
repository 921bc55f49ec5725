"""What people say of a proposal. Never changed: whoever thinks otherwise later says it in the next stage, or not at all."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from agents.models import Proposal
from approvals.rules import APPROVED, DECLINED

from .request import Kept


class ProposalDecision(Kept):
    """`shown` is the digest of what the person was shown, which is what a yes is for."""

    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="decisions")
    stage = models.PositiveIntegerField()
    decision = models.CharField(max_length=16, choices=[(each, each) for each in (APPROVED, DECLINED)])
    shown = models.CharField(max_length=64)
    instead_of = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        ordering = ("at", "id")
        constraints = [
            models.UniqueConstraint(fields=["proposal", "person", "stage"], name="proposal_decision_once_each"),
            models.UniqueConstraint(
                fields=["proposal", "stage", "instead_of"], condition=~Q(instead_of=""), name="proposal_decision_once_in_a_stead"
            ),
            models.CheckConstraint(condition=Q(decision__in=(APPROVED, DECLINED)), name="proposal_decision_known"),
        ]

    def __str__(self) -> str:
        return f"{self.person} {self.decision}"
