"""One engine process and its heartbeat: how others see that somebody is at work. A view of liveness, never of authority."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models


class EngineQuerySet(models.QuerySet["Engine"]):
    def alive(self, since: datetime) -> Self:
        """Engines that take any ready run and have said so since then."""
        return self.filter(beat_at__gte=since, stopped_at__isnull=True, serves_all=True)


class Engine(models.Model):
    """`serves_all` is false for a process that drives only the run it was started for; `abis` are the releases' engines that it can be."""

    id = models.UUIDField(primary_key=True, editable=False)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    serves_all = models.BooleanField(default=True)
    abis = models.JSONField(default=list, blank=True)
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField(db_index=True)
    stopped_at = models.DateTimeField(null=True, blank=True)

    objects = EngineQuerySet.as_manager()

    class Meta:
        ordering = ("-started_at",)

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"
