"""What was made use of: one row for each permission that an agent has used, with when it did so last.

Written by `agents.uses` only, in the transaction of the call's intent; read by whoever shows what an agent may do.
"""

from __future__ import annotations

from django.db import models


class GrantUse(models.Model):
    """`agent` is an agent's name, or pipeline:NAME for what a pipeline lets its runs do.

    `used_at` is exact to the hour, so that a busy permission writes nothing more than once in that time; exact where it has a rate.
    `recent` are the uses that count for its rate, as microseconds since 1970, oldest first: as many as the rate has, no more.
    """

    digest = models.CharField(max_length=64, primary_key=True)
    agent = models.CharField(max_length=80)
    rule = models.CharField(max_length=1_000)
    used_at = models.DateTimeField()
    recent = models.JSONField(default=list)

    class Meta:
        ordering = ("agent", "rule")
        indexes = [models.Index(fields=["agent"], name="grant_use_of_agent")]

    def __str__(self) -> str:
        return f"{self.agent}: {self.rule}"
