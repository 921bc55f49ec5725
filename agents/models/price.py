"""Prices: what a model's tokens cost, in versions that never change.

A release holds the version that it was made with, so an old run can always be priced again. Written by `agents.registry` only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from django.db import models

from agents.prices import Price as PriceValue
from audit.actors import Actor
from audit.errors import Conflict
from audit.identity import new_id

from .alias import ModelAlias


class PriceImmutable(Conflict):
    """A price never changes: set it again, which makes a new version."""

    code = "price-immutable"


class PriceQuerySet(models.QuerySet["Price"]):
    """Sets of prices; rows are only ever added."""

    def visible_to(self, actor: Actor) -> Self:
        """Of models that an alias of the actor's teams names; all for whoever sees everything."""
        named = ModelAlias.objects.visible_to(actor).filter(provider=models.OuterRef("provider"), model=models.OuterRef("model"))
        return self if actor.sees_everything else self.filter(models.Exists(named))

    def current(self, models_named: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Price]:
        """The newest version of each of these (provider, model) that has a price at all."""
        wanted = set(models_named)
        rows = self.filter(model__in={model for _, model in wanted}).order_by("version")
        return {(row.provider, row.model): row for row in rows if (row.provider, row.model) in wanted}

    def newest(self) -> Self:
        """The current version of every model."""
        later = Price.objects.filter(provider=models.OuterRef("provider"), model=models.OuterRef("model"), version__gt=models.OuterRef("version"))
        return self.filter(~models.Exists(later))

    def update(self, **values: Any) -> int:
        """Refused."""
        raise PriceImmutable

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refused: charges name prices for ever."""
        raise PriceImmutable


class Price(models.Model):
    """Nano-USD for a million tokens. `source` says where the figures are from."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    provider = models.CharField(max_length=63)
    model = models.CharField(max_length=120)
    version = models.PositiveIntegerField()
    input_nano = models.BigIntegerField()
    cache_read_nano = models.BigIntegerField()
    cache_write_nano = models.BigIntegerField()
    output_nano = models.BigIntegerField()
    input_limit = models.PositiveIntegerField(null=True, blank=True)
    source = models.CharField(max_length=200)
    valid_from = models.DateTimeField()

    objects = PriceQuerySet.as_manager()

    class Meta:
        ordering = ("provider", "model", "-version")
        indexes = [models.Index(fields=["-valid_from", "-id"], name="price_newest")]
        constraints = [
            models.UniqueConstraint(fields=["provider", "model", "version"], name="price_version_once"),
            models.CheckConstraint(
                condition=models.Q(input_nano__gte=0, cache_read_nano__gte=0, cache_write_nano__gte=0, output_nano__gte=0),
                name="price_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model} {self.version}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only."""
        if not self._state.adding:
            raise PriceImmutable
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refused: charges name prices for ever."""
        raise PriceImmutable

    @property
    def subject(self) -> str:
        """How ledger entries name it."""
        return f"price:{self.provider}/{self.model}"

    @property
    def value(self) -> PriceValue:
        """What calls are priced by."""
        return PriceValue(
            self.provider, self.model, self.version, self.input_nano, self.cache_read_nano, self.cache_write_nano, self.output_nano, self.input_limit
        )
