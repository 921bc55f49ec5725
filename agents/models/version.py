"""Versions: immutable configurations of an agent or a pipeline.

A row's spec, digest and number never change; only its state moves, by conditional update.
Written by `agents.registry` only.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self

from django.db import models

from audit.actors import Actor
from audit.errors import Conflict
from audit.identity import new_id

from .agent import Agent
from .artifact import Artifact
from .pipeline import Pipeline

FROZEN = frozenset({"agent", "agent_id", "pipeline", "pipeline_id", "number", "spec", "digest", "artifact", "artifact_id"})


class VersionState(models.TextChoices):
    """A version's life; `proposed` waits for a yes (a later part asks for it)."""

    DRAFT = "draft"
    PROPOSED = "proposed"
    PUBLISHED = "published"
    RETIRED = "retired"


class VersionImmutable(Conflict):
    """A version never changes: apply the changed files, which makes a new version."""

    code = "version-immutable"


class VersionQuerySet(models.QuerySet["Version"]):
    """Sets of versions; the only place where a version's state moves."""

    def visible_to(self, actor: Actor) -> Self:
        """Versions of agents and pipelines of the actor's teams."""
        if actor.sees_everything:
            return self
        agents, pipelines = (model.objects.visible_to(actor).values("pk") for model in (Agent, Pipeline))
        return self.filter(models.Q(agent__in=agents) | models.Q(pipeline__in=pipelines))

    @staticmethod
    def ways_to_own(actor: Actor) -> list[models.Q]:
        """The same parted in two, each along the index of its owners: what other teams have is not read."""
        if actor.sees_everything:
            return [models.Q()]
        agents, pipelines = (model.objects.visible_to(actor).values("pk") for model in (Agent, Pipeline))
        return [models.Q(agent__in=agents), models.Q(pipeline__in=pipelines)]

    def of(self, owner: Agent | Pipeline) -> Self:
        """All versions of one agent or pipeline."""
        return self.filter(agent=owner) if isinstance(owner, Agent) else self.filter(pipeline=owner)

    def before(self, version: Version) -> Self:
        """Those of its owner that were ever published and have a lower number; first the one that was in force last."""
        published = self.of(version.owner).filter(published_at__isnull=False, number__lt=version.number)
        return published.order_by("-published_at", "-number")

    def move(self, *, old: Iterable[str], new: VersionState, published_at: datetime | None = None) -> int:
        """Move the rows that are in one of the states `old` to `new`; returns how many moved."""
        values: dict[str, Any] = {"state": new}
        if published_at is not None:
            values["published_at"] = published_at
        return self.filter(state__in=list(old)).update(**values)

    def update(self, **values: Any) -> int:
        """As Django's, but what is frozen stays frozen."""
        if FROZEN & values.keys():
            raise VersionImmutable
        return super().update(**values)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refused: releases and runs refer to versions for ever."""
        raise VersionImmutable


class Version(models.Model):
    """One immutable configuration, numbered from 1 per agent or pipeline."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, null=True, blank=True, related_name="versions")
    pipeline = models.ForeignKey(Pipeline, on_delete=models.PROTECT, null=True, blank=True, related_name="versions")
    number = models.PositiveIntegerField()
    spec = models.JSONField()
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=16, choices=VersionState, default=VersionState.DRAFT)
    author = models.CharField(max_length=254)
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, null=True, blank=True, related_name="versions")
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True, blank=True)

    objects = VersionQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-number")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(agent__isnull=True, pipeline__isnull=False) | models.Q(agent__isnull=False, pipeline__isnull=True),
                name="version_of_agent_or_pipeline",
            ),
            models.CheckConstraint(condition=models.Q(state__in=VersionState.values), name="version_state_known"),
            models.CheckConstraint(
                condition=~models.Q(state=VersionState.PUBLISHED) | models.Q(published_at__isnull=False),
                name="version_published_has_instant",
            ),
            models.UniqueConstraint(fields=["agent", "number"], name="version_number_of_agent"),
            models.UniqueConstraint(fields=["pipeline", "number"], name="version_number_of_pipeline"),
            models.UniqueConstraint(fields=["agent"], condition=models.Q(state=VersionState.DRAFT), name="version_one_draft_of_agent"),
            models.UniqueConstraint(fields=["pipeline"], condition=models.Q(state=VersionState.DRAFT), name="version_one_draft_of_pipeline"),
            models.UniqueConstraint(fields=["agent"], condition=models.Q(state=VersionState.PUBLISHED), name="version_one_published_of_agent"),
            models.UniqueConstraint(
                fields=["pipeline"],
                condition=models.Q(state=VersionState.PUBLISHED),
                name="version_one_published_of_pipeline",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.owner.name} {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only: an existing row moves through `VersionQuerySet.move`."""
        if not self._state.adding:
            raise VersionImmutable
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refused: releases and runs refer to versions for ever."""
        raise VersionImmutable

    @property
    def owner(self) -> Agent | Pipeline:
        """The agent or pipeline that this configures (a constraint says exactly one)."""
        owner = self.agent or self.pipeline
        if owner is None:  # pragma: no cover - version_of_agent_or_pipeline forbids it
            raise VersionImmutable("a version without agent and pipeline")
        return owner
