"""Stops: what may not work at the moment, or might not once, and since when; and the count of all their changes.

What a stop covers is said by `agents.stops`. Its reason lies in the ledger, with its entry. Written by `agents.registry` only.
"""

from __future__ import annotations

from typing import Final, Self

from django.db import models

from audit.actors import Actor
from audit.identity import new_id

from .team import Team


class Scope(models.TextChoices):
    """What a stop is of."""

    EVERYTHING = "everything"
    TEAM = "team"
    PIPELINE = "pipeline"
    AGENT = "agent"
    VERSION = "version"
    ALIAS = "alias"
    TOOL = "tool"
    RUN = "run"


WORDS: Final = {
    Scope.AGENT: "agent",
    Scope.PIPELINE: "pipeline",
    Scope.TEAM: "team",
    Scope.ALIAS: "model alias",
    Scope.TOOL: "tool",
    Scope.RUN: "run",
    Scope.VERSION: "version",
}


def what(subject: str) -> str:
    """What a stop is of, for people: `agent 'reader'`, `version 3 of 'reader'`, `everything`."""
    scope, _, name = subject.partition(":")
    if scope == Scope.VERSION:
        owner, _, number = name.rpartition("@")
        return f"version {number} of '{owner}'"
    return f"{WORDS[Scope(scope)]} '{name}'" if name else scope


class StopQuerySet(models.QuerySet["Stop"]):
    """Sets of stops."""

    def visible_to(self, actor: Actor) -> Self:
        """Those of the actor's teams, and those that are nobody's own: they concern everybody."""
        return self if actor.sees_everything else self.filter(models.Q(team__isnull=True) | models.Q(team__name__in=actor.sees))

    def in_force(self) -> Self:
        return self.filter(lifted_at__isnull=True)


class Stop(models.Model):
    """One stop, in force until it is lifted. `name` is empty for everything, and `agent@3` for a version."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    scope = models.CharField(max_length=16, choices=Scope)
    name = models.CharField(max_length=100, blank=True, default="")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, null=True, blank=True, related_name="stops")
    stopped_at = models.DateTimeField()
    stopped_by = models.CharField(max_length=200)
    reason_entry = models.UUIDField(null=True, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=200, blank=True, default="")

    objects = StopQuerySet.as_manager()

    class Meta:
        ordering = ("-stopped_at", "-id")
        constraints = [
            models.CheckConstraint(condition=models.Q(scope__in=Scope.values), name="stop_scope_known"),
            models.CheckConstraint(
                condition=models.Q(scope=Scope.EVERYTHING, name="") | (~models.Q(scope=Scope.EVERYTHING) & ~models.Q(name="")),
                name="stop_of_something",
            ),
            models.CheckConstraint(
                condition=models.Q(lifted_at__isnull=True, lifted_by="") | (models.Q(lifted_at__isnull=False) & ~models.Q(lifted_by="")),
                name="stop_lifted_by_somebody",
            ),
            models.UniqueConstraint(fields=["scope", "name"], name="stop_in_force_once", condition=models.Q(lifted_at__isnull=True)),
        ]
        indexes = [models.Index(fields=["-stopped_at", "-id"], name="stop_newest")]

    def __str__(self) -> str:
        return self.subject

    @property
    def subject(self) -> str:
        """How entries and waits name it: `agent:reader`, or `everything`."""
        return f"{self.scope}:{self.name}" if self.name else str(self.scope)

    @property
    def what(self) -> str:
        return what(self.subject)


class StopChange(models.Model):
    """A stop that was set or lifted. The newest number is the stop generation: whoever has seen it knows every stop in force."""

    id = models.BigAutoField(primary_key=True)
    stop = models.ForeignKey(Stop, on_delete=models.PROTECT, related_name="changes")

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.id}"
