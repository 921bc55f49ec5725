"""Proposals: a change of what exists that a team's policy has people say yes to before it is made, bound to exactly what they are shown.

Who has said what lies with approvals. Written by `agents.registry` only: what a row proposes never changes, its state moves once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Self

from django.db import models
from django.db.models import Exists, OuterRef, Q

from agents.spec.policies import Policy
from audit.actors import Actor
from audit.identity import new_id

from .policy import PolicyVersion
from .team import Team
from .version import VersionState


class ProposalKind(models.TextChoices):
    """What is proposed: that something be published, or that a stop be lifted."""

    PUBLISH = "publish"
    RESUME = "resume"


class ProposalState(models.TextChoices):
    """`open` until somebody ends it, or its time is over; then it reads `expired`, also where no sweep has said so yet."""

    OPEN = "open"
    ENACTED = "enacted"
    DECLINED = "declined"
    EXPIRED = "expired"
    VOID = "void"
    WITHDRAWN = "withdrawn"


class ProposalQuerySet(models.QuerySet["Proposal"]):
    def visible_to(self, actor: Actor, also: ProposalQuerySet | None = None) -> Self:
        """Those of the actor's teams, and these; by the team's name, for an `or` of two keys makes SQLite read all of both and sort them."""
        if actor.sees_everything:
            return self
        theirs = Q(team__name__in=actor.sees)
        return self.filter(theirs if also is None else theirs | Q(pk__in=also.values("pk")))

    def open(self, now: datetime) -> Self:
        """What can be decided: what is void, though no sweep has said so yet, can't."""
        return self.pending(now).filter(Exists(_policy_in_force()))

    def over(self, now: datetime) -> Self:
        return self.filter(~Q(state=ProposalState.OPEN) | Q(expires_at__lte=now) | ~Exists(_policy_in_force()))

    def pending(self, now: datetime) -> Self:
        """Whose time isn't over, and that nobody has ended; its policy may be another one by now."""
        return self.filter(state=ProposalState.OPEN, expires_at__gt=now)

    def overdue(self, now: datetime) -> Self:
        """Whose time is over, though nobody has said so yet."""
        return self.filter(state=ProposalState.OPEN, expires_at__lte=now)

    def under_older(self) -> Self:
        """Whose policy is another one by now, or in force no more."""
        return self.filter(~Exists(_policy_in_force()))

    def under(self, policies: Iterable[Policy]) -> Self:
        """Those that are asked under one of these."""
        asked = [Q(policy_name=each.name, policy_number=each.number) for each in policies]
        return self.filter(reduce(or_, asked)) if asked else self.none()

    def about(self, subjects: Iterable[str]) -> Self:
        """Those that would change one of these."""
        return self.filter(pk__in=ProposalChange.objects.filter(subject__in=list(subjects)).values("proposal"))


def _policy_in_force() -> models.QuerySet[PolicyVersion]:
    """The very version that a proposal is asked under, as long as it is in force."""
    return PolicyVersion.objects.filter(policy__name=OuterRef("policy_name"), number=OuterRef("policy_number"), state=VersionState.PUBLISHED)


class Proposal(models.Model):
    """`deeds` are what would be done, in order, each with what has to be so for it; `shown` is what people see of
    them, an item for each thing that would change; `digest` is that of both, the team, the policy, who proposed it and its times.

    `policy` is the record of the policy that it was asked under, `by` whoever proposed it, as `person:NAME`, and `asked_by` whoever asked for
    the same after them; `why`, of one that is void: what made it so, as everybody may read it who sees the proposal.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=16, choices=ProposalKind)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="proposals")
    deeds = models.JSONField()
    shown = models.JSONField()
    digest = models.CharField(max_length=64)
    policy = models.JSONField()
    policy_name = models.CharField(max_length=63)
    policy_number = models.PositiveIntegerField()
    by = models.CharField(max_length=200)
    asked_by = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=16, choices=ProposalState, default=ProposalState.OPEN)
    ended_at = models.DateTimeField(null=True, blank=True)
    why = models.TextField(blank=True, default="")
    told_stage = models.PositiveIntegerField(default=0)
    """The last stage of whose turn people were told."""
    look_at = models.DateTimeField()
    """When somebody has to be told next: half through a stage, then at the beginning of the next one."""

    objects = ProposalQuerySet.as_manager()

    class Meta:
        ordering = ("created_at", "id")
        indexes = [
            models.Index(fields=["created_at", "id"], name="proposal_oldest"),
            models.Index(fields=["expires_at"], name="proposal_open", condition=Q(state="open")),
            models.Index(fields=["look_at"], name="proposal_look_at", condition=Q(state="open")),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=ProposalState.values), name="proposal_state_known"),
            models.CheckConstraint(
                condition=Q(state="open", ended_at__isnull=True) | (~Q(state="open") & Q(ended_at__isnull=False)), name="proposal_ended"
            ),
        ]

    def __str__(self) -> str:
        return f"proposal {self.id}"

    @property
    def subject(self) -> str:
        """How ledger entries name it."""
        return f"proposal:{self.id}"

    @property
    def governing(self) -> Policy:
        return Policy.from_record(self.policy)

    def reads(self, now: datetime) -> str:
        """The state as its row says it at this moment; `registry.states_of` also sees that its policy is another one."""
        return str(ProposalState.EXPIRED if self.state == ProposalState.OPEN and now >= self.expires_at else self.state)

    def remind_at(self, stage: int) -> datetime:
        """Half through a stage."""
        policy = self.governing
        return policy.begins_at(self.created_at, stage) + timedelta(milliseconds=policy.stages[stage].within_ms) / 2

    def ends_at(self, stage: int) -> datetime:
        """When a stage gives way to the next, or the last one to nothing."""
        return self.governing.begins_at(self.created_at, stage + 1)

    def stage_at(self, now: datetime) -> int:
        return self.governing.at(self.created_at, now if self.ended_at is None else min(self.ended_at, now))


class ProposalChange(models.Model):
    """What a proposal would change: `agent:reader`, `pipeline:digest`, `team:platform`, `policy:two`, or what a stop is of."""

    proposal = models.ForeignKey(Proposal, on_delete=models.CASCADE, related_name="changes")
    subject = models.CharField(max_length=150)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["proposal", "subject"], name="proposal_change_once")]
        indexes = [models.Index(fields=["subject"], name="proposal_change_of")]

    def __str__(self) -> str:
        return self.subject
