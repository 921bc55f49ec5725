"""One line of the ledger: its exact canonical bytes, and beside them the columns it is found by.

The bytes are the record, the columns an index of it. Rows are written by ledger.record and by nothing else, and the
triggers of models/triggers.py keep them as written.
"""

from __future__ import annotations

import json
from typing import Any, Final, Self

from django.db import models

from audit.actors import Actor
from audit.canonical import digest_bytes, entry_bytes
from audit.clock import to_text
from audit.stored import whole
from audit.visible import visible

# With its value in the statement: SQLite takes an index of some rows only where it reads there that no others are wanted.
DID: Final = models.Q(models.Func(models.F("actor_kind"), template="%(expressions)s = 'person'", output_field=models.BooleanField()))


class EntryQuerySet(models.QuerySet["Entry"]):
    def visible_to(self, actor: Actor) -> Self:
        """The entries of the actor's teams, or all of them for whoever sees everything."""
        return self if actor.sees_everything else self.filter(team__in=actor.sees)

    def of_person(self, person: str) -> Self:
        """What a person did, and what was done on their behalf."""
        return self.filter(DID & models.Q(actor=person) | models.Q(on_behalf_of=person))

    @staticmethod
    def ways_of_person(person: str) -> list[models.Q]:
        """The same parted into two conditions of which each has an index in the order of a list: no index has an `or`."""
        did = DID & models.Q(actor=person)
        return [did, models.Q(on_behalf_of=person) & ~did]

    def in_order(self) -> Self:
        """Oldest first; entries of one transaction in the order they were made, since ids rise."""
        return self.order_by("at", "id")


class Entry(models.Model):
    """Text columns hold what the envelope holds, null for null. `seq` is gapless from 1 within a run."""

    id = models.UUIDField(primary_key=True, editable=False)
    at = models.DateTimeField()
    verb = models.CharField(max_length=100)
    actor_kind = models.CharField(max_length=20)
    actor = models.CharField(max_length=200)
    on_behalf_of = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null is what the envelope says
    team = models.CharField(max_length=200, null=True)  # noqa: DJ001
    agent = models.CharField(max_length=200, null=True)  # noqa: DJ001
    subject = models.CharField(max_length=200)
    run = models.UUIDField(null=True)
    seq = models.BigIntegerField(null=True)
    body = models.BinaryField()

    objects = EntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "entries"
        permissions = [("see_everything", "Can look at everything of every team")]
        constraints = [
            # Nulls differ from each other, so this one index also finds a run's entries without a seq.
            models.UniqueConstraint(fields=["run", "seq"], name="audit_entry_run_seq"),
            models.CheckConstraint(
                condition=models.Q(seq__isnull=True) | models.Q(seq__gte=1, run__isnull=False),
                name="audit_entry_seq_in_run",
            ),
        ]
        # Thousands of entries a second pay for each index: what is not asked often (verb) is scanned for, and of people only their own are in one.
        indexes = [
            models.Index(fields=["at", "id"], name="audit_entry_at"),
            models.Index(fields=["agent", "at"], name="audit_entry_agent", condition=models.Q(agent__isnull=False)),
            models.Index(fields=["team", "at"], name="audit_entry_team", condition=models.Q(team__isnull=False)),
            models.Index(fields=["actor", "at", "id"], name="audit_entry_person", condition=models.Q(actor_kind="person")),
            models.Index(fields=["on_behalf_of", "at", "id"], name="audit_entry_behalf", condition=models.Q(on_behalf_of__isnull=False)),
        ]

    def __str__(self) -> str:
        return visible(f"{self.verb} {self.subject}", 80)

    @property
    def digest(self) -> str:
        """SHA-256 of the stored bytes: what the run's next entry holds as `prev`."""
        return digest_bytes(whole(self.body))

    def envelope(self) -> dict[str, Any]:
        """The record itself, parsed from the stored bytes."""
        parsed: dict[str, Any] = json.loads(whole(self.body))
        return parsed

    def trusted_envelope(self) -> dict[str, Any] | None:
        """The envelope, or None where its bytes are not canonical or the columns say something else than the bytes."""
        try:
            parsed: Any = json.loads(whole(self.body))
            intact = _has_shape(parsed) and entry_bytes(parsed) == whole(self.body)
        except ValueError:  # not JSON, not UTF-8, or nothing an entry may hold
            return None
        return parsed if intact and self._columns() == _columns_in(parsed) else None

    def _columns(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "at": to_text(self.at),
            "verb": self.verb,
            "actor_kind": self.actor_kind,
            "actor": self.actor,
            "on_behalf_of": self.on_behalf_of,
            "team": self.team,
            "agent": self.agent,
            "subject": self.subject,
            "run": None if self.run is None else str(self.run),
            "seq": self.seq,
        }


def _has_shape(parsed: Any) -> bool:
    return isinstance(parsed, dict) and all(isinstance(parsed.get(name), dict) for name in ("actor", "facts", "commitments"))


def _columns_in(envelope: dict[str, Any]) -> dict[str, Any]:
    """What the columns must say; an envelope that was forged may lack any of it."""
    same = ("id", "at", "verb", "on_behalf_of", "team", "agent", "subject", "run", "seq")
    actor = envelope["actor"]
    return {**{name: envelope.get(name) for name in same}, "actor_kind": actor.get("kind"), "actor": actor.get("id")}
