"""What a step, or a whole run (`step` empty), waits for: until when, who or what can end it, and what did.

Approvals, inputs and budgets will be rows here too. Written by `runs.store` and by the use-case that answers one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from audit.actors import Actor
from audit.identity import new_id
from runs.engine.states import WaitKind, WaitState

from .run import Run


class WaitQuerySet(models.QuerySet["Wait"]):
    def visible_to(self, actor: Actor) -> Self:
        """Those of the actor's teams; of an agent those of the runs that it sees."""
        if actor.is_agent:
            return self.filter(run__in=Run.objects.visible_to(actor))
        return self if actor.sees_everything else self.filter(run__team__name__in=actor.sees)

    def open(self, now: datetime) -> Self:
        """Those that somebody can still answer: past its end a wait has ended, though nobody has written it yet."""
        return self.filter(state=WaitState.OPEN, expires_at__gt=now)

    def cancelled_since(self, at: datetime) -> Self:
        """Those whose run or part of it was cancelled before anybody had answered."""
        return self.filter(state=WaitState.CANCELLED, ended_at__gt=at)

    def answerable(self, now: datetime) -> Self:
        """The open ones of runs that are neither over nor about to be."""
        return self.open(now).filter(run__deadline_at__gt=now, run__cancel_requested_at__isnull=True)


class Wait(models.Model):
    """`subject` is a signal's name or the key of an unresolved call; `look_at`: when it may be looked up; `goes_on`: its silence is no failure."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="waits")
    step = models.CharField(max_length=400, blank=True, default="")
    kind = models.CharField(max_length=16, choices=[(k.value, k.value) for k in WaitKind])
    subject = models.CharField(max_length=200, blank=True, default="")
    state = models.CharField(max_length=16, choices=[(s.value, s.value) for s in WaitState], default=WaitState.OPEN.value)
    opened_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    look_at = models.DateTimeField(null=True, blank=True)
    goes_on = models.BooleanField(default=False)
    failure_entry = models.UUIDField(null=True, blank=True)
    answer_entry = models.UUIDField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    answered_by = models.CharField(max_length=200, blank=True, default="")

    objects = WaitQuerySet.as_manager()

    class Meta:
        ordering = ("expires_at", "id")
        constraints = [
            models.UniqueConstraint(fields=["run", "step"], name="wait_open_once", condition=Q(state=WaitState.OPEN.value)),
            models.CheckConstraint(condition=Q(state__in=[s.value for s in WaitState]), name="wait_state_known"),
            models.CheckConstraint(condition=Q(state=WaitState.OPEN.value) | Q(ended_at__isnull=False), name="wait_ended_when_not_open"),
            models.CheckConstraint(
                condition=~Q(state=WaitState.ANSWERED.value) | Q(answer_entry__isnull=False) & ~Q(answered_by=""), name="wait_answer_with_its_author"
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at", "id"], name="wait_open", condition=Q(state=WaitState.OPEN.value)),
            models.Index(fields=["run", "step"], name="wait_of_step"),
            models.Index(fields=["kind", "opened_at"], name="wait_open_kind", condition=Q(state=WaitState.OPEN.value)),
            models.Index(fields=["kind", "ended_at"], name="wait_cancelled", condition=Q(state=WaitState.CANCELLED.value)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}".strip()

    @property
    def reference(self) -> str:
        """How ledger entries name it."""
        return f"wait:{self.id}"
