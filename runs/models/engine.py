"""One process at work and its heartbeat: how others see that somebody is there. A view of liveness, never of authority."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from django.conf import settings
from django.db import models


class Kind(StrEnum):
    """An engine drives runs and says so itself; a queue's cluster runs chores, and who watches over it says so."""

    ENGINE = "engine"
    QUEUE = "queue"


def silence() -> timedelta:
    """A process that was not heard of for so long counts as gone."""
    return timedelta(seconds=3 * settings.ORCHESTRA_HEARTBEAT_S)


class EngineQuerySet(models.QuerySet["Engine"]):
    def alive(self, now: datetime) -> Self:
        """Processes of either kind that have said so lately."""
        return self.filter(beat_at__gte=now - silence(), stopped_at__isnull=True)

    def serving(self, now: datetime) -> Self:
        """Engines among them that take any ready run."""
        return self.alive(now).filter(kind=Kind.ENGINE, serves_all=True)


class Engine(models.Model):
    """`serves_all` is false for a process that drives only the run it was started for; `abis` are the releases' engines that it can be.
    `counts` are its own, since it started."""

    id = models.UUIDField(primary_key=True, editable=False)
    kind = models.CharField(max_length=16, choices=[(kind.value, kind.value) for kind in Kind], default=Kind.ENGINE.value)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    serves_all = models.BooleanField(default=True)
    abis = models.JSONField(default=list, blank=True)
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField(db_index=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    driving = models.PositiveIntegerField(default=0)
    swept_at = models.DateTimeField(null=True, blank=True)
    counts: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)

    objects = EngineQuerySet.as_manager()

    class Meta:
        ordering = ("-started_at",)

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"

    def stands(self, now: datetime) -> str:
        """What it is, in a word: at work, silent (it died, or can't reach the database), or left."""
        if self.stopped_at is not None:
            return "left"
        return "at work" if self.beat_at >= now - silence() else "silent"
