"""Keys of agents: with one the program that is an agent asks for itself, wherever it runs. Kept as a keyed hash, ending by itself.

Whether a key works now is more than its row says: `agents.registry.holding`. Written by `agents.registry` only.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Self

from django.conf import settings
from django.db import models

from audit.actors import Actor

from .agent import Agent

USE_IS_KNOWN_TO: Final = timedelta(minutes=1)


class AgentKeyQuerySet(models.QuerySet["AgentKey"]):
    """Sets of keys."""

    def visible_to(self, actor: Actor) -> Self:
        """Those of the agents of the actor's teams, or all for one who sees everything."""
        return self if actor.sees_everything else self.filter(agent__team__name__in=actor.sees)

    def live(self, now: datetime) -> Self:
        """Those that have not ended by themselves, and that nobody has revoked."""
        return self.filter(expires_at__gt=now, revoked_at__isnull=True)

    def note(self, column: str, now: datetime) -> int:
        """Something is so now, where it isn't known to have been within the last minute. Returns of how many it was not."""
        stale = models.Q(**{f"{column}__isnull": True}) | models.Q(**{f"{column}__lte": now - USE_IS_KNOWN_TO})
        return self.filter(stale).update(**{column: now})


class AgentKey(models.Model):
    """`id` is the part of a key that may be shown; `digest` is the HMAC of its secret with `pepper`, which lies outside of the database.

    `used_at` and `refused_at` are known to the minute: a busy program writes at most once in that time.
    """

    id = models.CharField(primary_key=True, max_length=12, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="keys")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="keys_of_agents")
    name = models.CharField(max_length=100, blank=True, default="")
    scopes = models.JSONField()
    digest = models.CharField(max_length=64)
    pepper = models.CharField(max_length=16)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    refused_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = AgentKeyQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [models.CheckConstraint(condition=models.Q(expires_at__gt=models.F("created_at")), name="agent_key_ends_after_it_began")]

    def __str__(self) -> str:
        return f"{self.id} of {self.agent.name}"

    @property
    def subject(self) -> str:
        """How ledger entries name it."""
        return f"key:{self.id}"
