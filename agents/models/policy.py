"""Approval policies: a name that permissions use, and its versions, of which at most one is in force.

A version's row never changes but in its state. Written by `agents.registry` only; the boundary and approvals read what is in force.
"""

from __future__ import annotations

from typing import Any, Self

from django.db import models

from audit.actors import Actor
from audit.errors import Conflict
from audit.identity import new_id

from .team import Team
from .version import VersionState


class PolicyQuerySet(models.QuerySet["Policy"]):
    """Sets of policies."""

    def visible_to(self, actor: Actor) -> Self:
        """Policies of the actor's teams."""
        return self if actor.sees_everything else self.filter(team__name__in=actor.sees)


class Policy(models.Model):
    """Who decides what a permission leaves to people; live, so a change holds also for what waits."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=63, unique=True)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="policies")
    created_at = models.DateTimeField()

    objects = PolicyQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return self.name

    @property
    def subject(self) -> str:
        """How ledger entries name it."""
        return f"policy:{self.name}"


class PolicyVersion(models.Model):
    """One text of a policy, numbered from 1."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    spec = models.JSONField()
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=16, choices=VersionState, default=VersionState.DRAFT)
    author = models.CharField(max_length=254)
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("policy", "-number")
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=VersionState.values), name="policy_state_known"),
            models.UniqueConstraint(fields=["policy", "number"], name="policy_version_number"),
            models.UniqueConstraint(fields=["policy"], condition=models.Q(state=VersionState.DRAFT), name="policy_one_draft"),
            models.UniqueConstraint(fields=["policy"], condition=models.Q(state=VersionState.PUBLISHED), name="policy_one_published"),
        ]

    def __str__(self) -> str:
        return f"{self.policy.name} {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only: a row's state moves by conditional update."""
        if not self._state.adding:
            raise Conflict("a version of a policy never changes: apply the changed files, which makes a new version")
        super().save(*args, **kwargs)
