"""What may be erased: the value behind a commitment, with its salt.

Deleting the row erases the value and leaves every proof over the entry valid. No trigger guards it, on purpose.
Written by ledger.record, read through reports.
"""

from __future__ import annotations

from django.db import models

from audit.canonical import commitment
from audit.stored import whole
from audit.visible import visible


class Blob(models.Model):
    """A large value, stored once however many openings hold it: what a step gave is also what its run gave.

    `digest` is the SHA-256 of its canonical bytes. Whoever erases the last opening of one erases it too.
    """

    digest = models.CharField(max_length=64, primary_key=True)
    value = models.BinaryField()

    def __str__(self) -> str:
        return self.digest


class Opening(models.Model):
    """`value` holds canonical bytes, or a `blob` does where they are many; the entry's `commitments[path]` is SHA-256(salt ‖ value)."""

    entry = models.UUIDField()
    path = models.CharField(max_length=100)
    salt = models.BinaryField()
    value = models.BinaryField()
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, null=True, blank=True, related_name="openings")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entry", "path"], name="audit_opening_entry_path"),
        ]

    def __str__(self) -> str:
        return visible(f"{self.entry} {self.path}", 80)

    @property
    def held(self) -> bytes:
        """The value's canonical bytes, wherever they lie."""
        return whole(self.value) if self.value or self.blob is None else whole(self.blob.value)

    @property
    def commitment(self) -> str:
        """What the entry must say for this opening to be the one it committed to."""
        return commitment(whole(self.salt), self.held)
