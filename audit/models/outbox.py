"""Messages for whoever serves a topic, written in the transaction of the change that they announce.

A message is offered again until it is done, so its reader must be idempotent; the dedupe key stays behind, so the
same announcement is never queued twice. Written and claimed through audit.outbox.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from audit.visible import visible


class Message(models.Model):
    """Open while `done_at` is null; nobody else gets it before `due_at`."""

    topic = models.CharField(max_length=100)
    dedupe_key = models.CharField(max_length=200)
    payload = models.JSONField()
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.IntegerField(default=0)
    done_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)
    """Set beside `done_at` where nobody could be served."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["topic", "dedupe_key"], name="audit_message_once"),
        ]
        indexes = [
            models.Index(fields=["topic", "due_at"], name="audit_message_due", condition=Q(done_at__isnull=True)),
            models.Index(fields=["topic", "given_up_at"], name="audit_message_given_up", condition=Q(given_up_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return visible(f"{self.topic} {self.dedupe_key}", 80)
