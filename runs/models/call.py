"""One thing that passed the boundary: a function in a child, or a tool that it asked for.

The key is the idempotency key of `runs.boundary`; a re-send after a crash keeps it. Written by `runs.store` only.
"""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q

from audit.actors import Actor
from audit.identity import new_id
from runs.engine.states import CallKind, CallState, Mode

from .run import Run
from .wait import Wait


class CallQuerySet(models.QuerySet["Call"]):
    def visible_to(self, actor: Actor) -> Self:
        return self if actor.sees_everything else self.filter(run__team__name__in=actor.sees)


class Call(models.Model):
    key = models.CharField(max_length=64, primary_key=True)
    id = models.UUIDField(default=new_id, unique=True, editable=False)
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="calls")
    step = models.CharField(max_length=400)
    attempt = models.PositiveIntegerField()
    ordinal = models.PositiveIntegerField()
    agent = models.CharField(max_length=100)
    kind = models.CharField(max_length=16, choices=[(k.value, k.value) for k in CallKind])
    name = models.CharField(max_length=200)
    mode = models.CharField(max_length=16, choices=[(m.value, m.value) for m in Mode])
    state = models.CharField(max_length=24, choices=[(s.value, s.value) for s in CallState])
    request_digest = models.CharField(max_length=64)
    not_after = models.DateTimeField()
    dispatched_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    response_entry = models.UUIDField(null=True, blank=True)
    observed_entry = models.UUIDField(null=True, blank=True)
    """The entry that says what would have refused it, if that were enforced."""
    cause = models.CharField(max_length=32, blank=True, default="")
    contained = models.BooleanField(null=True, blank=True)
    reserved_nano = models.BigIntegerField(default=0)
    cost_nano = models.BigIntegerField(default=0)
    approval = models.ForeignKey(Wait, on_delete=models.PROTECT, null=True, blank=True, db_index=False, related_name="consumed_by")

    objects = CallQuerySet.as_manager()

    class Meta:
        ordering = ("dispatched_at", "ordinal")
        constraints = [
            models.CheckConstraint(condition=Q(state__in=[s.value for s in CallState]), name="call_state_known"),
            models.CheckConstraint(condition=Q(state=CallState.DISPATCHED.value) | Q(settled_at__isnull=False), name="call_settled_when_ended"),
            models.UniqueConstraint(fields=["approval"], name="call_approval_used_once", condition=Q(approval__isnull=False)),
            models.CheckConstraint(condition=Q(reserved_nano__gte=0, cost_nano__gte=0), name="call_money_not_negative"),
        ]
        indexes = [
            models.Index(fields=["run", "step"], name="call_of_step"),
            models.Index(fields=["agent", "-dispatched_at"], name="call_of_agent"),  # rates and breakers read the newest ones
            models.Index(fields=["dispatched_at"], name="call_dispatched"),  # what was sent last before a stop, and what after it
            models.Index(fields=["settled_at", "id"], name="call_unresolved", condition=Q(state=CallState.UNRESOLVED.value)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
