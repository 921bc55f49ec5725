"""What may be erased: the value behind a commitment, with its salt.

Deleting the row erases the value and leaves every proof over the entry valid. No trigger guards it, on purpose.
Written by ledger.record, read through reports.
"""

from __future__ import annotations

from django.db import models

from audit.canonical import commitment
from audit.visible import visible


class Opening(models.Model):
    """`value` holds canonical bytes; the entry's `commitments[path]` is SHA-256(salt ‖ value)."""

    entry = models.UUIDField()
    path = models.CharField(max_length=100)
    salt = models.BinaryField()
    value = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entry", "path"], name="audit_opening_entry_path"),
        ]

    def __str__(self) -> str:
        return visible(f"{self.entry} {self.path}", 80)

    @property
    def commitment(self) -> str:
        """What the entry must say for this opening to be the one it committed to."""
        return commitment(bytes(self.salt), bytes(self.value))
