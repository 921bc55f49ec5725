"""Notices: which agents will be suspended, on which day and why, unless somebody acts before.

A row stands as long as its ground holds. Written by `agents.registry.lapsing` only; read by whoever shows an agent.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from audit.identity import new_id
from audit.visible import visible

from .agent import Agent


class Ground(models.TextChoices):
    """Why an agent's time is up."""

    REVIEW = "review"
    ACCOUNTABLE = "accountable"


class AgentNotice(models.Model):
    """`about` is what the ground is about: the day by which the review is due, or the person as the agent names them."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="notices")
    ground = models.CharField(max_length=16, choices=Ground)
    about = models.CharField(max_length=254)
    noticed_at = models.DateTimeField()
    suspends_on = models.DateField()

    class Meta:
        ordering = ("suspends_on", "ground")
        constraints: ClassVar[Any] = [models.UniqueConstraint(fields=["agent", "ground"], name="one_notice_of_agent_per_ground")]

    def __str__(self) -> str:
        return f"{self.agent_id}: {self.why}"

    @property
    def why(self) -> str:
        """A clause about the agent."""
        return why(self.ground, self.about)


def why(ground: str, about: str) -> str:
    """What stands against an agent's working, as a clause."""
    if ground == Ground.REVIEW:
        return f"it was to be reviewed by {about}"
    return f"'{visible(about, 80)}', who answers for it, is deactivated or no longer in its team"
