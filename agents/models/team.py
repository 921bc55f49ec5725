"""Teams: who owns agents, pipelines and budgets.

Knows nothing of what a team owns; a team's name is the value that actors and ledger entries carry.
Read by every queryset of this app and of runs through `visible_to`.
"""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models

from agents.spec.vocabulary import BUILT_IN, Vocabulary
from audit.actors import Actor
from audit.identity import new_id

from .history import recorded


class TeamQuerySet(models.QuerySet["Team"]):
    """Sets of teams."""

    def visible_to(self, actor: Actor) -> Self:
        """The teams that this actor belongs to, or all for one who sees everything."""
        return self if actor.sees_everything else self.filter(name__in=actor.sees)


class Team(models.Model):
    """A group of people that owns agents and pipelines and answers for their failures."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=63, unique=True)
    accountable = models.CharField(max_length=254, blank=True, default="")
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="orchestra_teams")
    verbs = models.JSONField(default=list, blank=True)
    resources = models.JSONField(default=list, blank=True)
    permissions = models.JSONField(default=list, blank=True)
    notices = models.JSONField(default=list, blank=True)
    """Webhooks that are told what concerns the team; an address or a secret that is one stands here as a reference."""
    observe = models.BooleanField(default=False)
    """What its agents would be refused for want of a permission is recorded, and not refused."""
    publishing = models.CharField(max_length=63, blank=True, default="")
    """By which policy people decide what it publishes; empty: nobody has to."""
    resuming = models.CharField(max_length=63, blank=True, default="")
    """By which policy people decide whether what was stopped goes on."""
    created_at = models.DateTimeField()

    objects = TeamQuerySet.as_manager()
    history = recorded()

    class Meta:
        ordering = ("name",)
        permissions = [
            ("manage_people", "Can say who belongs to which team and who may sign in"),
            ("start_runs", "Can start runs of the teams that they belong to"),
            ("operate_runs", "Can cancel, answer and judge again the runs of the teams that they belong to"),
            ("change_things", "Can apply, publish, roll back, suspend and retire what the teams that they belong to own"),
            ("stop_everything", "Can stop things and cancel runs of every team"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def subject(self) -> str:
        """How ledger entries name it."""
        return f"team:{self.name}"

    @property
    def vocabulary(self) -> Vocabulary:
        """The words that permissions of its agents may use: everybody's and its own."""
        return BUILT_IN.and_also(self.verbs, self.resources)
