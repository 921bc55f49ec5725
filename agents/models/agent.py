"""Agents: named identities with a team, an accountable person and one role.

What an agent *is* stands in its versions; here stands what is live and never pinned: owner, state, permissions, pace.
Written by `agents.registry` only; runs and doors read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from django.db import models

from audit.actors import Actor
from audit.identity import new_id

from .history import moved, recorded
from .team import Team

if TYPE_CHECKING:
    from .notice import AgentNotice


class Role(models.TextChoices):
    """The one kind of work that an agent does and answers for."""

    GATHER = "gather"
    DECIDE = "decide"
    ACT = "act"
    CHECK = "check"


class Standing(models.TextChoices):
    """Whether an agent or a pipeline may work at all; live, so it also holds for releases made before."""

    DRAFT = "draft"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    RETIRED = "retired"


WORKING: Final = (Standing.DRAFT, Standing.ACTIVE)
"""Those that may work: a draft does in a run with --draft."""


class AgentQuerySet(models.QuerySet["Agent"]):
    """Sets of agents."""

    def visible_to(self, actor: Actor) -> Self:
        """The agents of the actor's teams, or all for one who sees everything; for an agent itself alone."""
        if actor.is_agent:
            return self.filter(name=actor.id, team__name=actor.team)
        return self if actor.sees_everything else self.filter(team__name__in=actor.sees)

    def activate(self) -> int:
        """Drafts among these become active; a suspended agent stays suspended. Returns how many moved."""
        return moved(self.filter(state=Standing.DRAFT), state=Standing.ACTIVE)

    def suspend(self) -> int:
        """Those that may work may not any more. Returns how many moved."""
        return moved(self.filter(state__in=WORKING), state=Standing.SUSPENDED)

    def resume(self, state: Standing) -> int:
        """The suspended ones among these get this state. Returns how many moved."""
        return moved(self.filter(state=Standing.SUSPENDED), state=state)

    def retire(self) -> int:
        """Those in any other state are taken out of use. Returns how many moved."""
        return moved(self.exclude(state=Standing.RETIRED), state=Standing.RETIRED)

    def reinstate(self, state: Standing) -> int:
        """The retired ones among these get this state. Returns how many moved."""
        return moved(self.filter(state=Standing.RETIRED), state=state)


class Agent(models.Model):
    """One named agent; the name is unique in the installation and stands in ledger entries."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=63, unique=True)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="agents")
    accountable = models.CharField(max_length=254, blank=True, default="")
    purpose = models.TextField(blank=True, default="")
    role = models.CharField(max_length=16, choices=Role)
    state = models.CharField(max_length=16, choices=Standing, default=Standing.DRAFT)
    permissions = models.JSONField(default=list, blank=True)
    pace = models.JSONField(default=dict, blank=True)
    risk_tier = models.CharField(max_length=64, blank=True, default="")
    data_classes = models.JSONField(default=list, blank=True)
    review_by = models.DateField(null=True, blank=True)
    created_at = models.DateTimeField()

    objects = AgentQuerySet.as_manager()
    history = recorded()

    class Meta:
        ordering = ("name",)
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="agent_role_known"),
            models.CheckConstraint(condition=models.Q(state__in=Standing.values), name="agent_state_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def subject(self) -> str:
        """How ledger entries name it."""
        return f"agent:{self.name}"

    @property
    def in_force(self) -> list[str]:
        """Every permission that it is judged by: its own, then its team's."""
        return [*self.permissions, *self.team.permissions]

    @property
    def ahead(self) -> list[AgentNotice]:
        """That it will be suspended; nothing of one that doesn't work anyway."""
        return list(self.notices.all()) if self.state in WORKING else []

    def live_values(self) -> dict[str, Any]:
        """What may change without a new version, as comparable values."""
        return {
            "team": self.team.name,
            "accountable": self.accountable,
            "purpose": self.purpose,
            "role": str(self.role),
            "risk_tier": self.risk_tier,
            "data_classes": list(self.data_classes),
            "review_by": self.review_by.isoformat() if self.review_by else None,
        }
