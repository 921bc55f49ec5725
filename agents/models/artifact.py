"""Artifacts: the code folders of published and drafted versions, each stored once by its digest.

Holds bytes and never opens them. Written by `agents.registry`; unpacked there for the children.
"""

from __future__ import annotations

from typing import Self

from django.db import models

from audit.actors import Actor


class ArtifactQuerySet(models.QuerySet["Artifact"]):
    """Sets of artifacts."""

    def visible_to(self, actor: Actor) -> Self:
        """Artifacts that a version of the actor's teams uses."""
        if actor.sees_everything:
            return self
        return self.filter(versions__agent__team__name__in=actor.sees).distinct()


class Artifact(models.Model):
    """A deterministic zip of a folder; the primary key is the SHA-256 of `data`."""

    digest = models.CharField(max_length=64, primary_key=True)
    data = models.BinaryField()
    size = models.PositiveIntegerField()
    files = models.PositiveIntegerField()
    created_at = models.DateTimeField()

    objects = ArtifactQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.digest[:12]
