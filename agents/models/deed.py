"""Who has put what in force: the people who published a version or a release, and who granted a permission. None of them approves it.

The ledger is the record; these rows are found fast, by what a call is about. Written by `agents.registry` only, read by approvals.
"""

from __future__ import annotations

from django.db import models


class Publication(models.Model):
    """`subject` is version:ID, policy:ID or release:DIGEST; `by` is kind:id, as an actor is named. One row for each who did it, however often.

    made:version:ID and made:policy:ID: who wrote what it was made from, which counts for what is proposed only.
    """

    subject = models.CharField(max_length=100)
    by = models.CharField(max_length=200)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "by"], name="publication_once")]

    def __str__(self) -> str:
        return f"{self.by} {self.subject}"


class Granting(models.Model):
    """`holder` is agent:NAME or team:NAME. A row goes when its permission is withdrawn: whoever grants it anew has granted it."""

    holder = models.CharField(max_length=100)
    rule = models.CharField(max_length=1_000)
    by = models.CharField(max_length=200)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["holder"], name="granting_of_holder")]

    def __str__(self) -> str:
        return f"{self.by} {self.holder}: {self.rule}"
