"""Model aliases: `reasoning` stands for a provider, a model, an endpoint and a *reference* to a secret.

Never holds a secret. Written by `agents.registry`; the part that calls models reads it.
"""

from __future__ import annotations

from typing import Any, Self

from django.db import models

from audit.actors import Actor
from audit.identity import new_id

from .history import recorded
from .team import Team


class ModelAliasQuerySet(models.QuerySet["ModelAlias"]):
    """Sets of aliases."""

    def visible_to(self, actor: Actor) -> Self:
        """Aliases of the actor's teams."""
        return self if actor.sees_everything else self.filter(team__name__in=actor.sees)


class ModelAlias(models.Model):
    """One name for a model; swapping the model is a change of this row."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=63, unique=True)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="model_aliases")
    provider = models.CharField(max_length=63)
    model = models.CharField(max_length=254)
    endpoint = models.CharField(max_length=2000, blank=True, default="")
    secret_ref = models.CharField(max_length=254, blank=True, default="")
    created_at = models.DateTimeField()

    objects = ModelAliasQuerySet.as_manager()
    history = recorded()

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "model aliases"

    def __str__(self) -> str:
        return self.name

    @property
    def subject(self) -> str:
        """How ledger entries name it."""
        return f"alias:{self.name}"

    def live_values(self) -> dict[str, Any]:
        """All that the file says about it, as comparable values."""
        return {
            "team": self.team.name,
            "provider": self.provider,
            "model": self.model,
            "endpoint": self.endpoint,
            "secret_ref": self.secret_ref,
        }
