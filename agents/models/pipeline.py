"""Pipelines: named compositions of agents, and the release that is current for each.

The steps stand in versions and releases; here stand the owner, the state and the pointer that a publication moves.
Written by `agents.registry` only; runs start from `current_release`.
"""

from __future__ import annotations

from typing import Any, Self
from uuid import UUID

from django.db import models

from audit.actors import Actor
from audit.identity import new_id

from .agent import Standing
from .history import moved, recorded
from .team import Team


class PipelineQuerySet(models.QuerySet["Pipeline"]):
    """Sets of pipelines."""

    def visible_to(self, actor: Actor) -> Self:
        """The pipelines of the actor's teams, or all for one who sees everything; of an agent's team those that its key starts."""
        if actor.is_agent:
            own = self.filter(team__name=actor.team)
            return own if "*" in actor.starts else own.filter(name__in=actor.starts)
        return self if actor.sees_everything else self.filter(team__name__in=actor.sees)

    def activate(self) -> int:
        """Drafts among these become active; a suspended pipeline stays suspended. Returns how many moved."""
        return moved(self.filter(state=Standing.DRAFT), state=Standing.ACTIVE)

    def point_at(self, release: UUID) -> int:
        """Runs of these start with that release from now on. Returns how many moved."""
        return moved(self, current_release=release)

    def retire(self) -> int:
        """Those in any other state are taken out of use: nothing starts them any more. Returns how many moved."""
        return moved(self.exclude(state=Standing.RETIRED), state=Standing.RETIRED)

    def reinstate(self, state: Standing) -> int:
        """The retired ones among these get this state. Returns how many moved."""
        return moved(self.filter(state=Standing.RETIRED), state=state)


class Pipeline(models.Model):
    """One named pipeline; `current_release` is null until it is published for the first time."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=63, unique=True)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="pipelines")
    accountable = models.CharField(max_length=254, blank=True, default="")
    purpose = models.TextField(blank=True, default="")
    state = models.CharField(max_length=16, choices=Standing, default=Standing.DRAFT)
    permissions = models.JSONField(null=True, blank=True, default=None)
    """What its runs may do at all: live, as an agent's are. None where it says nothing, and so narrows nothing."""
    current_release = models.ForeignKey("agents.Release", on_delete=models.PROTECT, null=True, blank=True, related_name="current_for")
    created_at = models.DateTimeField()

    objects = PipelineQuerySet.as_manager()
    history = recorded()

    class Meta:
        ordering = ("name",)
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=Standing.values), name="pipeline_state_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def subject(self) -> str:
        """How ledger entries name it."""
        return f"pipeline:{self.name}"

    def live_values(self) -> dict[str, Any]:
        """What may change without a new version, as comparable values."""
        return {"team": self.team.name, "accountable": self.accountable, "purpose": self.purpose}
