"""Who decides in somebody's stead while they are away, from one instant to another.

What a cover is good for is more than its row says: `agents.registry.covering`. Written by `agents.registry` only.
"""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from audit.actors import Actor
from audit.identity import new_id


class CoverQuerySet(models.QuerySet["Cover"]):
    def visible_to(self, actor: Actor) -> Self:
        """One's own and those in which one stands in for somebody; all for whoever sees everything or manages people."""
        if actor.sees_everything or actor.may_manage_people:
            return self
        return self.filter(Q(person__username=actor.id) | Q(deputy__username=actor.id)) if actor.kind == "person" else self.none()

    def ahead(self, now: datetime) -> Self:
        """Those that hold, or will."""
        return self.filter(ended_at__isnull=True, until__gt=now)

    def in_force(self, now: datetime) -> Self:
        return self.ahead(now).filter(since__lte=now)


class Cover(models.Model):
    """From `since` on, and before `until`, `deputy` has the say of `person` where an approval is asked for; `ended_at`: ended before its time."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="covers")
    deputy = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="covers_for")
    since = models.DateTimeField()
    until = models.DateTimeField()
    made_by = models.CharField(max_length=150)
    """Whoever arranged it, as `person:NAME` or `system:system`."""
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = CoverQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [
            models.CheckConstraint(condition=Q(until__gt=F("since")), name="cover_ends_after_it_began"),
            models.CheckConstraint(condition=~Q(person=F("deputy")), name="cover_by_somebody_else"),
        ]

    def __str__(self) -> str:
        return f"{self.deputy.username} for {self.person.username}"

    def stands(self, now: datetime) -> str:
        """`ahead`, `in force`, `ended` (before its time) or `over`."""
        if self.ended_at is not None:
            return "ended"
        return "over" if now >= self.until else "in force" if now >= self.since else "ahead"
