"""Entries that the sealer has not yet put into the tree: one row each, made in the entry's own transaction.

A row becomes visible only when its entry does, so commits that arrive out of order are never missed; a watermark
over ids or instants would miss them. Written by ledger.record, taken by the sealer.
"""

from __future__ import annotations

from django.db import models


class Pending(models.Model):
    entry = models.UUIDField(primary_key=True)

    class Meta:
        verbose_name_plural = "pending entries"

    def __str__(self) -> str:
        return str(self.entry)
