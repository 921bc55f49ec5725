"""A money fact: what one call cost, in integer nano-USD, with every dimension it may be asked by.

Names and ids only, no foreign key, so a charge outlives its agent. A correction is a new charge that names the one
it corrects. Written by ledger.charge, summed by reports.
"""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q, UniqueConstraint

from audit.actors import Actor
from audit.visible import visible
from audit.wording import money


class ChargeQuerySet(models.QuerySet["Charge"]):
    """Sets of charges."""

    def visible_to(self, actor: Actor) -> Self:
        """The charges of the actor's teams, or all of them for whoever sees everything."""
        return self if actor.sees_everything else self.filter(team__in=actor.sees)


class Charge(models.Model):
    """The four token counts are disjoint: their sum is all tokens. `estimated`: no usage was reported, so the bound."""

    id = models.UUIDField(primary_key=True, editable=False)
    at = models.DateTimeField()
    run = models.UUIDField(null=True)
    step = models.CharField(max_length=200, blank=True)
    call = models.UUIDField(null=True)
    agent = models.CharField(max_length=200, blank=True)
    version = models.IntegerField(null=True)
    pipeline = models.CharField(max_length=200, blank=True)
    team = models.CharField(max_length=200, blank=True)
    cost_centre = models.CharField(max_length=200, blank=True)
    tags = models.JSONField(default=dict)
    provider = models.CharField(max_length=200, blank=True)
    model = models.CharField(max_length=200, blank=True)
    input_tokens = models.BigIntegerField(default=0)
    cache_read_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    price_version = models.CharField(max_length=200, blank=True)
    amount_nano = models.BigIntegerField()
    estimated = models.BooleanField(default=False)
    corrects = models.UUIDField(null=True)

    objects = ChargeQuerySet.as_manager()

    class Meta:
        constraints = [
            # A call is settled once, whichever worker comes to do it; what is posted later corrects.
            UniqueConstraint(fields=["call"], condition=Q(corrects__isnull=True), name="audit_charge_once_per_call"),
            models.CheckConstraint(condition=Q(corrects__isnull=False) | Q(amount_nano__gte=0), name="audit_charge_negative_corrects"),
        ]
        indexes = [
            models.Index(fields=["run"], name="audit_charge_run"),
            models.Index(fields=["at", "id"], name="audit_charge_at"),
            models.Index(fields=["team", "at"], name="audit_charge_team"),
        ]

    def __str__(self) -> str:
        return visible(f"{money(self.amount_nano)}, {self.agent or self.provider}", 80)
