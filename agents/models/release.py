"""Releases: the manifest, with one digest, of a pipeline version and every agent version that it uses.

A run keeps its release, so a row never changes; `published_at` is null for one that only drafts ran with.
Written by `agents.registry` only.
"""

from __future__ import annotations

from typing import Any, Self

from django.db import models

from audit.actors import Actor
from audit.errors import Conflict
from audit.identity import new_id

from .pipeline import Pipeline
from .version import Version


class ReleaseImmutable(Conflict):
    """A release never changes: publish again, which makes a new release."""

    code = "release-immutable"


class ReleaseQuerySet(models.QuerySet["Release"]):
    """Sets of releases; only `published_at` may move (a rollback publishes an old release again)."""

    def visible_to(self, actor: Actor) -> Self:
        """Releases of pipelines of the actor's teams. A join would begin with the teams and sort all that they have; so a list follows its index."""
        theirs = Pipeline.objects.visible_to(actor).filter(pk=models.OuterRef("pipeline_id"))
        return self if actor.sees_everything else self.filter(models.Exists(theirs))

    def before(self, release: Release) -> Self:
        """Those that were ever published and made earlier than this one; first the one that was in force last."""
        return self.filter(published_at__isnull=False, created_at__lt=release.created_at).order_by("-published_at", "-created_at")

    def update(self, **values: Any) -> int:
        """As Django's, but only `published_at`."""
        if values.keys() - {"published_at"}:
            raise ReleaseImmutable
        return super().update(**values)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refused: runs refer to releases for ever."""
        raise ReleaseImmutable


class Release(models.Model):
    """One pinned composition; get-or-create by digest."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    digest = models.CharField(max_length=64, unique=True)
    pipeline = models.ForeignKey(Pipeline, on_delete=models.PROTECT, related_name="releases")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="releases")
    manifest = models.JSONField()
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True, blank=True)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        indexes = [models.Index(fields=["-created_at", "-id"], name="release_newest")]

    def __str__(self) -> str:
        return f"{self.pipeline.name} {self.digest[:12]}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only."""
        if not self._state.adding:
            raise ReleaseImmutable
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refused: runs refer to releases for ever."""
        raise ReleaseImmutable


class ReleaseUse(models.Model):
    """An agent that a release holds: an index of its manifest, written with it and as immutable."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="uses")
    agent = models.CharField(max_length=63)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "release"], name="release_use_once")]

    def __str__(self) -> str:
        return f"{self.release} uses {self.agent}"
