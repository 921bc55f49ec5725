"""One node's turn in a run. `key` is its place (`read`, `scan/a/find`, `each/3/look`).

Input, result and failure lie in the openings of the entries named here; `approval` is the wait whose answer this attempt goes out with.
Written by `runs.store` only.
"""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q

from audit.actors import Actor
from runs.engine.states import StepState

from .run import Run


class StepQuerySet(models.QuerySet["Step"]):
    def visible_to(self, actor: Actor) -> Self:
        return self if actor.sees_everything else self.filter(run__team__name__in=actor.sees)


class Step(models.Model):
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="steps")
    key = models.CharField(max_length=400)
    node = models.CharField(max_length=100)
    agent = models.CharField(max_length=100)
    version = models.PositiveIntegerField()
    state = models.CharField(max_length=16, choices=[(s.value, s.value) for s in StepState])
    attempt = models.PositiveIntegerField(default=1)
    fell_back = models.BooleanField(default=False)
    judges = models.BooleanField(default=False)
    started_at = models.DateTimeField()
    deadline_at = models.DateTimeField()
    not_before = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    as_of = models.DateTimeField(null=True, blank=True)
    best_before = models.DateTimeField(null=True, blank=True)
    best_before_step = models.CharField(max_length=400, blank=True, default="")
    approval = models.UUIDField(null=True, blank=True)
    result_digest = models.CharField(max_length=64, blank=True, default="")
    result_fence = models.BigIntegerField(null=True, blank=True)
    input_entry = models.UUIDField(null=True, blank=True)
    result_entry = models.UUIDField(null=True, blank=True)
    failure_entry = models.UUIDField(null=True, blank=True)
    failure_cause = models.CharField(max_length=32, blank=True, default="")
    failure_owner = models.CharField(max_length=200, blank=True, default="")
    failure_team = models.CharField(max_length=200, blank=True, default="")

    objects = StepQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        constraints = [
            models.UniqueConstraint(fields=["run", "key"], name="step_key_of_run"),
            models.CheckConstraint(condition=Q(state__in=[s.value for s in StepState]), name="step_state_known"),
            models.CheckConstraint(
                condition=~Q(state=StepState.RETURNED.value) | Q(result_entry__isnull=False, result_fence__isnull=False),
                name="step_result_under_a_fence",
            ),
        ]
        # The newest steps of an agent: the inventory asks for them.
        indexes = [models.Index(fields=["agent", "-id"], name="step_of_agent")]

    def __str__(self) -> str:
        return self.key
